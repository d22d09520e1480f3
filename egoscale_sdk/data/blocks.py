"""Blocks of neighbouring rows with their compressed images, fetched several at a time, from a disk or from afar.

A training run that reads an object store asks for blocks rather than for rows: a few requests bring what some hundred
windows need. Every block is compared with its checksums. What to do about damage is the caller's choice: stop, or set
the segment aside and go on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.segment import Segment, StoredObject
from egoscale_sdk.data.store import StoreError
from egoscale_sdk.errors import DataError

Array = NDArray[Any]
ARRAYS = ("time", "map_id", "action", "valid", "state", "state_valid")
PARTS_IN_FLIGHT = 4
"""Requests per block that may be in flight at the same time, on the average."""
_log = logging.getLogger("egoscale.data")


class Span(NamedTuple):
    """Rows ``[start, stop)`` of a base segment."""

    segment: str
    start: int
    stop: int


@dataclass(frozen=True)
class BlockImages:
    """Images that some rows of a camera see: ``data`` are JPEGs one after the other, as they are stored.

    Attributes:
        start: Row of the segment of the first entry of ``image``.
        image: ``(n,)`` number of the image that each row sees, -1 for none.
        offsets: ``(k + 1,)`` where each image begins.
        data: ``(bytes,)`` uint8.
    """

    start: int
    image: NDArray[np.int32]
    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]

    def jpeg(self, row: int) -> NDArray[np.uint8] | None:
        """Return the JPEG that a row of the segment sees, or None."""
        if not 0 <= row - self.start < len(self.image):
            raise IndexError(f"row {row} is not in {self.start}..{self.start + len(self.image)}")
        number = int(self.image[row - self.start])
        return None if number < 0 else self.data[self.offsets[number] : self.offsets[number + 1]]


@dataclass(frozen=True)
class Block:
    """Rows of one segment in memory; they keep the numbers that they have in the segment."""

    span: Span
    arrays: dict[str, Array]
    images: dict[str, BlockImages]

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        streams = (part for images in self.images.values() for part in (images.image, images.offsets, images.data))
        return sum(values.nbytes for values in (*self.arrays.values(), *streams))

    def take(self, name: str, rows: Array) -> Array:
        """Return the rows of given numbers ``(*b,)`` of an array, as ``(*b, ...)``."""
        if rows.size and not (self.span.start <= rows.min() and rows.max() < self.span.stop):
            raise IndexError(f"rows {rows.min()}..{rows.max()} are not in {self.span.start}..{self.span.stop}")
        return self.arrays[name].take(rows - self.span.start, 0)

    def jpegs(self, camera: str, rows: Array) -> list[NDArray[np.uint8] | None]:
        """Return what a camera shows at ``rows (n,)``; None where nothing."""
        images = self.images[camera]
        return [images.jpeg(row) for row in rows.tolist()]


class BlockReader:
    """Fetches blocks of a dataset, several at a time; may be used by any thread, and by a forked or spawned process.

    Args:
        dataset: Where the rows are.
        action_set: Whose ``action`` and ``valid`` are read; by default what was recorded.
        cameras: By default all that the dataset has.
        arrays: Names of the arrays to read; those that a segment lacks are left out.
        in_flight: Blocks that are worked on at the same time.
        on_damage: ``raise`` what is wrong, or ``skip`` the segment from then on.
    """

    def __init__(
        self,
        dataset: Dataset,
        action_set: str | None = "native",
        cameras: Sequence[str] | None = None,
        *,
        arrays: Sequence[str] = ARRAYS,
        in_flight: int = 8,
        on_damage: Literal["raise", "skip"] = "raise",
    ) -> None:
        if on_damage not in ("raise", "skip"):
            raise DataError(f"is {on_damage!r}", where="on_damage", allowed=["raise", "skip"])
        self._dataset, self._set = dataset, dataset.action_set(action_set).name
        declared = [camera.name for camera in dataset.declaration.cameras]
        self._cameras = tuple(declared if cameras is None else (name for name in cameras if name in declared))
        self._arrays, self._in_flight, self._skip = tuple(arrays), max(1, in_flight), on_damage == "skip"
        self._quarantine: dict[str, DataError] = {}
        self._pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor] | None = None
        self._owner = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pools": None, "_owner": 0}

    @property
    def quarantine(self) -> Mapping[str, DataError]:
        """Segments that are set aside, and what is wrong with them."""
        return MappingProxyType(self._quarantine)

    def fetch(self, rows: Span, images: tuple[int, int] | None = None) -> Future[Block | None]:
        """Begin to fetch a block.

        Args:
            rows: Rows whose arrays are wanted.
            images: Rows ``[start, stop)`` of the same segment whose images are wanted; by default the same rows.

        Returns:
            What becomes the block, or None where the segment is set aside. It raises `DataError` for damage if it is
            not skipped, and `StoreError` where the store does not answer.
        """
        return self._open_pools()[0].submit(self.read, rows, images)

    def read(self, rows: Span, images: tuple[int, int] | None = None) -> Block | None:
        """Fetch a block now; see `fetch`."""
        known = self._quarantine.get(rows.segment)
        try:
            if known is not None:
                raise known
            return self._read(rows, images or (rows.start, rows.stop))
        except StoreError:
            raise
        except DataError as error:
            if known is None:
                self._quarantine[rows.segment] = error
                _log.warning("segment set aside: %s: %s", rows.segment, error)
            if self._skip:
                return None
            raise

    def close(self) -> None:
        """Stop; what was not begun is cancelled."""
        pools, self._pools = self._pools, None
        if pools is not None and self._owner == os.getpid():
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, rows: Span, images: tuple[int, int]) -> Block:
        segment = self._dataset.segment(rows.segment)
        actions = segment if self._set == "native" else self._dataset.derived(self._set, rows.segment)
        sources = {name: actions if name in ("action", "valid") else segment for name in self._arrays}
        sources = {name: source for name, source in sources.items() if source.has(name)}
        if self._dataset.store.local is not None:
            arrays = {name: source.array(name).read(rows.start, rows.stop) for name, source in sources.items()}
            return Block(rows, arrays, {name: _images(segment, name, *images) for name in self._cameras})
        pool = self._open_pools()[1]
        streams = {name: pool.submit(_images, segment, name, *images) for name in self._cameras}
        parts = {name: pool.submit(_rows, source, name, rows) for name, source in sources.items()}
        return Block(
            rows,
            {name: part.result() for name, part in parts.items()},
            {name: stream.result() for name, stream in streams.items()},
        )

    def _open_pools(self) -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
        """Return the threads for blocks and for their parts; a process that was forked has none of its parent's."""
        if self._pools is None or self._owner != os.getpid():
            blocks = ThreadPoolExecutor(self._in_flight, "egoscale-blocks")
            parts = ThreadPoolExecutor(self._in_flight * PARTS_IN_FLIGHT, "egoscale-parts")
            self._pools, self._owner = (blocks, parts), os.getpid()
        return self._pools


def _rows(source: StoredObject, name: str, rows: Span) -> Array:
    return source.array(name).read(rows.start, rows.stop)


def _images(segment: Segment, camera: str, start: int, stop: int) -> BlockImages:
    image = segment.array(f"cams/{camera}/row").read(start, stop)
    seen = image[image >= 0]
    if not len(seen):
        return BlockImages(start, image, np.zeros(1, np.int64), np.empty(0, np.uint8))
    first, last = int(seen.min()), int(seen.max())
    offsets = segment.array(f"cams/{camera}/offsets").read(first, last + 2).astype(np.int64)
    data = segment.array(f"cams/{camera}/data").read(int(offsets[0]), int(offsets[-1]))
    return BlockImages(start, np.where(image < 0, -1, image - first).astype(np.int32), offsets - offsets[0], data)
