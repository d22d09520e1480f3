"""From camera images to the patches of a Qwen-style vision tower, in torch alone."""

from __future__ import annotations

import torch
from torch import Tensor

from egoscale_sdk.policy.config import BackboneConfig


def augment(images: Tensor, shift_px: int, brightness: float, generator: torch.Generator) -> Tensor:
    """Shift and brighten each sample of ``(B, C, 3, h, w)`` in [0, 1], all its cameras alike.

    Shifts are whole pixels up to ``shift_px`` with the edge repeated; brightness is a factor in 1 +- ``brightness``.
    """
    b, _, _, h, w = images.shape
    offsets = torch.randint(-shift_px, shift_px + 1, (2, b, 1), generator=generator).to(images.device)
    rows = (torch.arange(h, device=images.device) + offsets[0]).clamp(0, h - 1)  # (B, h)
    columns = (torch.arange(w, device=images.device) + offsets[1]).clamp(0, w - 1)  # (B, w)
    sample = torch.arange(b, device=images.device)[:, None, None]
    moved = images.permute(0, 3, 4, 1, 2)[sample, rows[:, :, None], columns[:, None, :]]  # (B, h, w, C, 3)
    factor = 1 + brightness * (2 * torch.rand(b, 1, 1, 1, 1, generator=generator).to(images.device) - 1)
    return (moved.permute(0, 3, 4, 1, 2) * factor).clamp(0, 1)


def patchify(images: Tensor, config: BackboneConfig) -> Tensor:
    """Normalise ``(N, 3, h, w)`` in [0, 1] by mean and deviation 0.5 and cut it into patches.

    Returns:
        ``(N * rows * columns, 3 * temporal_patch * patch_px**2)``; the patches of one merged token are neighbours,
        and a still image fills every frame of a temporal patch (as Qwen's own processor does).
    """
    n = images.shape[0]
    (rows, columns), p, m = config.grid, config.vision.patch_px, config.vision.merge
    x = (images - 0.5) / 0.5
    x = x.reshape(n, 3, rows // m, m, p, columns // m, m, p).permute(0, 2, 5, 3, 6, 1, 4, 7)
    x = x.unsqueeze(6).expand(*x.shape[:6], config.vision.temporal_patch, p, p)  # frames after channels
    return x.reshape(n * rows * columns, -1)
