"""Arrays on disk: written by zarr-python, read through memory maps where a shard is a flat array.

Everything is Zarr v3, raw (uncompressed) and sharded along the first axis. The writers leave out an inner chunk that
equals the fill value, so the fill values are sentinels that no stored value has, and the reader still looks at each
shard's index once before it trusts the shard to be flat. This is the only module that imports zarr.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from egoscale_sdk.errors import DataError

if TYPE_CHECKING:
    import zarr

Array = NDArray[Any]

INNER_ROWS = 256
INNER_BYTES = 2**16
SHARD_BYTES = 2**26
SMALL_BYTES = 2**18
OPEN_SHARDS = 512
"""Shards that stay mapped; each holds a file descriptor, of which a process may have few."""
DTYPES = ("float32", "int64", "int32", "int8", "uint64", "uint8")


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


class StoredArray:
    """An array of one committed segment, read by row ranges; a small one is kept in memory, others are mapped.

    Raises:
        DataError: the metadata is not that of an array, or neither we nor zarr-python can read it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        metadata = _array_metadata(folder)
        self.shape: tuple[int, ...] = tuple(metadata["shape"])
        self.dtype = np.dtype(metadata["data_type"])
        self._shard_rows = int(metadata["chunk_grid"]["configuration"]["chunk_shape"][0])
        self._shards = _shards(folder, self.shape, self.dtype, metadata)
        self._whole: Array | None = None
        if any(_mapped(shard) is None for shard in self._shards) or (len(self) and not self._shards):
            self._whole = _through_zarr(folder)
        elif math.prod(self.shape) * self.dtype.itemsize <= SMALL_BYTES:
            self._whole = self.read().copy()
            self._whole.flags.writeable = False

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int = 0, stop: int | None = None) -> Array:
        """Return rows ``[start, stop)``; a read-only view where they lie in one shard."""
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise DataError(f"rows {start}..{stop} are not in 0..{len(self)}", where=str(self.folder))
        if self._whole is not None:
            return self._whole[start:stop]
        if start == stop:
            return np.empty((0, *self.shape[1:]), self.dtype)
        parts = []
        for number in range(start // self._shard_rows, (stop - 1) // self._shard_rows + 1):
            offset, rows = number * self._shard_rows, _mapped(self._shards[number])
            assert rows is not None, "a committed shard never changes"
            parts.append(rows[max(0, start - offset) : stop - offset])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _array_metadata(folder: Path) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = json.loads((folder / "zarr.json").read_bytes())
        known = metadata["node_type"] == "array" and metadata["data_type"] in DTYPES
        grid = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        if not known or len(grid) != len(metadata["shape"]) or not all(isinstance(n, int) and n > 0 for n in grid):
            raise ValueError("unexpected fields")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"is not the metadata of an array: {error}", where=f"{folder}/zarr.json") from None
    return metadata


class _Shard(NamedTuple):
    """A shard file, its shape, the rows of its inner chunks, and how many of its rows the array has."""

    file: str
    shape: tuple[int, ...]
    inner: int
    rows: int
    dtype: str


def _shards(folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any], metadata: dict[str, Any]) -> list[_Shard]:
    """List the shards of an array that is laid out as we write it; none for any other."""
    shard = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
    inner = _raw_inner(metadata, dtype)
    if inner is None or shard[1:] != shape[1:]:
        return []
    base = os.path.abspath(folder)
    return [
        _Shard(
            os.path.join(base, "c", str(number), *("0" for _ in shape[1:])),
            shard,
            inner,
            min(shard[0], shape[0] - number * shard[0]),
            dtype.name,
        )
        for number in range(math.ceil(shape[0] / shard[0]))
    ]


def _raw_inner(metadata: dict[str, Any], dtype: np.dtype[Any]) -> int | None:
    """Rows of an inner chunk if the array is raw and sharded along the first axis as we write it, else None."""
    little = [{"name": "bytes", "configuration": {"endian": "little"}}]
    plain = little if dtype.itemsize > 1 else [{"name": "bytes"}]
    try:
        (codec,) = metadata["codecs"]
        settings = codec["configuration"]
        rows, *rest = settings["chunk_shape"]
        ours = (
            codec["name"] == "sharding_indexed"
            and settings["codecs"] in (plain, little)
            and settings["index_codecs"] == [*little, {"name": "crc32c"}]
            and settings["index_location"] == "end"
            and rest == metadata["shape"][1:]
            and metadata["chunk_key_encoding"]["configuration"]["separator"] == "/"
        )
    except (KeyError, ValueError, TypeError):
        return None
    return int(rows) if ours else None


@lru_cache(maxsize=OPEN_SHARDS)
def _mapped(shard: _Shard) -> Array | None:
    """Map the rows of a shard, or return None unless its inner chunks lie in order and without gaps."""
    dtype, width = np.dtype(shard.dtype), math.prod(shard.shape[1:])
    chunk_bytes = shard.inner * width * dtype.itemsize
    index_bytes = shard.shape[0] // shard.inner * 16 + 4
    with open(shard.file, "rb") as handle:
        if handle.seek(0, 2) < index_bytes:
            return None
        view = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    view.madvise(mmap.MADV_RANDOM)
    used = math.ceil(shard.rows / shard.inner)
    index = np.frombuffer(view, "<u8", used * 2, len(view) - index_bytes).reshape(used, 2)
    expected = np.arange(used, dtype=np.uint64) * np.uint64(chunk_bytes)
    if not (np.array_equal(index[:, 0], expected) and (index[:, 1] == chunk_bytes).all()):
        return None
    return np.frombuffer(view, dtype, shard.rows * width).reshape(shard.rows, *shard.shape[1:])


def _through_zarr(folder: Path) -> Array:
    import zarr

    try:
        return np.asarray(zarr.open_array(folder, mode="r")[...])
    except Exception as error:
        raise DataError(f"cannot be read: {error}", where=str(folder), hint="restore it from a copy") from None
