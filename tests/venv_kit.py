"""A fresh virtual environment that sees what is installed beside the running interpreter."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path


def fresh_environment(folder: Path) -> Path:
    """Make a virtual environment without pip in ``folder``; returns its interpreter.

    The running interpreter may be of a virtual environment itself, whose packages ``--system-site-packages`` leaves
    out; and as a plain path in a .pth file they would lack what .pth files of editable installs bring.
    """
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", folder], check=True)
    python = folder / "bin/python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    ours = sysconfig.get_path("purelib")
    (Path(found.stdout.strip()) / "outer.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    return python
