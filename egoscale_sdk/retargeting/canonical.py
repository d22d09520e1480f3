"""From a tracker's keypoints to one right hand in its wrist frame, and whether a frame can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from egoscale_sdk.hands.wrist import BONES
from egoscale_sdk.specs import Side

PALM = (0, 5, 9, 17)
RIGID = (1, 5, 9, 13, 17)  # what keeps its place in the palm: the thumb's root and the knuckles
TURNS, MOST_TURN = 2, 0.5  # Newton's steps onto the mean palm, and the tangent of half the longest
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


# ---- one palm over many frames


def palm(hand: CanonicalHand) -> tuple[Tensor, Tensor]:
    """Return the points of the palm that keep their places, ``(5, 3, T)``, and how well they are seen, ``(5, T)``."""
    points = list(RIGID)
    return hand.points[points], torch.minimum(hand.seen[points], hand.seen[list(PALM[1:])].amin(0))


def turned_onto(mean: Tensor, hand: CanonicalHand) -> CanonicalHand:
    r"""Turn every frame about the wrist, so that its palm lies on the mean palm ``(5, 3, T)``.

    The axes of one frame come from three points, each as noisy as any other; those of a palm that frames agree on, from
    many. The rotation of the least :math:`\sum_k w_k |R p_k - m_k|^2`, by Newton's method from where it is.
    """
    points = hand.points
    for _ in range(TURNS):
        p, w = palm(CanonicalHand(points, hand.seen, hand.valid))
        b = _half_turn(p, mean, w[:, None])
        points = torch.where(hand.valid, _turned(points, b), 0.0)
    return CanonicalHand(points, hand.seen, hand.valid)


def _half_turn(p: Tensor, m: Tensor, w: Tensor) -> list[Tensor]:
    """Axis times the tangent of half the angle, three ``(T,)``, of Newton's step that turns p onto m."""
    cross = [(w * (p[:, [i]] * m[:, [j]] - p[:, [j]] * m[:, [i]])).sum(0)[0] for i, j in ((1, 2), (2, 0), (0, 1))]
    spread = [[(w * p[:, [i]] * m[:, [j]]).sum(0)[0] for j in range(3)] for i in range(3)]
    trace = spread[0][0] + spread[1][1] + spread[2][2] + SHORT_M**2
    A = [[(trace if i == j else 0.0) - (spread[i][j] + spread[j][i]) / 2 for j in range(3)] for i in range(3)]
    minors = [[_minor(A, i, j) for j in range(3)] for i in range(3)]
    det = (A[0][0] * minors[0][0] + A[0][1] * minors[0][1] + A[0][2] * minors[0][2]).clamp(min=SHORT_M**6)
    return [(sum(minors[i][j] * cross[j] for j in range(3)) / (2 * det)).clamp(-MOST_TURN, MOST_TURN) for i in range(3)]


def _minor(A: list[list[Tensor]], i: int, j: int) -> Tensor:
    """Cofactor of a symmetric 3 x 3 matrix."""
    a, b, c, d = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
    return A[a][c] * A[b][d] - A[a][d] * A[b][c]


def _turned(points: Tensor, b: list[Tensor]) -> Tensor:
    """Turn points ``(n, 3, T)`` (Cayley): ``p + 2 (b x p + b x (b x p)) / (1 + b^2)``."""
    share = 2 / (1 + b[0] * b[0] + b[1] * b[1] + b[2] * b[2])
    once = _across(b, list(points.unbind(1)))
    twice = _across(b, once)
    return points + share * (torch.stack(once, 1) + torch.stack(twice, 1))


def _across(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


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
