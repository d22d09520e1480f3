"""What happens to a clip's joints at last: gaps are bridged and limits of velocity kept."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDING = 1e-6  # of two joints in float32


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
