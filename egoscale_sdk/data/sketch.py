"""Quantiles of a stream, by counting in logarithmic buckets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SMALLEST = 1e-4
GROWTH = 1.005
_SIDE = math.ceil(math.log(1e6) / math.log(GROWTH))  # buckets per sign, from 1e-4 to 1e2
_BUCKETS = 2 * _SIDE + 1


class QuantileSketch:
    """Counts of values in columns of ``shape``, from which any quantile follows to 0.25 % of its magnitude.

    Metres or radians: magnitudes under 1e-4 count as zero, those over 100 as 100. The same counts come out in
    whatever order and portions values are added, and merging two sketches is adding their counts.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._counts = np.zeros((math.prod(shape), _BUCKETS), np.int32)
        self._lower = np.full(math.prod(shape), np.inf)
        self._upper = np.full(math.prod(shape), -np.inf)

    @property
    def count(self) -> NDArray[np.int64]:
        """Values per column."""
        total: NDArray[np.int64] = self._counts.sum(1, dtype=np.int64).reshape(self.shape)
        return total

    def add(self, values: Array, mask: NDArray[np.bool_]) -> None:
        """Count the values ``(N, *shape)`` where the mask is set."""
        flat = values.reshape(len(values), -1).astype(np.float64)
        used = mask.reshape(flat.shape)
        columns = np.broadcast_to(np.arange(flat.shape[1]), flat.shape)[used]
        np.add.at(self._counts, (columns, _bucket(flat[used])), 1)
        self._lower = np.minimum(self._lower, np.where(used, flat, np.inf).min(0, initial=np.inf))
        self._upper = np.maximum(self._upper, np.where(used, flat, -np.inf).max(0, initial=-np.inf))

    def merge(self, other: Self) -> Self:
        """Return the sketch of both streams together."""
        return self._with(
            self._counts + other._counts,
            np.minimum(self._lower, other._lower),
            np.maximum(self._upper, other._upper),
            self.shape,
        )

    def columns(self, block: slice) -> Self:
        """Return the sketch of some of the last axis's columns."""
        chosen = np.arange(math.prod(self.shape)).reshape(self.shape)[..., block]
        flat = chosen.ravel()
        return self._with(self._counts[flat], self._lower[flat], self._upper[flat], chosen.shape)

    def quantile(self, share: float) -> NDArray[np.float64]:
        """Return the value below which ``share`` of each column lies; 0 where nothing was counted."""
        total = self._counts.cumsum(1)
        rank = np.floor(share * (total[:, -1:] - 1)) + 1
        values = _middle(np.argmax(total >= rank, axis=1))
        counted = total[:, -1] > 0
        clipped = np.clip(values, np.where(counted, self._lower, 0), np.where(counted, self._upper, 0))
        return clipped.reshape(self.shape)

    def arrays(self, prefix: str) -> dict[str, Array]:
        """Return everything as arrays, the counts sparse, to be stored."""
        places = np.flatnonzero(self._counts)
        values = {"shape": np.array(self.shape), "places": places, "counts": self._counts.ravel()[places]}
        return {f"{prefix}{k}": v for k, v in (values | {"lower": self._lower, "upper": self._upper}).items()}

    @classmethod
    def from_arrays(cls, arrays: Any, prefix: str) -> Self:
        """Undo `arrays`."""
        sketch = cls(tuple(int(n) for n in arrays[f"{prefix}shape"]))
        sketch._counts.ravel()[arrays[f"{prefix}places"]] = arrays[f"{prefix}counts"]
        sketch._lower[:], sketch._upper[:] = arrays[f"{prefix}lower"], arrays[f"{prefix}upper"]
        return sketch

    @classmethod
    def _with(cls, counts: Array, lower: Array, upper: Array, shape: tuple[int, ...]) -> Self:
        sketch = cls.__new__(cls)
        sketch.shape, sketch._counts, sketch._lower, sketch._upper = shape, counts, lower, upper
        return sketch


def _bucket(values: Array) -> NDArray[np.int64]:
    size = np.abs(values)
    level = 1 + np.floor(np.log(np.maximum(size, SMALLEST) / SMALLEST) / math.log(GROWTH))
    level = np.where(size < SMALLEST, 0, np.minimum(level, _SIDE))
    bucket: NDArray[np.int64] = (_SIDE + np.sign(values) * level).astype(np.int64)
    return bucket


def _middle(bucket: NDArray[np.int64]) -> NDArray[np.float64]:
    """Geometric middle of a bucket."""
    level = np.abs(bucket - _SIDE)
    size = np.where(level == 0, 0.0, SMALLEST * GROWTH ** (level - 0.5))
    middle: NDArray[np.float64] = np.sign(bucket - _SIDE) * size
    return middle


def save_arrays(file: Path, arrays: dict[str, Array]) -> None:
    """Write arrays to an NPZ file in one step; without permission to write nothing happens."""
    temporary = file.with_name(f".{file.name}.{id(arrays)}.npz")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
