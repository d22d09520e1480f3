"""What the commands share: one-line errors, progress on stderr, JSON on stdout, quiet."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from egoscale_sdk.errors import EgoscaleError
from egoscale_sdk.progress import Progress, silent


def say(text: str, *, quiet: bool = False) -> None:
    """Print a line for people, on stderr, unless ``quiet``."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def user_path(text: str | Path) -> Path:
    """Return a path as the user means it, who may write ``~`` where no shell expands it (``--into=~/plugins``)."""
    return Path(os.path.expanduser(text))


def emit(value: Any, *, as_json: bool, text: str) -> None:
    """Print the result on stdout: ``value`` as JSON if a script reads it, else ``text``."""
    print(json.dumps(value, indent=2, allow_nan=False) if as_json else text, flush=True)


def refuse_unwritable(*files: Path | None) -> None:
    """Refuse a file that cannot be written before minutes of work are spent; ``-`` and None pass."""
    for file in files:
        if file is not None and str(file) != "-" and (file.is_dir() or not file.absolute().parent.is_dir()):
            raise EgoscaleError(
                "is a folder, or lies in none", where=str(file), hint="name a file in an existing folder"
            )


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Show a progress bar on stderr; off a terminal a line every tenth; nothing if ``quiet``."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        yield from _rich_bar(title)
    else:
        yield _Lines(title)


def _rich_bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, note="")

        def report(done: int, total: int | None = None, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield report


class _Lines:
    """Progress as plain lines, at most ten per task, for logs."""

    def __init__(self, title: str) -> None:
        self.title, self.tenth = title, -1

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None:
        tenth = done if not total else 10 * done // total
        if tenth != self.tenth and (total or done % 100 == 0):
            self.tenth = tenth
            print(f"{self.title}: {done}/{total or '?'} {note}".rstrip(), file=sys.stderr, flush=True)


def render(*parts: Any) -> str:
    """Render rich tables and text as plain lines: as wide as the terminal, or 120 columns off one."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 120
    console = Console(width=width, no_color=True, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
