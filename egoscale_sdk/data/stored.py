"""Arrays read from disk: through memory maps where a shard is a flat array, through zarr-python where it is not.

The reader looks at each shard's index once before it trusts the shard to be flat, maps no more than was committed,
and compares every block that it hands out with its checksum, once per process.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.arrays import DTYPES
from egoscale_sdk.data.checksums import BLOCK, block_count, first_difference
from egoscale_sdk.data.records import ArrayRecord
from egoscale_sdk.data.store import RESTORE, open_file, read_file
from egoscale_sdk.errors import DataError

Array = NDArray[Any]

SMALL_BYTES = 2**18
OPEN_SHARDS = 512
"""Shards that stay mapped; each holds a file descriptor, of which a process may have few."""
MAX_FOREIGN_BYTES = 2**31
"""What is not laid out as we write it is read into memory whole, so there is a limit."""
MAX_METADATA_BYTES = 2**24
_RANGE_BYTES = 2**17


class Committed(NamedTuple):
    """What a commit says of a file: its size, and how to get the checksums of its blocks ``[first, end)``."""

    size: int
    sums: Callable[[int, int], Array] | None


class Files(Protocol):
    """What was committed of the files of an array; they are named relative to it."""

    @property
    def names(self) -> list[str]:
        """Names of the files."""

    def committed(self, name: str) -> Committed | None:
        """Return what was committed of a file, or None where there was none."""

    def check_all(self) -> None:
        """Raise DataError unless every file is what was committed."""


class ArrayReader(Protocol):
    """An array of a committed object, wherever it lies."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype."""

    def __len__(self) -> int: ...

    def read(self, start: int = 0, stop: int | None = None) -> Array:
        """Return rows ``[start, stop)``."""

    def take(self, rows: Array) -> Array:
        """Return the rows of given numbers ``(*b,)`` int64, as ``(*b, *shape[1:])``."""


class Layout(NamedTuple):
    """What the metadata of an array says that is needed to read it.

    ``inner`` are the rows of an inner chunk where the array is raw and sharded along the first axis, as we write it;
    0 where it is laid out in any other way.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    shard_rows: int
    inner: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def shards(self) -> int:
        """Number of shards."""
        return math.ceil(self.shape[0] / self.shard_rows)

    def file(self, shard: int) -> str:
        """Name of a shard's file relative to the array."""
        return "/".join(("c", str(shard), *("0" for _ in self.shape[1:])))

    def rows_of(self, shard: int) -> int:
        """Rows of the array that lie in a shard."""
        return min(self.shard_rows, self.shape[0] - shard * self.shard_rows)

    @property
    def index_bytes(self) -> int:
        """Bytes of the index at the end of a shard."""
        return self.shard_rows // self.inner * 16 + 4

    def is_flat(self, shard: int, index: bytes) -> bool:
        """Whether a shard's index says that its inner chunks lie in order and without gaps."""
        used = math.ceil(self.rows_of(shard) / self.inner)
        chunk_bytes = self.inner * self.row_bytes
        table = np.frombuffer(index, "<u8", used * 2).reshape(used, 2)
        expected = np.arange(used, dtype=np.uint64) * np.uint64(chunk_bytes)
        return bool(np.array_equal(table[:, 0], expected) and (table[:, 1] == chunk_bytes).all())


def parse_layout(text: bytes, where: str) -> Layout:
    """Read the metadata of an array.

    Raises:
        DataError: it is none, or of a dtype that is not stored.
    """
    try:
        metadata: dict[str, Any] = json.loads(text)
        shape = metadata["shape"]
        grid = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        if metadata["node_type"] != "array" or metadata["data_type"] not in DTYPES or len(grid) != len(shape):
            raise ValueError("unexpected fields")
        if (
            not grid
            or not all(type(n) is int and n > 0 for n in grid)
            or not all(type(n) is int and n >= 0 for n in shape)
        ):
            raise ValueError("shape and chunk_shape are lists of whole numbers")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"is not the metadata of an array: {error}", where=where) from None
    dtype = np.dtype(metadata["data_type"])
    inner = _raw_inner(metadata, dtype)
    ours = inner is not None and inner > 0 and grid[1:] == shape[1:] and grid[0] % inner == 0
    return Layout(tuple(shape), dtype, int(grid[0]), int(inner or 0) if ours else 0)


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


def array_record(folder: Path) -> ArrayRecord | None:
    """Return what a commit records of an array whose shards are all flat; None for another one, or for a group."""
    text = _metadata(folder)
    if json.loads(text).get("node_type") != "array":
        return None
    layout = parse_layout(text, f"{folder}/zarr.json")
    shards = _shards(folder, layout, None)
    if not layout.inner or len(shards) < layout.shards or any(_mapped.__wrapped__(shard) is None for shard in shards):
        return None
    return ArrayRecord.model_validate(
        {
            "shape": layout.shape,
            "dtype": layout.dtype.name,
            "shard_rows": layout.shard_rows,
            "inner_rows": layout.inner,
        }
    )


