"""Reading one step of a mixture: from disks directly, from object stores by blocks; damaged segments set aside."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.buffers import BufferPool
from egoscale_sdk.data.fetching import BlockFeed
from egoscale_sdk.data.mixture import Mixture
from egoscale_sdk.data.order import Indices
from egoscale_sdk.data.store import StoreError
from egoscale_sdk.data.windows import Batch
from egoscale_sdk.errors import DataError

Step = list[tuple[int, Batch]]
"""What a process does in one step: windows of each dataset that has a part in it, with the dataset's number."""
Draws = Callable[[int], list[tuple[int, Indices]]]
_FURTHER = 1000
"""How many times the length of a step is looked ahead for windows that are left."""
_log = logging.getLogger("egoscale.data")


class Feeds(dict[int, BlockFeed]):
    """The feeds of those datasets of a mixture that are far away, by number; closed with the context."""

    def __init__(self, mixture: Mixture, draws: Draws, *, images: bool) -> None:
        numbers = [number for number, (windows, _) in enumerate(mixture.parts) if windows.remote]
        if mixture.blocks.block > 1:
            super().__init__((number, BlockFeed(mixture, number, draws, images=images)) for number in numbers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for feed in self.values():
            feed.close()


class StepReader:
    """Reads steps, in any thread.

    Args:
        mixture: Of what.
        images: Whether to decode images.
        skip: Whether damaged segments are set aside rather than reported.
    """

    def __init__(self, mixture: Mixture, *, images: bool, skip: bool) -> None:
        self._mixture, self._images, self._skip = mixture, images, skip
        self._pool = BufferPool()
        self.quarantine: dict[str, DataError] = {}

    def __call__(self, draws: list[tuple[int, Indices]], feeds: Feeds) -> Step:
        """Read the draws of a step; where nothing of them is left, what is drawn next and is sound.

        Raises:
            DataError: a dataset is damaged and may not be skipped, or nothing is left.
        """
        found = [(number, self._batch(number, own, feeds.get(number))) for number, own in draws]
        step = [(number, batch) for number, batch in found if batch is not None]
        return step if step or not draws else [self._instead(draws)]

    def _instead(self, draws: list[tuple[int, Indices]]) -> tuple[int, Batch]:
        """Read later windows in place of draws that were all set aside: a process that shares a step needs some."""
        for later in range(1, _FURTHER):
            for number, own in draws:
                batch = self._batch(number, own + later * len(own), None)
                if batch is not None:
                    return number, batch
        raise DataError(
            "every window of a step, and those after it, lie in segments that were set aside",
            where=next(iter(self.quarantine), ""),
        )

    def _batch(self, number: int, draws: Indices, feed: BlockFeed | None) -> Batch | None:
        try:
            return self._read(number, self._sound(number, draws), feed)
        except StoreError:
            raise
        except DataError:
            if not self._skip or not self._set_aside(number, draws, feed):
                raise
        return self._read(number, self._sound(number, draws), feed)

    def _read(self, number: int, draws: Indices, feed: BlockFeed | None) -> Batch | None:
        if not len(draws):
            return None
        source, windows = self._mixture.parts[number][0], self._mixture.windows(number, draws)
        if feed is not None:
            try:
                parts, standing = feed.parts(draws), source.standing(windows)
                return source.assemble(parts, standing, images=self._images, new_images=self._pool)
            except IndexError:
                pass  # its rows follow each other faster than declared: a window reaches out of its block
        return source.batch(windows, images=self._images, new_images=self._pool)

    def _places(self, number: int, draws: Indices) -> NDArray[np.object_]:
        """Return in which segment each draw lies, as `quarantine` names it."""
        source = self._mixture.parts[number][0]
        standing = source.standing(self._mixture.windows(number, draws))
        segments, which = np.unique(source.segment_of(standing.episode), return_inverse=True)
        paths = source.dataset.index.segments
        names = [f"{source.dataset.where}/{paths[segment]}" for segment in segments.tolist()]
        return np.array(names, object)[which]

    def _sound(self, number: int, draws: Indices) -> Indices:
        """Leave out what lies in segments that were set aside."""
        if not self.quarantine:
            return draws
        return draws[[place not in self.quarantine for place in self._places(number, draws)]]

    def _set_aside(self, number: int, draws: Indices, feed: BlockFeed | None) -> bool:
        """Try one segment after the other; return whether some are set aside now, by this thread or another."""
        places = self._places(number, draws)
        for place in sorted({*places} - {*self.quarantine}):
            try:
                self._read(number, draws[places == place], feed)
            except StoreError:
                raise
            except DataError as error:
                self.quarantine[place] = error
                _log.warning("segment set aside: %s: %s", place, error)
        return not self.quarantine.keys().isdisjoint(places)
