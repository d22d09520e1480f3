"""What happens to a clip's joints at last: gaps are bridged and limits of velocity kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from egoscale_sdk.retargeting.kernels import sweeps

ROUNDING = 1e-6  # of two joints in float32
NUMBERS = 1 << 22  # of a long motion's joints that are finished together


def finish(
    joints: Tensor, known: Tensor, lengths: Sequence[int], step: Tensor, limits: tuple[Tensor, Tensor], native: bool
) -> Tensor:
    """Bridge the frames of motions that are not known, keep limits of velocity and position exactly.

    Args:
        joints: ``(T, J)`` of motions one after the other; it may be used up.
        known: ``(T,)`` bool.
        lengths: Of the motions.
        step: ``(J,)`` float64, how far joints may move from frame to frame.
        limits: Lowest and highest joints ``(J,)``, exact in float32.
        native: Compiled, where that is possible.

    Returns:
        ``(T, J)`` float32.
    """
    if native and joints.dtype == torch.float32 and sweeps.available():
        ends = torch.tensor(lengths).cumsum(0)
        bounds = [limit.float() for limit in limits]
        sweeps.call("finish", joints, known, ends, step - ROUNDING, *bounds, len(lengths), len(step))
        return joints
    parts = zip(torch.split(joints, list(lengths)), torch.split(known, list(lengths)), strict=True)
    return torch.cat([_finished(own, here, step, limits) for own, here in parts])


def _finished(q: Tensor, known: Tensor, step: Tensor, limits: tuple[Tensor, Tensor]) -> Tensor:
    some = max(1, NUMBERS // max(1, len(q)))  # joints do not depend on each other: a few at a time
    parts = []
    for first in range(0, q.shape[1], some):
        own = slice(first, first + some)
        moved = limit_velocity(bridge(q[:, own], known), step[own])
        parts.append(moved.clamp(*(limit[own] for limit in limits)).to(torch.float32))
    return torch.cat(parts, dim=1)


def bridge(q: Tensor, known: Tensor) -> Tensor:
    """Keep the known frames of ``q (T, J)``, join them by straight lines, hold the first and the last outwards.

    Where no frame is known, ``q`` is returned as it is. ``known`` is ``(T,)`` bool.
    """
    at = torch.nonzero(known)[:, 0]
    if len(at) == 0:
        return q
    frames = torch.arange(len(q))
    after = at[torch.searchsorted(at, frames).clamp(max=len(at) - 1)]
    before = at[(torch.searchsorted(at, frames, right=True) - 1).clamp(min=0)]
    share = ((frames - before) / (after - before).clamp(min=1)).clamp(0, 1)[:, None].to(q)
    return (1 - share) * q[before] + share * q[after]


def limit_velocity(q: Tensor, step: Tensor) -> Tensor:
    """Return the trajectory nearest to ``q (T, J)`` that moves no farther than ``step (J,)`` from frame to frame.

    It is the mean of the greatest one below and the least one above ``q`` (zero phase, within the range of ``q``);
    where no motion nearby is too fast, ``q`` stays as it is.
    """
    step = step - ROUNDING
    fast = (q.diff(dim=0).abs() > step).any(0) if len(q) > 1 else torch.zeros_like(step, dtype=torch.bool)
    if not bool(fast.any()):
        return q
    slow = q.double()[:, fast]
    ramp = step[fast].double() * torch.arange(len(q), dtype=torch.float64)[:, None]
    limited = (_below(slow, ramp) - _below(-slow, ramp)) / 2
    return q.index_copy(1, torch.nonzero(fast)[:, 0], limited.to(q))


def _below(q: Tensor, ramp: Tensor) -> Tensor:
    """``min_s q_s + step |t - s|``: the greatest trajectory below ``q`` that is slow enough."""
    forward = (q - ramp).cummin(0).values + ramp
    backward = (q + ramp).flip(0).cummin(0).values.flip(0) - ramp
    return torch.minimum(forward, backward)
