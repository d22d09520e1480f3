"""Sums and products that skip what is zero: a number is a Python float (a constant of the hand) or a tensor.

Written with these, a chain's unrolled kinematics does only the arithmetic that its geometry needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Number = float | Tensor
Vector = list[Number]  # three of them


def times(a: Number, b: Number) -> Number:
    """Product."""
    for one, other in ((a, b), (b, a)):
        if isinstance(one, float) and one in (0.0, 1.0):
            return other if one else 0.0
    return a * b


def plus(a: Number, b: Number) -> Number:
    """Sum."""
    for one, other in ((a, b), (b, a)):
        if isinstance(one, float) and one == 0.0:
            return other
    return a + b


def minus(a: Number, b: Number) -> Number:
    """Difference."""
    if isinstance(b, float) and b == 0.0:
        return a
    return -b if isinstance(a, float) and a == 0.0 else a - b


def plus_product(c: Number, a: Number, b: Number, sign: float = 1.0) -> Number:
    """``c + sign a b``; fused where all three are tensors."""
    if isinstance(a, Tensor) and isinstance(b, Tensor) and isinstance(c, Tensor):
        return torch.addcmul(c, a, b, value=sign)
    return plus(c, times(a, b)) if sign > 0 else minus(c, times(a, b))


def dot(a: Sequence[Number], b: Sequence[Number]) -> Number:
    """Sum of products."""
    total: Number = 0.0
    for x, y in zip(a, b, strict=True):
        total = plus_product(total, x, y)
    return total


def cross(a: Vector, b: Vector) -> Vector:
    """Cross product."""
    pairs = ((1, 2), (2, 0), (0, 1))
    return [plus_product(times(a[i], b[j]), a[j], b[i], -1.0) for i, j in pairs]


def scaled(s: Number, a: Sequence[Number]) -> list[Number]:
    """Every entry of ``a`` times ``s``."""
    return [times(s, x) for x in a]


def scaled_each(s: Sequence[Number], a: Sequence[Number]) -> list[Number]:
    """Entry by entry, ``s`` times ``a``; the shorter one ends it."""
    return [times(x, y) for x, y in zip(s, a, strict=False)]


def as_tensor(x: Number) -> Tensor:
    """Return a number that is known to be a tensor."""
    assert isinstance(x, Tensor)
    return x


def is_zero(a: Sequence[Number]) -> bool:
    """Whether all entries are the constant zero."""
    return all(isinstance(x, float) and x == 0.0 for x in a)


class Constants:
    """Per-finger constants, packed into one tensor; what all fingers share is a plain float.

    ``add`` gives a key; ``read(key, packed)`` the number, ``(F, 1)`` where fingers differ.
    """

    def __init__(self) -> None:
        self._rows: list[NDArray[np.float64]] = []

    def add(self, values: NDArray[np.float64]) -> float | int:
        """Keep ``(F,)`` values; return the float that they share, or the number of their row."""
        if np.ptp(values) == 0:
            return float(values[0])
        self._rows.append(values)
        return len(self._rows) - 1

    def packed(self, like: Tensor) -> Tensor:
        """All rows, ``(rows, F, 1)``, in the dtype and on the device of ``like``."""
        rows = np.stack(self._rows) if self._rows else np.zeros((0, 1))
        return like.new_tensor(rows)[..., None]


def read(key: float | int, packed: Tensor) -> Number:
    """Return the constant behind a key of `Constants`."""
    return key if isinstance(key, float) else packed[key]
