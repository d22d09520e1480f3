"""Distributions of a stream: counts, moments and quantiles of every column, in memory that does not grow."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import DataError

Array = NDArray[Any]

SMALLEST = 1e-4
GROWTH = 1.005
_SIDE = math.ceil(math.log(1e6) / math.log(GROWTH))  # buckets per sign, from 1e-4 to 1e2
_BUCKETS = 2 * _SIDE + 1
_MOST = np.iinfo(np.uint32).max


class QuantileSketch:
    """Of every column of ``shape``: how many values, their mean and range, and by logarithmic buckets any quantile.

    A quantile is right to 0.25 % of its magnitude. Metres or radians: there magnitudes under 1e-4 count as zero,
    those over 100 as 100. The same counts come out in whatever order and portions values are added, and merging two
    sketches is adding their counts.

    Attributes:
        count: ``shape`` int64.
        mean: ``shape``; 0 where nothing was counted.
        m2: ``shape``, sum of squared deviations from the mean.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._counts = np.zeros((math.prod(shape), _BUCKETS), np.uint32)
        self._lower = np.full(math.prod(shape), np.inf)
        self._upper = np.full(math.prod(shape), -np.inf)
        self.count = np.zeros(shape, np.int64)
        self.mean, self.m2 = np.zeros(shape), np.zeros(shape)

    @property
    def lower(self) -> NDArray[np.float64]:
        """Smallest value of each column; inf where nothing was counted."""
        return self._lower.reshape(self.shape)

    @property
    def upper(self) -> NDArray[np.float64]:
        """Largest value of each column; -inf where nothing was counted."""
        return self._upper.reshape(self.shape)

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of each column; 0 where nothing was counted."""
        deviation: NDArray[np.float64] = np.sqrt(self.m2 / np.maximum(self.count, 1))
        return deviation

    def add(self, values: Array, mask: NDArray[np.bool_]) -> None:
        """Count the values ``(N, *shape)`` where the mask is set.

        Raises:
            DataError: there are more values than can be counted, four thousand million.
        """
        if len(values) == 0:
            return
        flat = values.reshape(len(values), -1).astype(np.float64)
        used = mask.reshape(flat.shape)
        count = used.sum(0)
        if self.count.max(initial=0) + len(flat) > _MOST:
            raise DataError(f"more than {_MOST} values are too many to count", hint="use a larger stride")
        place = np.arange(flat.shape[1]) * _BUCKETS + _bucket(flat)
        np.add.at(self._counts.ravel(), place[used], np.uint32(1))
        self._lower = np.minimum(self._lower, np.where(used, flat, np.inf).min(0))
        self._upper = np.maximum(self._upper, np.where(used, flat, -np.inf).max(0))
        mean = np.where(used, flat, 0).sum(0) / np.maximum(count, 1)
        m2 = np.where(used, (flat - mean) ** 2, 0).sum(0)
        new = (count.reshape(self.shape), mean.reshape(self.shape), m2.reshape(self.shape))
        self._moments((self.count, self.mean, self.m2), new)

    def merge(self, other: Self) -> Self:
        """Return the sketch of both streams together."""
        merged = self._with(
            self.shape,
            self._counts.astype(np.int64) + other._counts,
            np.minimum(self._lower, other._lower),
            np.maximum(self._upper, other._upper),
        )
        merged._moments((self.count, self.mean, self.m2), (other.count, other.mean, other.m2))
        return merged

    def columns(self, block: slice) -> Self:
        """Return the sketch of some of the last axis's columns."""
        chosen = np.arange(math.prod(self.shape)).reshape(self.shape)[..., block]
        flat = chosen.ravel()
        part = self._with(chosen.shape, self._counts[flat], self._lower[flat], self._upper[flat])
        part.count, part.mean, part.m2 = self.count[..., block], self.mean[..., block], self.m2[..., block]
        return part

    def quantile(self, share: float) -> NDArray[np.float64]:
        """Return the value below which ``share`` of each column lies; 0 where nothing was counted."""
        return np.array([self._quantile(column, share) for column in range(len(self._counts))]).reshape(self.shape)

    def _quantile(self, column: int, share: float) -> float:
        total = self._counts[column].cumsum(dtype=np.int64)
        if total[-1] == 0:
            return 0.0
        rank = math.floor(share * (int(total[-1]) - 1)) + 1
        value = _middle(int(np.searchsorted(total, rank)))
        return float(min(max(value, self._lower[column]), self._upper[column]))

    def arrays(self, prefix: str) -> dict[str, Array]:
        """Return everything as arrays, the counts sparse, to be stored."""
        places = np.flatnonzero(self._counts)
        values = {"shape": np.array(self.shape), "places": places, "counts": self._counts.ravel()[places]}
        values |= {"lower": self._lower, "upper": self._upper, "mean": self.mean, "m2": self.m2}
        values["count"] = self.count
        return {f"{prefix}{name}": array for name, array in values.items()}

    @classmethod
    def from_arrays(cls, arrays: Any, prefix: str) -> Self:
        """Undo `arrays`."""
        sketch = cls(tuple(int(n) for n in arrays[f"{prefix}shape"]))
        sketch._counts.ravel()[arrays[f"{prefix}places"]] = arrays[f"{prefix}counts"]
        sketch._lower[:], sketch._upper[:] = arrays[f"{prefix}lower"], arrays[f"{prefix}upper"]
        for name in ("count", "mean", "m2"):
            getattr(sketch, name)[:] = arrays[f"{prefix}{name}"]
        return sketch

    @classmethod
    def _with(cls, shape: tuple[int, ...], counts: Array, lower: Array, upper: Array) -> Self:
        sketch = cls.__new__(cls)
        sketch.shape, sketch._counts, sketch._lower, sketch._upper = shape, counts, lower, upper
        return sketch

    def _moments(self, a: tuple[Array, Array, Array], b: tuple[Array, Array, Array]) -> None:
        """Set count, mean and squared deviations to those of two streams together (Chan)."""
        self.count = a[0] + b[0]
        apart, share = b[1] - a[1], b[0] / np.maximum(self.count, 1)
        self.mean, self.m2 = a[1] + apart * share, a[2] + b[2] + apart**2 * (a[0] * share)


def _bucket(values: Array) -> NDArray[np.int64]:
    size = np.abs(values)
    level = np.log(np.maximum(size, SMALLEST) / SMALLEST)
    level /= math.log(GROWTH)
    np.minimum(level + 1, _SIDE, out=level)
    level[size < SMALLEST] = 0
    bucket: NDArray[np.int64] = np.copysign(np.floor(level), values).astype(np.int64)
    bucket += _SIDE
    return bucket


def _middle(bucket: int) -> float:
    """Geometric middle of a bucket."""
    level = abs(bucket - _SIDE)
    return math.copysign(SMALLEST * GROWTH ** (level - 0.5), bucket - _SIDE) if level else 0.0
