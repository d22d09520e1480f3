"""Where a person's keypoints want the frames of a robot's fingers.

*Shape* keeps the gesture: each robot segment goes along the person's bone at the robot's own length. *Scaled* follows
places, the person's hand grown to the robot's; *metric* follows them as they are. *Pinches* (thumb tip to another
fingertip, at the person's metric distance) count in all three, and only while a person pinches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from egoscale_sdk.hands.wrist import BONES
from egoscale_sdk.retargeting.canonical import CanonicalHand, bone_readings
from egoscale_sdk.retargeting.terms import Target, Term
from egoscale_sdk.specs import FingerSpec

PINCH_WEIGHT = 20.0
PINCH_FULL_M, PINCH_NONE_M = 0.015, 0.035
TIP_WEIGHT_WHILE_PINCHING = 0.1
SIZE_RANGE = (0.3, 3.0)  # of a person's bones, relative to an adult's
LENGTH_RANGE = (0.6, 1.6)  # of a frame's own bones, relative to those of an adult of the person's size
TYPICAL_BONES_M = (
    *(0.040, 0.044, 0.033, 0.026),
    *(0.096, 0.040, 0.024, 0.020),
    *(0.095, 0.044, 0.028, 0.021),
    *(0.090, 0.041, 0.027, 0.021),
    *(0.087, 0.033, 0.020, 0.019),
)
"""Of an adult, in the order of `BONES`: what a bone that is never seen is judged by."""


@dataclass(frozen=True)
class Goals:
    """Per frame what the terms of all fingers want; see `ArrowStep` for shapes.

    Attributes:
        vectors: ``(R, 3, F, N)`` metres, in the wrist frame of a right hand.
        weights: ``(R, F, N)``, 0 where keypoints are missing.
        pinch: ``(3, F - 1, N)`` from the thumb's tip to each other; no fingers without a thumb.
        pinch_weights: ``(F - 1, N)``.
        sure: ``(F, N)`` in [0, 1], how well a finger is seen.
    """

    vectors: Tensor
    weights: Tensor
    pinch: Tensor
    pinch_weights: Tensor
    sure: Tensor

    def rows(self, frames: slice) -> Goals:
        """Some of the frames."""
        parts = (*self.tensors(), self.sure)
        return Goals(*(part[..., frames] for part in parts))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four tensors, in order."""
        return self.vectors, self.weights, self.pinch, self.pinch_weights


@dataclass(frozen=True)
class Correspondence:
    """Which keypoints the slots of a hand's fingers follow, and how long the robot's segments are.

    Attributes:
        slots: ``(n, P, F)`` keypoints whose mean a slot follows.
        paths: ``(L, S, F)`` the person's bones that segment s spans, as indices into `BONES`; its length for none.
        shares: ``(S, F)`` of how many of the person's fingers that is the sum.
        segments_m: ``(S, F)`` the robot's lengths, S = P - 1; 0 for padding.
        reach_m: ``(F,)`` the robot's length from the wrist along a finger to its tip.
        thumb: Whether finger 0 is a thumb.
    """

    slots: Tensor
    paths: Tensor
    shares: Tensor
    segments_m: Tensor
    reach_m: Tensor
    thumb: bool


def correspondence(fingers: Sequence[FingerSpec], points_m: Tensor) -> Correspondence:
    """Lay out the keypoints of fingers (the thumb first) beside the robot's slots at its open pose ``(P, 3, F)``."""
    P = len(points_m)
    padded = [[finger.frames[0]] * (P - len(finger.frames)) + list(finger.frames) for finger in fingers]
    longest = max(len(frame.keypoints) for frames in padded for frame in frames)
    slots = torch.tensor(
        [
            [[frames[k].keypoints[n % len(frames[k].keypoints)] for frames in padded] for k in range(P)]
            for n in range(longest)
        ]
    )
    found = [[_path(frames[k].keypoints, frames[k + 1].keypoints) for frames in padded] for k in range(P - 1)]
    most = max((len(path) for row in found for path in row), default=1)
    paths = [[[*path, *[len(BONES)] * (most - len(path))] for path in row] for row in found]
    shares = torch.tensor([[float(len(frames[k + 1].keypoints)) for frames in padded] for k in range(P - 1)])
    segments = (points_m[1:] - points_m[:-1]).norm(dim=1)
    return Correspondence(
        slots=slots,
        paths=torch.tensor(paths).reshape(P - 1, len(padded), -1).permute(2, 0, 1),
        shares=shares,
        segments_m=segments,
        reach_m=points_m[0].norm(dim=0) + segments.sum(0),
        thumb=fingers[0].role == "thumb",
    )


def _path(inner: tuple[int, ...], outer: tuple[int, ...]) -> tuple[int, ...]:
    """Bones between two sets of keypoints, finger by finger: a robot segment may span several of a person's."""
    if inner == outer:
        return ()
    ends = {far: (near, index) for index, (near, far) in enumerate(BONES)}
    found = []
    for end in outer:
        at = end
        while at not in inner and at != 0:
            at, index = ends[at]
            found.append(index)
    return tuple(found)


@dataclass(frozen=True)
class Person:
    """The proportions of a person.

    Attributes:
        size: ``(*b)`` how large the hand is, relative to an adult's.
        scale: ``(*b)`` the robot's reach over the person's, mean of all fingers but the thumb.
    """

    size: Tensor
    scale: Tensor


