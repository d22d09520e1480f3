"""Tables that can be computed again, kept in the cache folder of a dataset.

Every file ends with a checksum of what is before it, so that a damaged one is computed again and never believed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.store import open_file
from egoscale_sdk.errors import DataError

Array = NDArray[Any]
_SUM_BYTES = 4
_PIECE = 2**20


def cached_table(file: Path, dtype: np.dtype[Any], compute: Callable[[], Array]) -> Array:
    """Map a table ``(N,)`` that was computed before, or compute and keep it; a damaged file is computed again."""
    if is_sound(file):
        with suppress(OSError, ValueError, EOFError):
            return _mapped(file, dtype)
    table = compute()
    keep(file, lambda temporary: np.save(temporary, table, allow_pickle=False))
    return table


def is_sound(file: Path) -> bool:
    """Whether there is a file, with the checksum that it was kept with."""
    try:
        handle = open_file(file)
        if handle is None:
            return False
        with handle:
            left, found = os.fstat(handle.fileno()).st_size - _SUM_BYTES, 0
            while left > 0 and (piece := handle.read(min(_PIECE, left))):
                found, left = google_crc32c.extend(found, piece), left - len(piece)
            return left == 0 and handle.read() == found.to_bytes(_SUM_BYTES, "little")
    except (OSError, DataError):
        return False


def keep(file: Path, write: Callable[[Path], object]) -> None:
    """Put a file in its place, in one step, with a checksum; without permission to write nothing happens.

    Args:
        file: Where it belongs.
        write: Writes it at the path that it is given, whose suffix is that of ``file``.
    """
    temporary = file.with_name(f".{uuid.uuid4().hex}{file.suffix}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        found = 0
        with temporary.open("r+b") as handle:
            while piece := handle.read(_PIECE):
                found = google_crc32c.extend(found, piece)
            handle.write(found.to_bytes(_SUM_BYTES, "little"))
        os.replace(temporary, file)
    except OSError:
        temporary.unlink(missing_ok=True)


def _mapped(file: Path, dtype: np.dtype[Any]) -> Array:
    table: Array = np.load(file, mmap_mode="r", allow_pickle=False)
    if table.dtype != dtype or table.ndim != 1:
        raise ValueError("is another table")
    return table