class StoredArray:
    """An array of one committed segment, read by rows; a small one is kept in memory, others are mapped.

    Args:
        folder: Of the array.
        files: What was committed of its files; without, nothing is compared with checksums.

    Raises:
        DataError: the metadata is not that of an array, a file is not as committed, or nobody can read it.
    """

    def __init__(self, folder: Path, files: Files | None = None) -> None:
        self.folder = folder
        self._layout = layout = parse_layout(_metadata(folder), f"{folder}/zarr.json")
        self.shape: tuple[int, ...] = layout.shape
        self.dtype: np.dtype[Any] = layout.dtype
        self._shard_rows, self._files = layout.shard_rows, files
        self._shards = _shards(folder, layout, files)
        self._whole: Array | None = None
        if len(self) and not self._shards:
            self._whole = self._foreign()
        elif len(self) * layout.row_bytes <= SMALL_BYTES:
            self._whole = self.read().copy()
            self._whole.flags.writeable = False

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int = 0, stop: int | None = None) -> Array:
        """Return rows ``[start, stop)``; a read-only view where they lie in one shard.

        Raises:
            DataError: there are no such rows, or they are not what was committed.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= self.shape[0]:
            raise DataError(f"rows {start}..{stop} are not in 0..{len(self)}", where=str(self.folder))
        if self._whole is not None:
            return self._whole[start:stop]
        if start == stop:
            return np.empty((0, *self.shape[1:]), self.dtype)
        first, last = start // self._shard_rows, (stop - 1) // self._shard_rows
        if first == last:
            offset = first * self._shard_rows
            flat = _mapped(self._shards[first])
            return self._foreign()[start:stop] if flat is None else flat.read(start - offset, stop - offset)
        ends = [number * self._shard_rows for number in range(first + 1, last + 1)]
        return np.concatenate([self.read(*part) for part in pairwise((start, *ends, stop))])

    def take(self, rows: Array) -> Array:
        """Return the rows of given numbers ``(*b,)`` int64, as ``(*b, *shape[1:])``.

        Raises:
            DataError: there are no such rows, or they are not what was committed.
        """
        if rows.size == 0:
            return np.empty((*rows.shape, *self.shape[1:]), self.dtype)
        low, high = int(rows.min()), int(rows.max())
        if low < 0 or high >= self.shape[0]:
            raise DataError(f"rows {low}..{high} are not in 0..{len(self)}", where=str(self.folder))
        if self._whole is not None:
            return self._whole.take(rows, 0)
        first, last = low // self._shard_rows, high // self._shard_rows
        flat = _mapped(self._shards[first])
        if flat is None:
            return self._foreign().take(rows, 0)
        if first == last:
            offset = first * self._shard_rows
            return flat.take(rows - offset if offset else rows, low - offset, high - offset)
        out = np.empty((*rows.shape, *self.shape[1:]), self.dtype)
        for number in np.unique(rows // self._shard_rows).tolist():
            here = rows // self._shard_rows == number
            out[here] = self.take(rows[here])
        return out

    def _foreign(self) -> Array:
        """Read an array through zarr-python that somebody else laid out; it is kept whole."""
        if self._files is not None:
            self._files.check_all()
        self._whole = _through_zarr(self.folder, self._layout)
        return self._whole


class _Shard:
    """A shard that may be mapped; compared by identity."""

    def __init__(self, folder: Path, layout: Layout, number: int, files: Files | None) -> None:
        self.layout, self.number = layout, number
        self.file = os.path.join(os.path.abspath(folder), layout.file(number))
        self.committed = files.committed(layout.file(number)) if files else None

    def open_bytes(self) -> mmap.mmap | None:
        """Map the file, no further than it was committed; None if it is too short to have an index."""
        handle = open_file(Path(self.file))
        if handle is None:
            raise DataError("is missing", where=self.file, hint=RESTORE)
        with handle:
            found = os.fstat(handle.fileno()).st_size
            size = found if self.committed is None else self.committed.size
            if size != found:
                raise DataError(f"has {found} bytes, {size} were committed", where=self.file, hint=RESTORE)
            if size < self.layout.index_bytes:
                return None
            view = mmap.mmap(handle.fileno(), size, access=mmap.ACCESS_READ)
        view.madvise(mmap.MADV_RANDOM)
        return view


class _Flat:
    """The rows of a mapped shard, and which of its blocks have been compared with their checksums."""

    def __init__(self, shard: _Shard, view: mmap.mmap) -> None:
        layout, rows = shard.layout, shard.layout.rows_of(shard.number)
        self._shard, self._view, self._row_bytes = shard, view, layout.row_bytes
        width = math.prod(layout.shape[1:])
        self.rows: Array = np.frombuffer(view, layout.dtype, rows * width).reshape(rows, *layout.shape[1:])
        self._sums = shard.committed.sums if shard.committed else None
        self._seen = bytearray(block_count(len(view)))
        if self._sums is None:
            self._seen[:] = b"\1" * len(self._seen)

    def read(self, start: int, stop: int) -> Array:
        """Return a verified view of rows ``[start, stop)``."""
        self._check_length()
        self._check_rows(start, stop)
        return self.rows[start:stop]

    def take(self, rows: Array, low: int, high: int) -> Array:
        """Return verified rows, which lie in ``[low, high]``."""
        self._check_length()
        if (high + 1 - low) * self._row_bytes <= _RANGE_BYTES or self._row_bytes > BLOCK:
            self._check_rows(low, high + 1)
        elif self._seen.find(0) >= 0:
            touched = np.concatenate([rows * self._row_bytes, (rows + 1) * self._row_bytes - 1], axis=None) // BLOCK
            new = np.unique(touched[np.frombuffer(self._seen, np.uint8)[touched] == 0])
            for block in new.tolist():
                self.check(block, block + 1)
        return self.rows.take(rows, 0)

    def _check_length(self) -> None:
        """Refuse a file that was cut while it was mapped: the system ends a process that reads beyond the end."""
        found, size = self._view.size(), len(self._view)
        if found < size:
            raise DataError(f"has {found} bytes, {size} were committed", where=self._shard.file, hint=RESTORE)

    def _check_rows(self, start: int, stop: int) -> None:
        first, end = start * self._row_bytes // BLOCK, (stop * self._row_bytes - 1) // BLOCK + 1
        if self._seen.find(0, first, end) >= 0:
            self.check(first, end)

    def check(self, first: int, end: int) -> None:
        """Compare blocks ``[first, end)`` that were not compared yet."""
        assert self._sums is not None
        while (first := self._seen.find(0, first, end)) >= 0:
            stop = self._seen.find(1, first, end)
            stop = end if stop < 0 else stop
            wrong = first_difference(self._view[first * BLOCK : stop * BLOCK], self._sums(first, stop))
            if wrong is not None:
                raise DataError(changed(first + wrong), where=self._shard.file, hint=RESTORE)
            self._seen[first:stop] = b"\1" * (stop - first)


def changed(block: int) -> str:
    """Say that a block of a file is not what was committed."""
    return f"was changed after it was committed, in the {BLOCK} bytes from {block * BLOCK}"


@lru_cache(maxsize=OPEN_SHARDS)
def _mapped(shard: _Shard) -> _Flat | None:
    """Map the rows of a shard, or return None unless its inner chunks lie in order and without gaps."""
    view = shard.open_bytes()
    if view is None:
        return None
    layout, at = shard.layout, len(view) - shard.layout.index_bytes
    needed = layout.rows_of(shard.number) * layout.row_bytes
    if needed > at or not layout.is_flat(shard.number, view[at:]):
        return None
    flat = _Flat(shard, view)
    if shard.committed is not None and shard.committed.sums is not None:
        flat.check(at // BLOCK, block_count(len(view)))
    return flat


def _metadata(folder: Path) -> bytes:
    text = read_file(folder / "zarr.json", MAX_METADATA_BYTES)
    if text is None:
        raise DataError("is not the metadata of an array: it is missing", where=f"{folder}/zarr.json")
    return text


def _shards(folder: Path, layout: Layout, files: Files | None) -> list[_Shard]:
    """Return the shards of an array that is laid out as we write it; none for any other."""
    found: list[_Shard] = []
    for number in range(layout.shards if layout.inner else 0):
        shard = _Shard(folder, layout, number, files)
        if (files is not None and shard.committed is None) or (files is None and not os.path.isfile(shard.file)):
            return []
        found.append(shard)
    return found


def _through_zarr(folder: Path, layout: Layout) -> Array:
    import zarr

    if math.prod(layout.shape) * layout.dtype.itemsize > MAX_FOREIGN_BYTES:
        what = f"of shape {layout.shape} is not laid out as this SDK writes it, and too large to be read whole"
        raise DataError(what, where=str(folder))
    try:
        return np.asarray(zarr.open_array(folder, mode="r")[...])
    except Exception as error:
        what = f"cannot be read: {' '.join(str(error).split())}"
        raise DataError(what, where=str(folder), hint="restore it from a copy") from None