def proportions(own: Correspondence, bones_m: Tensor, seen: Tensor) -> Person:
    """Judge proportions from the lengths of bones ``(20, *b)`` and how well they are seen, at least one of them."""
    typical = _typical(bones_m)
    weight = seen * typical
    known = (bones_m / typical).clamp(*SIZE_RANGE).log()
    size = ((weight * known).sum(0) / weight.sum(0).clamp(min=1e-9)).exp()
    whole = _possible(bones_m, seen > 0, size)
    ratios = []
    for f in range(1 if own.thumb and own.slots.shape[2] > 1 else 0, own.slots.shape[2]):
        path = _path((0,), (int(own.slots[0, -1, f]),))
        ratios.append(own.reach_m[f].to(bones_m) / whole[list(path)].sum(0))
    return Person(size=size, scale=torch.stack(ratios).mean(0))


def _typical(like: Tensor) -> Tensor:
    """Bones of an adult, ``(20, 1...)`` of as many dimensions."""
    return like.new_tensor(TYPICAL_BONES_M).reshape(-1, *[1] * (like.ndim - 1))


def _possible(bones_m: Tensor, shown: Tensor, size: Tensor) -> Tensor:
    """Return a frame's own bones ``(20, *b)``, no shorter and no longer than can be; typical ones where not shown."""
    usual = _typical(bones_m) * size
    low, high = (share * usual for share in LENGTH_RANGE)
    return torch.where(shown, torch.minimum(torch.maximum(bones_m, low), high), usual)


def goals(own: Correspondence, terms: tuple[Term, ...], target: Target, hand: CanonicalHand, person: Person) -> Goals:
    """Compute what every frame of a clip asks of the fingers."""
    at, seen = _slots(own, hand)  # (P, F, 3, T), (P, F, T)
    pinch, gate = _pinches(own, at[-1], seen[-1])
    relief = 1 - (1 - TIP_WEIGHT_WHILE_PINCHING) * _relief(own, gate, seen[-1])
    if target == "shape":
        vectors, sure = _bones(own, hand, at, seen, person)
    else:
        size = person.scale if target == "scaled" else 1.0
        vectors, sure = [place * size for place in at[1:]], list(seen[1:])
    weights = [term.weight * here * (relief if term.of_tip else 1.0) for term, here in zip(terms, sure, strict=True)]
    return Goals(
        vectors=torch.stack(vectors).transpose(1, 2).contiguous() if vectors else at.new_zeros(0, 3, *seen.shape[1:]),
        weights=torch.stack(weights) if weights else seen[:0],
        pinch=pinch.transpose(0, 1).contiguous(),
        pinch_weights=PINCH_WEIGHT * gate,
        sure=seen[min(1, len(seen) - 1) :].mean(0),  # the base is seen with the palm and tells nothing of the finger
    )


def _slots(own: Correspondence, hand: CanonicalHand) -> tuple[Tensor, Tensor]:
    """Places ``(P, F, 3, T)`` that slots follow, and the least confidence ``(P, F, T)`` of their keypoints."""
    at, seen = hand.points[own.slots[0]], hand.seen[own.slots[0]]
    for more in own.slots[1:]:
        at, seen = at + hand.points[more], torch.minimum(seen, hand.seen[more])
    return at / len(own.slots), seen


def _bones(
    own: Correspondence, hand: CanonicalHand, at: Tensor, seen: Tensor, person: Person
) -> tuple[list[Tensor], list[Tensor]]:
    """Bones at the robot's lengths and their sum, ``(F, 3, T)`` each, and their confidences ``(F, T)``."""
    lengths, sure = bone_readings(hand)
    measured = _possible(lengths, sure > 0, person.size)
    measured = torch.cat([measured, torch.zeros_like(measured[:1])])
    length = sum((measured[bone] for bone in own.paths), torch.zeros_like(at[1:, :, 0])) / own.shares[..., None]
    real = (own.segments_m > 0)[..., None]  # (S, F, 1)
    vectors = (at[1:] - at[:-1]) * (own.segments_m.to(at)[..., None] / torch.where(real, length, 1.0))[:, :, None]
    sure = torch.minimum(seen[:-1], seen[1:]) * real
    whole = seen.amin(0) * real.any(0)
    return [*vectors, vectors.sum(0)], [*sure, whole]


def _pinches(own: Correspondence, tips: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors ``(F - 1, 3, T)`` from the thumb's tip to the others, and how much each is a pinch, ``(F - 1, T)``."""
    if not own.thumb:
        return tips[:0], seen[:0]
    vectors = tips[1:] - tips[:1]
    distance = vectors.square().sum(1).clamp(min=1e-12).sqrt()
    u = ((PINCH_NONE_M - distance) / (PINCH_NONE_M - PINCH_FULL_M)).clamp(0, 1)
    return vectors, u * u * (3 - 2 * u) * torch.minimum(seen[1:], seen[:1])


def _relief(own: Correspondence, gate: Tensor, seen: Tensor) -> Tensor:
    """How much each finger pinches, ``(F, T)``: the thumb as much as the finger that it pinches most."""
    if not len(gate):
        return torch.zeros_like(seen)
    return torch.cat([gate.amax(0, keepdim=True), gate])
