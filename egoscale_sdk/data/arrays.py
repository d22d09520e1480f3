"""Arrays on disk, written by zarr-python so that a shard is a flat array; `egoscale_sdk.data.stored` reads them.

Everything is Zarr v3, raw (uncompressed) and sharded along the first axis. The writers leave out an inner chunk that
equals the fill value, so the fill values are sentinels that no stored value has.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    import zarr

Array = NDArray[Any]

INNER_ROWS = 256
INNER_BYTES = 2**16
SHARD_BYTES = 2**26
DTYPES = ("float32", "int64", "int32", "int8", "uint64", "uint32", "uint8")


def sentinel(dtype: DTypeLike) -> float | int:
    """Fill value that no stored value of this dtype has: -inf, the smallest signed or the largest unsigned integer."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return -math.inf
    return int(np.iinfo(kind).min if kind.kind == "i" else np.iinfo(kind).max)


def open_group(path: Path, *, create: bool = False) -> zarr.Group:
    """Open (or create) the Zarr v3 group at ``path``."""
    import zarr

    return zarr.open_group(path, mode="a" if create else "r", zarr_format=3)


def write_array(group: zarr.Group, name: str, values: Array, shard_bytes: int | None = None) -> None:
    """Write a whole array of one of `DTYPES`; ``name`` may have parts, as in ``cams/head/row``.

    A shard holds up to ``shard_bytes``, by default `SHARD_BYTES`.
    """
    shard = _shard_rows(values.shape, values.dtype, shard_bytes)
    array = _create(group, name, values.shape, values.dtype, INNER_ROWS, shard)
    if len(values):
        array[...] = values


def _shard_rows(shape: tuple[int, ...], dtype: DTypeLike, shard_bytes: int | None = None) -> int:
    rows = max(1, math.ceil(shape[0] / INNER_ROWS)) * INNER_ROWS
    row_bytes = max(1, math.prod(shape[1:]) * np.dtype(dtype).itemsize)
    return min(rows, max(1, (shard_bytes or SHARD_BYTES) // (row_bytes * INNER_ROWS)) * INNER_ROWS)


def _create(
    group: zarr.Group, name: str, shape: tuple[int, ...], dtype: DTypeLike, inner: int, shard: int
) -> zarr.Array[Any]:
    if np.dtype(dtype).name not in DTYPES:
        raise TypeError(f"{name}: dtype {np.dtype(dtype).name} is not stored; use one of {', '.join(DTYPES)}")
    parent, _, leaf = name.rpartition("/")
    return (group.require_group(parent) if parent else group).create_array(
        leaf,
        shape=shape,
        dtype=np.dtype(dtype),
        chunks=(inner, *shape[1:]),
        shards=(shard, *shape[1:]),
        fill_value=sentinel(dtype),
        compressors=None,
        filters=None,
    )


class RowStream:
    """Writes an array of known shape from its first row to its last, one shard in memory at a time."""

    def __init__(self, group: zarr.Group, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        shard = _shard_rows(shape, dtype)
        self._array = _create(group, name, shape, dtype, INNER_ROWS, shard)
        self._pending = np.empty((shard, *shape[1:]), dtype)
        self._written = self._held = 0

    def append(self, values: Array) -> None:
        """Add rows at the end."""
        while len(values):
            part = values[: len(self._pending) - self._held]
            self._pending[self._held : self._held + len(part)] = part
            self._held, values = self._held + len(part), values[len(part) :]
            if self._held == len(self._pending):
                self.close()

    def close(self) -> None:
        """Write what is pending."""
        if self._held:
            self._array[self._written : self._written + self._held] = self._pending[: self._held]
        self._written, self._held = self._written + self._held, 0


class ByteStream:
    """Writes a long u1 array piece by piece, one shard of ``shard_bytes`` in memory at a time."""

    def __init__(self, group: zarr.Group, name: str, shard_bytes: int | None = None) -> None:
        self.length = 0
        self._shard = max(1, (shard_bytes or SHARD_BYTES) // INNER_BYTES) * INNER_BYTES
        self._array = _create(group, name, (0,), np.uint8, INNER_BYTES, self._shard)
        self._pending = bytearray()

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._pending += data
        self.length += len(data)
        while len(self._pending) >= self._shard:
            self._flush(self._shard)

    def close(self) -> None:
        """Write what is pending."""
        if self._pending:
            self._flush(len(self._pending))

    def _flush(self, count: int) -> None:
        start = int(self._array.shape[0])
        self._array.resize((start + count,))
        self._array[start : start + count] = np.frombuffer(self._pending, np.uint8, count)
        self._pending = self._pending[count:]
