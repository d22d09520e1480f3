"""Writing a folder of files whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from egoscale_sdk.errors import EgoscaleError


def check_target(target: Path) -> None:
    """Raise `EgoscaleError` unless ``target`` is free: absent, or an empty folder."""
    if target.parent.exists() and not target.parent.is_dir():
        raise EgoscaleError("is no folder", where=str(target.parent), hint="choose another with --into")
    if os.path.lexists(target) and not (target.is_dir() and not target.is_symlink()):
        raise EgoscaleError("is there already and is no folder", where=str(target), hint="choose another with --into")
    if target.is_dir() and any(target.iterdir()):
        raise EgoscaleError(
            "is not empty, and nothing is ever overwritten",
            where=str(target),
            hint="choose another place with --into, or remove it",
        )


def write_folder(files: Mapping[str, str], target: Path) -> None:
    """Write files by their paths in ``target``: into a folder beside it, which takes its place when all are there.

    Raises:
        EgoscaleError: ``target`` is not free, or its parent cannot be written; nothing is left behind.
    """
    check_target(target)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        for path, text in files.items():
            file = beside / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        if target.is_dir():
            target.rmdir()
        beside.rename(target)
    except OSError as error:
        raise EgoscaleError(f"cannot be written: {error.strerror}", where=str(error.filename or target)) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
