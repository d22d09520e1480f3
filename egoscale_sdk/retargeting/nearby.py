"""What the frames around a frame tell of it: the one part of the canonicalisation that looks along time.

It comes from at most `REACH` frames on either side, of the motion and not of a window, so that neither windows nor
where a motion was cut change a result farther away.
"""

from __future__ import annotations

import torch
from torch import Tensor

REACH = 48  # frames on either side; less than windows overlap
HALF = REACH // 2


def running_mean(values: Tensor, weights: Tensor, windows: int) -> Tensor:
    """Means over time of ``values (*v, T W)``, W windows of T frames, frame-major; 0 where all weights are.

    Every frame's mean weighs those around it by a triangle of `REACH` frames on either side times ``weights``
    ``(*w, T W)``, not negative, whose dimensions are the first ones of the values'.
    """
    between = values.ndim - weights.ndim
    weights = weights.reshape(*weights.shape[:-1], *[1] * between, -1, windows).double()
    rows = values.reshape(*values.shape[:-1], -1, windows).double()
    total, share = _box(_box(rows * weights)), _box(_box(weights))
    return (total / share.clamp(min=1e-9)).to(values.dtype).reshape(values.shape)


def _box(x: Tensor) -> Tensor:
    """Sums over `HALF` frames on either side of ``(*v, T, W)``."""
    frames = torch.arange(x.shape[-2], device=x.device)
    sums = torch.cat([torch.zeros_like(x[..., :1, :]), x.cumsum(-2)], dim=-2)
    return sums[..., (frames + HALF + 1).clamp(max=len(frames)), :] - sums[..., (frames - HALF).clamp(min=0), :]
