"""Which windows make up which batch: a pure function of the seed and the step."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from egoscale_sdk.data.order import BlockOrder, Blocks, Indices
from egoscale_sdk.data.windows import WindowDataset
from egoscale_sdk.errors import RecipeError


class Mixture:
    """Windows of several datasets in fixed proportions.

    Of the first n windows drawn, each dataset has its share of n, rounded: never off by as much as the number of
    datasets, whatever n. Within a dataset every window is drawn once before any is drawn again, each time around in
    a new order. Nothing is remembered from step to step, so that resuming is exact, and memory does not grow with the
    datasets.

    Args:
        parts: Datasets and their weights; only the proportions of the weights matter.
        batch_size: Windows per step, over all processes.
        seed: Selects the order.
        blocks: How far the windows of a dataset are shuffled. By default each is drawn alone, or, where a dataset is
            on an object store, neighbours are read together.

    Raises:
        RecipeError: no dataset, a weight that is not positive, or no room in a batch.
    """

    def __init__(
        self,
        parts: Sequence[tuple[WindowDataset, float]],
        batch_size: int,
        seed: int,
        blocks: Blocks | None = None,
    ) -> None:
        if blocks is None:
            blocks = Blocks() if any(windows.remote for windows, _ in parts) else Blocks(block=1)
        if not parts or batch_size < 1 or not all(0 < weight < float("inf") for _, weight in parts):
            raise RecipeError(
                f"a mixture needs a dataset, positive weights and a positive batch size; has "
                f"{[weight for _, weight in parts]} and {batch_size}"
            )
        if seed < 0:
            raise RecipeError(f"the seed of a mixture is {seed}, which is negative")
        if min(blocks.block, blocks.buffer, blocks.streams) < 1:
            raise RecipeError(f"block, buffer and streams are positive numbers, not {blocks}")
        self.parts = tuple(parts)
        self.batch_size, self.seed, self.blocks = batch_size, seed, blocks
        self._weights = tuple(Fraction(weight) for _, weight in parts)

    def indices(self, step: int) -> list[tuple[int, Indices]]:
        """Return the batch of a step: number of each dataset that has a part in it, and its window numbers."""
        return self.share(step)

    def share(self, step: int, rank: int = 0, ranks: int = 1) -> list[tuple[int, Indices]]:
        """Return what one of several processes does of a step; together they do `indices`, and nothing twice.

        Windows that are drawn alone are dealt out evenly. In blocks a process has the draws of its own streams.

        Raises:
            RecipeError: the streams cannot be dealt out evenly over so many processes.
        """
        return [(number, self.windows(number, draws)) for number, draws in self.draws(step, rank, ranks)]

    def draws(self, step: int, rank: int = 0, ranks: int = 1) -> list[tuple[int, Indices]]:
        """Return like `share`, instead of each window how many of its dataset were drawn before it in all steps.

        Raises:
            RecipeError: the streams cannot be dealt out evenly over so many processes.
        """
        if not 0 <= rank < ranks:
            raise RecipeError(f"there is no process {rank} of {ranks}")
        if self.blocks.block > 1:
            self._check_streams(ranks)
        before, after = self.drawn(step * self.batch_size), self.drawn((step + 1) * self.batch_size)
        dealt, found = 0, []
        for number, (start, stop) in enumerate(zip(before, after, strict=True)):
            own = np.arange(start, stop)
            if self.blocks.block == 1:
                own = own[(rank - dealt) % ranks :: ranks]
            else:
                own = own[own % len(self.parts[number][0]) % self.blocks.streams % ranks == rank]
            dealt += stop - start
            found += [(number, own)] if len(own) else []
        return found

    def windows(self, number: int, draws: Indices) -> Indices:
        """Return the windows ``(N,)`` that a dataset gives at its ``draws (N,)``."""
        epoch, place = np.divmod(draws, len(self.parts[number][0]))
        found = np.empty(len(draws), np.int64)
        for time in np.unique(epoch).tolist():
            here = epoch == time
            found[here] = self.order(number, time)(place[here])
        return found

    def drawn(self, count: int) -> list[int]:
        """How many of the first ``count`` windows come from each dataset; never falls as ``count`` grows.

        The first dataset takes its share of all, the second its share of what is left, and so on.
        """
        left, weight_left, counts = count, sum(self._weights), []
        for weight in self._weights:
            counts.append(int(left * weight / weight_left))
            left, weight_left = left - counts[-1], weight_left - weight
        return counts

    def order(self, number: int, epoch: int) -> BlockOrder:
        """Return in which order the windows of a dataset are drawn the ``epoch``-th time around."""
        return _order(len(self.parts[number][0]), self.blocks, self.seed, number, epoch)

    def _check_streams(self, ranks: int) -> None:
        if self.blocks.streams % ranks:
            raise RecipeError(
                f"{self.blocks.streams} streams of blocks cannot be dealt out over {ranks} processes",
                hint=f"choose a multiple of {ranks} and keep it when the number of processes changes",
            )


@lru_cache(maxsize=64)
def _order(size: int, blocks: Blocks, seed: int, number: int, epoch: int) -> BlockOrder:
    return BlockOrder(size, blocks, seed, number, epoch)
