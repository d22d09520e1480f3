"""A zero-phase smoother of many trajectories at once (Whittaker 1923), by its pentadiagonal factors."""

from __future__ import annotations

import torch
from torch import Tensor

from egoscale_sdk.retargeting.kernels import sweeps


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


class Twin:
    r"""The smooth twin z of trajectories u in ADMM, ``z = S(u + d)``, ``d <- d + u - z``; d begins at 0.

    Args:
        weight: ``(groups, T, W)`` rho of W windows, positive, T at least 4.
        stiffness: ``(groups, T, W)``; see `Whittaker`.
        native: Compiled, where that is possible and numbers are in float32 on the CPU; the same otherwise.
    """

    def __init__(self, weight: Tensor, stiffness: Tensor, native: bool = False) -> None:
        self._weight, self._dual = weight.contiguous(), torch.zeros(0)
        self._native = native and weight.dtype == torch.float32 and weight.is_cpu and sweeps.available()
        if self._native:
            self._factors = torch.empty(3, *weight.shape, dtype=torch.float64)
            sweeps.call("whittaker_factors", self._weight, stiffness.contiguous(), self._factors, *weight.shape)
        else:  # float64: the matrix is nearly singular where a finger is hardly seen
            bands = (band.transpose(0, 1)[:, None].double().contiguous() for band in (weight, stiffness))
            self._smooth = Whittaker(*bands)

    def __call__(self, u: Tensor, last: bool = False) -> Tensor:
        """Take the next u ``(K, groups, T W)``, frame-major; return ``z - d``, or ``z`` for the last."""
        first = not len(self._dual)
        if first:
            self._dual = torch.zeros_like(u)
        if self._native:
            u, out = u.contiguous(), torch.empty_like(u)
            sizes = (len(u), *self._weight.shape, int(first), int(last))
            sweeps.call("whittaker_round", u, self._dual, out, self._weight, self._factors, *sizes)
            return out
        rows = (u + self._dual).reshape(-1, *self._weight.shape).permute(2, 0, 1, 3)
        z = self._smooth(rows.double()).permute(1, 2, 0, 3).to(u.dtype).reshape(u.shape)
        if first:
            return z
        self._dual = self._dual + u - z
        return z if last else z - self._dual


def _bands(rho: Tensor, stiffness: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Diagonal ``(T, *v)`` and the two bands beside it, ``(T - 1, *v)`` and ``(T - 2, *v)``."""
    none = torch.zeros_like(stiffness[:1])
    s = torch.cat([none, none, stiffness[1:-1], none, none])  # s_{-1} .. s_T
    return rho + s[:-2] + 4 * s[1:-1] + s[2:], -2 * (s[1:-2] + s[2:-1]), s[2:-2]
