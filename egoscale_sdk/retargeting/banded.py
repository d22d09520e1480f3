"""A zero-phase smoother of many trajectories at once (Whittaker 1923), by its pentadiagonal factors."""

from __future__ import annotations

import torch
from torch import Tensor


class Whittaker:
    r"""Smooths trajectories ``x`` to the ``z`` of least cost.

    .. math:: \sum_t \rho_t (z_t - x_t)^2 + \sum_t s_t (z_{t-1} - 2 z_t + z_{t+1})^2

    A straight line stays as it is, also at its ends; where ``rho`` is small, ``z``
    follows from the frames around; where ``s`` is zero, nothing holds the two sides together. The matrix is factorised
    once, ``L D L^T`` with two bands, and solved in two sweeps over time.

    Args:
        rho: ``(T, *v)`` weights, positive.
        stiffness: ``(T, *v)`` the numbers s, not negative; the first and the last are not used.
    """

    def __init__(self, rho: Tensor, stiffness: Tensor) -> None:
        self._rho = rho
        diagonal, near, far = (band.unbind() for band in _bands(rho, stiffness))
        none = torch.zeros_like(rho[0])
        one, two = [none], [none, none]
        inverse: list[Tensor] = []
        pivots: list[Tensor] = []
        for t, pivot in enumerate(diagonal):
            if t > 1:
                two.append(far[t - 2] * inverse[t - 2])
                pivot = pivot - two[t] * two[t] * pivots[t - 2]
            if t > 0:
                mixed = two[t] * one[t - 1] * pivots[t - 2] if t > 1 else none
                one.append((near[t - 1] - mixed) * inverse[t - 1])
                pivot = pivot - one[t] * one[t] * pivots[t - 1]
            pivots.append(pivot)
            inverse.append(1.0 / pivot)
        self._inverse = torch.stack(inverse)
        self._one, self._two = [*one, none], [*two, none, none]

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``z`` of ``x``, both ``(T, *v)``; ``rho`` may be broadcast over ``v``."""
        before = last = torch.zeros_like(x[0])
        forward = []
        for value, one, two in zip((self._rho * x).unbind(), self._one, self._two, strict=False):
            value = torch.addcmul(torch.addcmul(value, one, last, value=-1), two, before, value=-1)
            before, last = last, value
            forward.append(value)
        after = last = torch.zeros_like(x[0])
        found = []
        inner = (torch.stack(forward) * self._inverse).flip(0).unbind()
        for value, one, two in zip(inner, self._one[:0:-1], self._two[:1:-1], strict=True):
            value = torch.addcmul(torch.addcmul(value, one, last, value=-1), two, after, value=-1)
            after, last = last, value
            found.append(value)
        return torch.stack(found[::-1])


def _bands(rho: Tensor, stiffness: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Diagonal ``(T, *v)`` and the two bands beside it, ``(T - 1, *v)`` and ``(T - 2, *v)``."""
    none = torch.zeros_like(stiffness[:1])
    s = torch.cat([none, none, stiffness[1:-1], none, none])  # s_{-1} .. s_T
    return rho + s[:-2] + 4 * s[1:-1] + s[2:], -2 * (s[1:-2] + s[2:-1]), s[2:-2]
