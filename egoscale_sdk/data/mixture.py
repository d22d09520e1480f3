"""Which windows make up which batch: a pure function of the seed and the step."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.windows import WindowDataset
from egoscale_sdk.errors import RecipeError

Indices = NDArray[np.int64]


class Mixture:
    """Windows of several datasets in fixed proportions.

    Of the first n windows drawn, each dataset has its share of n, rounded: never off by as much as the number of
    datasets, whatever n. Within a dataset every window is drawn once before any is drawn again, each time around in
    a new order. Nothing is remembered from step to step, so that resuming is exact.

    Args:
        parts: Datasets and their weights; only the proportions of the weights matter.
        batch_size: Windows per step.
        seed: Selects the order.

    Raises:
        RecipeError: no dataset, a weight that is not positive, or no room in a batch.
    """

    def __init__(self, parts: Sequence[tuple[WindowDataset, float]], batch_size: int, seed: int) -> None:
        if not parts or batch_size < 1 or not all(0 < weight < float("inf") for _, weight in parts):
            raise RecipeError(
                f"a mixture needs a dataset, positive weights and a positive batch size; has "
                f"{[weight for _, weight in parts]} and {batch_size}"
            )
        self.parts = tuple(parts)
        self.batch_size, self.seed = batch_size, seed
        self._weights = tuple(Fraction(weight) for _, weight in parts)

    def indices(self, step: int) -> list[tuple[int, Indices]]:
        """Return the batch of a step: number of each dataset that has a part in it, and its window numbers."""
        before = self.drawn(step * self.batch_size)
        after = self.drawn((step + 1) * self.batch_size)
        drawn = enumerate(zip(before, after, strict=True))
        return [(number, self._draw(number, start, stop)) for number, (start, stop) in drawn if stop > start]

    def drawn(self, count: int) -> list[int]:
        """How many of the first ``count`` windows come from each dataset; never falls as ``count`` grows.

        The first dataset takes its share of all, the second its share of what is left, and so on.
        """
        left, weight_left, counts = count, sum(self._weights), []
        for weight in self._weights:
            counts.append(int(left * weight / weight_left))
            left, weight_left = left - counts[-1], weight_left - weight
        return counts

    def _draw(self, number: int, start: int, stop: int) -> Indices:
        size = len(self.parts[number][0])
        parts = []
        while start < stop:
            epoch, first = divmod(start, size)
            last = min(size, first + stop - start)
            parts.append(_order(self.seed, number, epoch, size)[first:last])
            start += last - first
        return np.concatenate(parts)


@lru_cache(maxsize=16)
def _order(seed: int, number: int, epoch: int, size: int) -> Indices:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, number, epoch)))).permutation(size)
