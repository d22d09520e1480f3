"""The statistics that a LeRobot dataset carries: of every feature, for each episode and for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import Floats

Stats = dict[str, Any]
"""min, max, mean, std, q01, q10, q50, q90, q99 (nested lists) and count (a list of one)."""
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
KEPT_ROWS = 32_768
_LEVELS = 256


class NumberStats:
    """Statistics of a feature of numbers, of all rows so far.

    Quantiles are exact up to 32,768 rows; beyond, they are those of every second, fourth, eighth ... row.
    """

    def __init__(self, width: int) -> None:
        self._count, self._mean, self._m2 = 0, np.zeros(width), np.zeros(width)
        self._lower, self._upper = np.full(width, np.inf), np.full(width, -np.inf)
        self._kept: list[Floats] = []
        self._stride, self._next = 1, 0

    def add(self, values: Floats) -> Stats:
        """Add the rows ``(T, N)`` of an episode; returns their own statistics."""
        rows = values.astype(np.float64)
        mean, m2 = rows.mean(0), ((rows - rows.mean(0)) ** 2).sum(0)
        total = self._count + len(rows)
        step = mean - self._mean
        self._mean = self._mean + step * len(rows) / total
        self._m2 = self._m2 + m2 + step**2 * self._count * len(rows) / total
        self._lower, self._upper = np.minimum(self._lower, rows.min(0)), np.maximum(self._upper, rows.max(0))
        self._keep(values)
        self._count = total
        return _stats(len(rows), rows.min(0), rows.max(0), mean, m2, rows)

    def total(self) -> Stats:
        """Return the statistics of all rows."""
        return _stats(self._count, self._lower, self._upper, self._mean, self._m2, np.concatenate(self._kept))

    def _keep(self, values: Floats) -> None:
        self._kept.append(values[self._next - self._count :: self._stride].copy())
        taken = len(self._kept[-1])
        self._next += taken * self._stride
        while sum(map(len, self._kept)) > KEPT_ROWS:
            every = np.concatenate(self._kept)[::2]
            self._stride *= 2
            self._kept, self._next = [every], len(every) * self._stride


class PictureStats:
    """Statistics of a camera's pictures, per channel in [0, 1] and of shape (3, 1, 1), from counts of pixel values."""

    def __init__(self) -> None:
        self._pictures, self._counts = 0, np.zeros((3, _LEVELS), np.int64)

    def add(self, pictures: list[NDArray[np.uint8]]) -> Stats:
        """Add some pictures ``(h, w, 3)`` of an episode; returns their own statistics."""
        counts = np.zeros((3, _LEVELS), np.int64)
        for picture in pictures:
            for channel in range(3):
                counts[channel] += np.bincount(picture[..., channel].ravel(), minlength=_LEVELS)
        self._pictures, self._counts = self._pictures + len(pictures), self._counts + counts
        return _picture_stats(len(pictures), counts)

    def total(self) -> Stats:
        """Return the statistics of all pictures that were added."""
        return _picture_stats(self._pictures, self._counts)


def _stats(count: int, lower: Floats, upper: Floats, mean: Floats, m2: Floats, rows: Floats) -> Stats:
    figures = {"min": lower, "max": upper, "mean": mean, "std": np.sqrt(m2 / count)}
    figures |= dict(zip(QUANTILES, np.quantile(rows, list(QUANTILES.values()), axis=0), strict=True))
    return {name: values.tolist() for name, values in figures.items()} | {"count": [count]}


def _picture_stats(pictures: int, counts: NDArray[np.int64]) -> Stats:
    level, total = np.arange(_LEVELS) / (_LEVELS - 1), np.maximum(counts.sum(1), 1)
    mean = counts @ level / total
    spread = np.sqrt(np.maximum(counts @ level**2 / total - mean**2, 0))
    reached = counts.cumsum(1) / total[:, None]
    at = {name: level[(reached >= share).argmax(1)] for name, share in QUANTILES.items()}
    present = counts > 0
    lower, upper = level[present.argmax(1)], level[_LEVELS - 1 - present[:, ::-1].argmax(1)]
    figures = {"min": lower, "max": upper, "mean": mean, "std": spread, **at}
    return {name: values.reshape(3, 1, 1).tolist() for name, values in figures.items()} | {"count": [pictures]}
