"""Blocks that the next steps of a mixture need, fetched before they are drawn.

A dataset's windows are drawn buffer by buffer (`BlockOrder`), so that its blocks are known long before: while one
buffer is used up the next is fetched, compressed. A block is let go when no step that is foreseen draws from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.blocks import Block, BlockReader, Span
from egoscale_sdk.data.gather import Part
from egoscale_sdk.data.mixture import Mixture
from egoscale_sdk.data.order import Indices
from egoscale_sdk.data.places import Standing

Key = tuple[int, int]
"""Epoch and number of a block."""
ARRAYS = ("time", "action", "valid", "state", "state_valid")
_APART = 64
"""Rows between two windows of a block that are rather left out than fetched."""


@dataclass
class _Held:
    """A block of windows: the pieces of segments that hold them, and the last step that draws from it."""

    pieces: list[Future[Block | None]]
    piece_of: NDArray[np.int64]  # (windows,)
    last: int


class BlockFeed:
    """Fetches the blocks of one dataset of a mixture, in the order in which its windows are drawn.

    Args:
        mixture: What is drawn.
        number: Of the dataset.
        draws: What this process draws of a step, as `Mixture.draws`.
        images: Whether images are wanted.
        in_flight: Blocks that are fetched at the same time.
    """

    def __init__(
        self,
        mixture: Mixture,
        number: int,
        draws: Callable[[int], list[tuple[int, Indices]]],
        *,
        images: bool = True,
        in_flight: int = 8,
    ) -> None:
        self._mixture, self._number, self._draws = mixture, number, draws
        self._windows = mixture.parts[number][0]
        self.reader = BlockReader(
            self._windows.dataset,
            self._windows.action_set.name,
            list(self._windows.image_sizes) if images else [],
            arrays=ARRAYS,
            in_flight=in_flight,
        )
        self._held: dict[Key, _Held] = {}
        self._foreseen = 0
        self._reach = self._steps_of_a_buffer()

    def foresee(self, step: int, stop: int | None, distance: int, done: int) -> None:
        """Fetch what every ``distance``-th step from ``step`` on needs, as far as one buffer reaches.

        What only steps before ``done`` needed is let go.
        """
        for key in [key for key, held in self._held.items() if held.last < done]:
            del self._held[key]
        end = step + self._reach if stop is None else min(step + self._reach, stop)
        self._foreseen = max(self._foreseen, step)
        while self._foreseen < end:
            for number, draws in self._draws(self._foreseen):
                if number == self._number:
                    self._want(self._foreseen, draws)
            self._foreseen += distance

    def parts(self, draws: Indices) -> list[Part]:
        """Return where the windows of foreseen ``draws (B,)`` are, having waited for them.

        Raises:
            DataError: a block is damaged, or the store does not answer.
        """
        groups: dict[tuple[Key, int], list[int]] = {}
        for place, (key, offset) in enumerate(self._blocks_of(draws)):
            groups.setdefault((key, int(self._held[key].piece_of[offset])), []).append(place)
        found = []
        for (key, piece), places in groups.items():
            block = self._held[key].pieces[piece].result()
            assert block is not None, "the reader raises what is wrong"
            found.append(Part(block, np.array(places)))
        return found

    def close(self) -> None:
        """Stop fetching."""
        self.reader.close()

    def _steps_of_a_buffer(self) -> int:
        blocks = self._mixture.blocks
        drawn = self._mixture.drawn(10**6)[self._number] / 10**6 * self._mixture.batch_size  # in a step
        return math.ceil(blocks.block * blocks.together * blocks.streams / max(drawn, 1e-6)) + 1

    def _want(self, step: int, draws: Indices) -> None:
        for key, _ in self._blocks_of(draws):
            if key not in self._held:
                self._held[key] = self._fetch(key, step)
            self._held[key].last = step

    def _blocks_of(self, draws: Indices) -> list[tuple[Key, int]]:
        """Return for each draw the block of its window, and the window's place there."""
        windows = self._mixture.windows(self._number, draws)
        epochs = draws // len(self._windows)
        found: list[tuple[Key, int]] = []
        for epoch in np.unique(epochs).tolist():
            block, offset = self._mixture.order(self._number, epoch).place_of(windows[epochs == epoch])
            found += [((epoch, number), place) for number, place in zip(block.tolist(), offset.tolist(), strict=True)]
        return found

    def _fetch(self, key: Key, step: int) -> _Held:
        epoch, block = key
        at = self._windows.standing(self._mixture.order(self._number, epoch).windows_of(block))
        segment = self._windows.segment_of(at.episode)
        before, after = self._windows.margins
        gap = (np.diff(segment) != 0) | (np.diff(at.row) < 0) | (np.diff(at.row) > before + after + _APART)
        edges = [0, *(np.flatnonzero(gap) + 1).tolist(), len(segment)]
        pieces = [self._piece(int(segment[a]), Standing(*(c[a:b] for c in at))) for a, b in pairwise(edges)]
        return _Held(pieces, np.repeat(np.arange(len(pieces)), np.diff(edges)), step)

    def _piece(self, segment: int, at: Standing) -> Future[Any]:
        before, after = self._windows.margins
        start = int(np.maximum(at.low, at.row - before).min())
        stop = int(np.minimum(at.high, at.row + after + 1).max())
        path = self._windows.dataset.index.segments[segment]
        return self.reader.fetch(Span(path, start, stop), (start, int(at.row.max()) + 1))
