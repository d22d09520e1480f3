"""Zero-phase smoothing of joint trajectories, bridging frames that are not known."""

from __future__ import annotations

import torch
from torch import Tensor

REACH = 4  # frames on each side
SIGMA = 1.5  # frames


def smooth(q: Tensor, weight: Tensor) -> Tensor:
    """Return a weighted Gaussian average over time.

    Args:
        q: ``(T, J)``.
        weight: ``(T,)`` in [0, 1]; 0 where a frame is not known. Where no frame within reach is known, the nearest
            known one is held.
    """
    if not bool((weight > 0).any()):
        return q
    offsets = torch.arange(-REACH, REACH + 1, dtype=q.dtype)
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    total = _convolve(weight[:, None], kernel)
    mean = _convolve(q * weight[:, None], kernel) / total.clamp(min=1e-12)
    return torch.where(total > 1e-12, mean, q[_nearest_known(weight)])


def _convolve(x: Tensor, kernel: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(x.T[:, None], (REACH, REACH))  # (J, 1, T + 2 REACH)
    return torch.nn.functional.conv1d(padded, kernel[None, None])[:, 0].T


def _nearest_known(weight: Tensor) -> Tensor:
    """Index of the known frame nearest to every frame, ``(T,)``."""
    known = torch.nonzero(weight > 0)[:, 0]
    frames = torch.arange(len(weight))
    right = torch.searchsorted(known, frames).clamp(max=len(known) - 1)
    left = (right - 1).clamp(min=0)
    use_left = (frames - known[left]).abs() <= (known[right] - frames).abs()
    return torch.where(use_left, known[left], known[right])
