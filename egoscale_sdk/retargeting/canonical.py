"""From a tracker's keypoints to one right hand in its wrist frame, and whether a frame can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from egoscale_sdk.hands.wrist import BONES
from egoscale_sdk.specs import Side

PALM = (0, 5, 9, 17)
TIPS, KNUCKLES = (4, 8, 12, 16, 20), (5, 9, 13, 17)
MIN_LENGTH_M, MIN_SINE = 1e-6, 0.1
BONE_RATIO = 1.5  # mean factor between a frame's bones and the clip's, beyond which they are not the same hand
TIP_SPEED_M_S = 6.0  # of the tips in the wrist frame; a fast finger reaches half of it
BACKWARDS_M, ENOUGH_FRAMES = 0.025, 16  # tips behind the knuckles; a few frames alone may be meant so
SHORT_M = 1e-4


@dataclass(frozen=True)
class CanonicalHand:
    """A clip as the motion of a right hand in its canonical wrist frame.

    Attributes:
        points: ``(21, 3, T)`` metres; 0 in frames that are not valid.
        seen: ``(21, T)`` confidence; 0 in frames that are not valid.
        valid: ``(T,)`` bool.
    """

    points: Tensor
    seen: Tensor
    valid: Tensor

    def without(self, frames: Tensor) -> CanonicalHand:
        """The same with some frames ``(T,)`` not valid."""
        kept = self.valid & ~frames
        return CanonicalHand(torch.where(kept, self.points, 0.0), torch.where(kept, self.seen, 0.0), kept)


def canonical_hand(keypoints: Tensor, seen: Tensor, side: Side, dtype: torch.dtype) -> CanonicalHand:
    """Bring keypoints ``(T, 21, 3)``, finite, with confidence ``(T, 21)``, to the wrist frame of a right hand.

    A frame is valid where the palm (wrist and the knuckles of index, middle and pinky) and most keypoints are seen.
    """
    local = (keypoints - keypoints[:, :1]).to(dtype).permute(1, 2, 0).contiguous()  # (21, 3, T)
    if side == "left":
        local = local * local.new_tensor([1.0, -1.0, 1.0])[:, None]
    axes, known = _wrist_axes(local)
    valid = known & (seen[:, PALM].amin(-1) > 0) & ((seen > 0).to(dtype).mean(-1) > 0.5)
    x, y, z = local.unbind(1)  # (21, T) each
    turned = torch.stack([x * a + y * b + z * c for a, b, c in axes], dim=1)
    return CanonicalHand(torch.where(valid, turned, 0.0), torch.where(valid, seen.T.to(dtype), 0.0), valid)


def _wrist_axes(local: Tensor) -> tuple[list[tuple[Tensor, ...]], Tensor]:
    """Axes x, y, z of the wrist frame (see `hands.wrist_frame`), three ``(T,)`` each, and where they are known."""
    z, long = _unit(local[9])
    across, wide = _unit(local[5] - local[17])
    normal = torch.linalg.cross(across, z, dim=0)
    x, _ = _unit(normal)
    known = long & wide & (normal.square().sum(0) > MIN_SINE**2)
    return [tuple(axis.unbind()) for axis in (x, torch.linalg.cross(z, x, dim=0), z)], known


def _unit(v: Tensor) -> tuple[Tensor, Tensor]:
    squared = v.square().sum(0)
    good = squared > MIN_LENGTH_M**2
    return v / torch.where(good, squared, 1.0).sqrt(), good


# ---- what a person's hand cannot do


def bone_lengths(lengths_m: Tensor, weights: Tensor) -> Tensor:
    """Length of every bone over a clip, ``(20,)`` metres: the median, weighted by confidence; NaN where never seen.

    Args:
        lengths_m: ``(20, T)``; see `bone_readings`.
        weights: ``(20, T)``.
    """
    order = lengths_m.argsort(dim=1, stable=True)
    share = weights.double().gather(1, order).cumsum(1)
    middle = (share < 0.5 * share[:, -1:]).sum(1, keepdim=True).clamp(max=lengths_m.shape[1] - 1)
    return torch.where(share[:, -1] > 0, lengths_m.gather(1, order).gather(1, middle)[:, 0], torch.nan)


def tracking_failures(hand: CanonicalHand, lengths_m: Tensor, rate_hz: float) -> Tensor:
    """Tell which frames show no hand of this person, ``(T W,)`` bool, for W windows of T frames, frame-major.

    Bones of other lengths than the clip's (`bone_lengths`, ``(20, W)``), tips that leap away and back, fingers bent
    backwards: the tracker took the hand for the other one.
    """
    windows = lengths_m.shape[1]
    tips = hand.points[list(TIPS)].reshape(5, 3, -1, windows)
    knuckles = hand.points[list(KNUCKLES), 0].reshape(4, -1, windows)
    valid = hand.valid.reshape(-1, windows)
    over = _turned_over(tips[1:, 0], knuckles, valid) | _leaps(tips, valid, rate_hz)
    return _wrong_bones(hand, lengths_m.repeat(1, len(valid))) | over.flatten()


def bone_readings(hand: CanonicalHand) -> tuple[Tensor, Tensor]:
    """Lengths of all bones ``(20, T)``, metres, and how well they are seen."""
    near, far = torch.tensor(BONES).T
    return _length(hand.points[far] - hand.points[near]), torch.minimum(hand.seen[far], hand.seen[near])


def _length(v: Tensor) -> Tensor:
    """Lengths of vectors ``(n, 3, *b)``; finite gradients at zero."""
    x, y, z = v.unbind(1)
    return (x * x + y * y + z * z).clamp(min=SHORT_M**4).sqrt()


def _wrong_bones(hand: CanonicalHand, lengths_m: Tensor) -> Tensor:
    own, weight = bone_readings(hand)
    seen = (weight > 0).to(own)
    off = (own.clamp(min=SHORT_M) / lengths_m.clamp(min=SHORT_M)).nan_to_num(1.0).log().abs()
    mean = (seen * off).sum(0) / seen.sum(0).clamp(min=1)
    return mean > math.log(BONE_RATIO)


def _leaps(tips: Tensor, valid: Tensor, rate_hz: float) -> Tensor:
    """Frames from whose neighbours on both sides the tips ``(5, 3, T, W)`` are farther than they can move."""
    far = _length(tips.diff(dim=2)).mean(0) * rate_hz > TIP_SPEED_M_S
    far = far & valid[1:] & valid[:-1]
    edge = torch.zeros_like(valid[:1])
    return torch.cat([edge, far]) & torch.cat([far, edge])


def _turned_over(tips_m: Tensor, knuckles_m: Tensor, valid: Tensor) -> Tensor:
    """Frames with the tips behind the knuckles ``(4, T, W)``, in windows long enough to tell."""
    behind = (tips_m.mean(0) - knuckles_m.mean(0) < -BACKWARDS_M) & valid
    return behind & (valid.sum(0) >= ENOUGH_FRAMES)
