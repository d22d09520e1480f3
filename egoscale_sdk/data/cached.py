"""Tables that can be computed again, kept in the cache folder of a dataset."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def cached_table(file: Path, dtype: np.dtype[Any], compute: Callable[[], Array]) -> Array:
    """Map a table ``(N,)`` that was computed before, or compute and keep it; a damaged file is computed again."""
    try:
        return _mapped(file, dtype)
    except (OSError, ValueError, EOFError):
        table = compute()
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}.npy")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(temporary, table, allow_pickle=False)
        os.replace(temporary, file)
    except OSError:  # without permission to write it is computed each time
        temporary.unlink(missing_ok=True)
    return table


def _mapped(file: Path, dtype: np.dtype[Any]) -> Array:
    table: Array = np.load(file, mmap_mode="r", allow_pickle=False)
    if table.dtype != dtype or table.ndim != 1:
        raise ValueError("is another table")
    return table
