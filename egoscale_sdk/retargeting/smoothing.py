"""Zero-phase smoothing of joint trajectories, bridging frames that are not known."""

from __future__ import annotations

import torch
from torch import Tensor

REACH = 4  # frames on each side
SIGMA = 1.5  # frames


def smooth(q: Tensor, known: Tensor) -> Tensor:
    """Return a trajectory smoothed by local lines.

    Every known frame takes the value, at that frame, of the straight line that best fits the known frames around it
    (Gaussian weights). A steady motion stays as it is up to the first and the last frame and beside a gap, where a
    plain average would lag behind. Frames that are not known are bridged.

    Args:
        q: ``(T, J)`` float.
        known: ``(T,)`` bool.
    """
    offsets = torch.arange(-REACH, REACH + 1, dtype=q.dtype)
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    weight = known.to(q)[:, None]
    s0, s1, s2 = (_correlate(weight, kernel * offsets**power) for power in range(3))
    t0, t1 = (_correlate(weight * q, kernel * offsets**power) for power in range(2))
    spread = s0 * s2 - s1 * s1  # 0 where one frame alone is known within reach
    line = (s2 * t0 - s1 * t1) / spread.clamp(min=1e-9)
    return bridge(torch.where(spread > 1e-9, line, q), known)


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


def _correlate(x: Tensor, kernel: Tensor) -> Tensor:
    """``y[t] = sum_k kernel[k] x[t + k]`` over time for ``x (T, C)``, zero beyond the ends."""
    padded = torch.nn.functional.pad(x.T[:, None], (REACH, REACH))  # (C, 1, T + 2 REACH)
    return torch.nn.functional.conv1d(padded, kernel[None, None])[:, 0].T
