"""Compiling C++ on demand: what was built once is kept in the user's cache folder."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path

COMPILERS = ("g++", "clang++", "c++")
# Products may be fused with sums; what is no number, and what is infinite, stays what it is.
FLAGS = (
    *("-std=c++17", "-O2", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    *("-Wno-psabi", "-shared", "-fPIC", "-pthread"),
)
LIMIT_S = 300

_log = logging.getLogger(__name__)


class BuildError(Exception):
    """Nothing can be compiled here; says why."""


def compiler() -> str:
    """Return the path of a C++ compiler.

    Raises:
        BuildError: there is none.
    """
    found = next(filter(None, map(shutil.which, COMPILERS)), None)
    if found is None:
        raise BuildError("no C++ compiler (g++ or clang++) is installed")
    return found


def build(text: str) -> ctypes.CDLL:
    """Compile and load C++ text, which follows `prelude.h`; at once where it was compiled before.

    Raises:
        BuildError: there is no compiler, or it fails.
    """
    command, source = compiler(), prelude() + text
    try:
        key = "\n".join([source, command, _version(command), *FLAGS, _processor()])
        path = cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.so"
        if not path.is_file():
            _compile(command, source, path)
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(f"{error.filename or 'what was compiled'}: {error.strerror or error}") from error
    except (RuntimeError, subprocess.SubprocessError) as error:  # nobody's home; a compiler that hangs
        raise BuildError(str(error)) from error


@cache
def say_once(reason: str) -> None:
    """Log why something runs without being compiled."""
    _log.warning("retargeting runs without its compiled kernels, slower and with the same results: %s", reason)


def cache_folder() -> Path:
    """Where compiled kernels are kept: below XDG_CACHE_HOME, by default ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "egoscale" / "kernels"


@cache
def prelude() -> str:
    """Return the text that every kernel begins with."""
    return resources.files(__package__).joinpath("prelude.h").read_text("utf-8")


def _compile(command: str, source: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "kernel.so"
        Path(folder, "kernel.cpp").write_text(source, "utf-8")
        try:
            done = subprocess.run(
                [command, *FLAGS, "-o", str(made), str(Path(folder, "kernel.cpp"))],
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
            )
        except subprocess.TimeoutExpired:
            raise BuildError(f"{command} took longer than {LIMIT_S} s") from None
        if done.returncode != 0:
            complaint = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
            raise BuildError(f"{command} failed: {(complaint or [f'it ended with {done.returncode}'])[0]}")
        os.replace(made, path)  # at once: another process sees all of it or nothing


@cache
def _version(command: str) -> str:
    return subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60).stdout


@cache
def _processor() -> str:
    """What -march=native depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    own = [line for line in lines if line.startswith(("flags", "Features", "model name"))][:2]
    return "\n".join([platform.machine(), platform.processor(), *own])
