"""Arrays on an object store, read by byte ranges; every block is compared with its checksum whenever it is fetched.

What a commit says of an array is enough to know which bytes hold which rows: neither its metadata nor the index of a
shard is fetched. Narrow arrays (offsets, image numbers, times, checksums) are fetched in pieces that are kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.checksums import BLOCK, first_difference
from egoscale_sdk.data.records import ArrayRecord
from egoscale_sdk.data.store import RESTORE, Store
from egoscale_sdk.data.stored import SMALL_BYTES, Files, Layout, changed
from egoscale_sdk.errors import DataError

Array = NDArray[Any]

NARROW_BYTES = 16
"""Rows of up to this many bytes, but not streams of bytes, are fetched in pieces; and so are small arrays."""
PIECE = 2**16
KEPT_BYTES = 2**28


class RemoteArray:
    """A flat array on an object store.

    Args:
        store: Of the dataset.
        path: Of the array in it.
        record: What the commit says of its layout.
        files: What the commit says of its files.

    Raises:
        DataError: the files are not as large as the layout needs.
    """

    def __init__(self, store: Store, path: str, record: ArrayRecord, files: Files) -> None:
        self._store, self._path, self._files = store, path, files
        self._layout = layout = Layout(record.shape, np.dtype(record.dtype), record.shard_rows, record.inner_rows)
        if layout.shards > len(files.names):
            what = f"of shape {layout.shape} has {len(files.names)} files and needs more"
            raise DataError(what, where=f"{store.where}/{path}", hint=RESTORE)
        self.shape: tuple[int, ...] = layout.shape
        self.dtype: np.dtype[Any] = layout.dtype
        narrow = layout.row_bytes <= NARROW_BYTES and (*self.shape[1:], self.dtype.itemsize) != (1,)
        self._in_pieces = narrow or len(self) * layout.row_bytes <= SMALL_BYTES

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int = 0, stop: int | None = None) -> Array:
        """Return rows ``[start, stop)``.

        Raises:
            DataError: there are no such rows, they cannot be fetched, or they are not what was committed.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise DataError(
                f"rows {start}..{stop} are not in 0..{len(self)}", where=f"{self._store.where}/{self._path}"
            )
        if start == stop:
            return np.empty((0, *self.shape[1:]), self.dtype)
        rows = self._layout.shard_rows
        first, last = start // rows, (stop - 1) // rows
        edges = [start, *(number * rows for number in range(first + 1, last + 1)), stop]
        parts = [
            self._shard(number, a - number * rows, b - number * rows)
            for number, (a, b) in enumerate(pairwise(edges), first)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def take(self, rows: Array) -> Array:
        """Return the rows of given numbers ``(*b,)`` int64, as ``(*b, *shape[1:])``; fetches all between them."""
        if rows.size == 0:
            return np.empty((*rows.shape, *self.shape[1:]), self.dtype)
        low, high = int(rows.min()), int(rows.max())
        return self.read(low, high + 1).take(rows - low, 0)

    def _shard(self, number: int, start: int, stop: int) -> Array:
        width = self._layout.row_bytes
        file = _File(self._store, self._path, self._layout, number, self._files)
        first, end = start * width, stop * width
        data = file.pieces(first, end) if self._in_pieces else file.blocks(first, end)
        return np.frombuffer(data, self.dtype).reshape(stop - start, *self.shape[1:])


class _File:
    """One shard of a remote array."""

    def __init__(self, store: Store, path: str, layout: Layout, number: int, files: Files) -> None:
        self._store, self._name = store, f"{path}/{layout.file(number)}"
        committed = files.committed(layout.file(number))
        needed = layout.rows_of(number) * layout.row_bytes
        if committed is None or committed.size < needed + layout.index_bytes:
            raise DataError("is smaller than its array", where=f"{store.where}/{self._name}", hint=RESTORE)
        self._size, self._sums = committed

    def blocks(self, start: int, stop: int) -> memoryview:
        """Return bytes ``[start, stop)``, having compared the blocks that they lie in."""
        first, end = start // BLOCK, -(-stop // BLOCK)
        data = self._verified(first, end)
        return memoryview(data)[start - first * BLOCK : stop - first * BLOCK]

    def pieces(self, start: int, stop: int) -> memoryview:
        """Return bytes ``[start, stop)`` out of pieces, which are kept."""
        numbers = range(start // PIECE, -(-stop // PIECE))
        parts = [_kept.get((self._store.where, self._name, n), partial(self._piece, n)) for n in numbers]
        joined = parts[0] if len(parts) == 1 else b"".join(parts)
        return memoryview(joined)[start - numbers[0] * PIECE : stop - numbers[0] * PIECE]

    def _piece(self, number: int) -> bytes:
        per_piece = PIECE // BLOCK
        return self._verified(number * per_piece, (number + 1) * per_piece)

    def _verified(self, first: int, end: int) -> bytes:
        """Fetch blocks ``[first, end)`` of the file; once more if they are not what was committed."""
        start, stop = first * BLOCK, min(end * BLOCK, self._size)
        data = self._store.read_range(self._name, start, stop)
        wrong = self._wrong(data, first)
        if wrong is None:
            return data
        data = self._store.read_range(self._name, start, stop)
        wrong = self._wrong(data, first)
        if wrong is not None:
            raise DataError(changed(first + wrong), where=f"{self._store.where}/{self._name}", hint=RESTORE)
        return data

    def _wrong(self, data: bytes, first: int) -> int | None:
        if self._sums is None:
            return None
        return first_difference(data, self._sums(first, first + -(-len(data) // BLOCK)))


class _Pieces:
    """Pieces of remote files, the least recently used of which are forgotten; each is fetched once at a time."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used, self._lock = limit, 0, threading.Lock()
        self._found: OrderedDict[tuple[str, str, int], Future[bytes]] = OrderedDict()

    def get(self, key: tuple[str, str, int], fetch: Callable[[], bytes]) -> bytes:
        """Return a piece, fetching it unless it is there or another thread is fetching it."""
        with self._lock:
            future = self._found.get(key)
            mine = future is None
            if future is None:
                future = self._found[key] = Future()
            self._found.move_to_end(key)
        if mine:
            self._fetch(key, future, fetch)
        return future.result()

    def _fetch(self, key: tuple[str, str, int], future: Future[bytes], fetch: Callable[[], bytes]) -> None:
        try:
            data = fetch()
        except BaseException as error:
            with self._lock:
                self._found.pop(key, None)
            future.set_exception(error)
            return
        future.set_result(data)
        with self._lock:
            self._used += len(data)
            while self._used > self._limit and len(self._found) > 1:
                _, old = self._found.popitem(last=False)
                self._used -= len(old.result()) if old.done() and not old.exception() else 0


_kept = _Pieces(KEPT_BYTES)
