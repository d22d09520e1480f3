"""CRC-32C of every block of every file of an object: how a flipped bit is found without reading a whole file.

The sums of all files of an object lie in one array, ``crc32c``, in the order of the files' names. Where the sums of
a file begin follows from the sizes that the commit records, so that nothing must be looked up.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c
from numpy.typing import NDArray

Sums = NDArray[Any]

BLOCK = 4096
"""Bytes to a checksum: a page of memory, so that a small read verifies little more than it reads."""
NAME = "crc32c"
_PIECE = 2**20


def block_count(size: int) -> int:
    """How many checksums a file of ``size`` bytes has."""
    return -(-size // BLOCK)


def sums_of(data: bytes) -> list[int]:
    """Checksums of the blocks of ``data``, which begins at a block."""
    value = google_crc32c.value
    return [value(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK)]


def measure(file: Path, *, sync: bool = False) -> tuple[int, str, list[int]]:
    """Return size, SHA-256 and block checksums of a file, read once; flushed to the disk first if ``sync``."""
    digest, sums, size = hashlib.sha256(), list[int](), 0
    with file.open("rb") as handle:
        if sync:
            os.fsync(handle.fileno())
        while piece := handle.read(_PIECE):
            digest.update(piece)
            sums += sums_of(piece)
            size += len(piece)
    return size, f"sha256:{digest.hexdigest()}", sums


def places(sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return where in the array the checksums of each file lie, ``[start, stop)``."""
    found, start = {}, 0
    for name in sorted(name for name in sizes if not name.startswith(f"{NAME}/")):
        found[name] = (start, start + block_count(sizes[name]))
        start = found[name][1]
    return found


def first_difference(data: bytes, expected: Sums) -> int | None:
    """Return the number of the first block of ``data`` whose checksum differs, or None."""
    for number, (found, wanted) in enumerate(zip(sums_of(data), expected.tolist(), strict=True)):
        if found != wanted:
            return number
    return None
