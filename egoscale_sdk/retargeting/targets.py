"""What the robot's finger frames should do: vectors between frames, and where a person's keypoints want them.

Two kinds of terms, all linear in frame positions. *Bones* (each robot segment along the person's bone, at the robot's
own length, so that hands of any size keep the shape of the gesture) and *tips* (their sum from the finger's base to its
tip). *Pinches* (thumb tip to another fingertip, at the person's metric distance) count only while a person pinches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from egoscale_sdk.specs import FingerSpec, HandSpec

BONE_WEIGHT = 0.5
TIP_WEIGHT = 1.0
PINCH_WEIGHT = 6.0
PINCH_FULL_M, PINCH_NONE_M = 0.015, 0.035
TIP_WEIGHT_WHILE_PINCHING = 0.1


@dataclass(frozen=True)
class TermTable:
    """The hand's terms as matrices.

    Attributes:
        frames: F frame names.
        robot: ``(R, F)``; row r takes frame positions to the robot's vector of term r.
        human: ``(S + P, 21)``; takes keypoints to the person's segment vectors, then pinch vectors.
        chain: ``(R - P, S)``; which segments a bone or tip term sums, R - P of them.
        paths: per segment the keypoint pairs whose distances add up to the person's length of it.
        segment_frames: per segment its two frames (inner, outer) as indices.
        weights: ``(R,)``.
        pinch_fingers: per bone or tip term the pinches that its finger takes part in, ``(R - P, P)``, tips only.
    """

    frames: tuple[str, ...]
    robot: Tensor
    human: Tensor
    chain: Tensor
    paths: tuple[tuple[tuple[int, int], ...], ...]
    segment_frames: tuple[tuple[int, int], ...]
    weights: Tensor
    pinch_fingers: Tensor


def term_table(hand: HandSpec) -> TermTable:
    """Lay out the terms of a hand from its finger roles alone."""
    builder = _Builder(hand)
    for number, finger in enumerate(hand.fingers):
        builder.add_finger(number, finger)
    builder.add_pinches()
    return builder.table()


class _Builder:
    """Collects rows; kept apart so that `TermTable` itself is only matrices."""

    def __init__(self, hand: HandSpec) -> None:
        self.hand = hand
        self.frames = tuple(dict.fromkeys(target.frame for f in hand.fingers for target in f.frames))
        self.segments: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self.segment_frames: list[tuple[int, int]] = []
        self.terms: list[tuple[int, int, tuple[int, ...], float, int]] = []  # inner, outer, segments, weight, finger
        self.pinches: list[tuple[int, int]] = []  # thumb finger, other finger

    def add_finger(self, number: int, finger: FingerSpec) -> None:
        index = [self.frames.index(target.frame) for target in finger.frames]
        first = len(self.segments)
        for k in range(1, len(index)):
            self.segments.append((finger.frames[k - 1].keypoints, finger.frames[k].keypoints))
            self.segment_frames.append((index[k - 1], index[k]))
            self.terms.append((index[k - 1], index[k], (first + k - 1,), BONE_WEIGHT, -1))
        if len(index) > 1:
            own = tuple(range(first, len(self.segments)))
            self.terms.append((index[0], index[-1], own, TIP_WEIGHT, number))

    def add_pinches(self) -> None:
        roles = [finger.role for finger in self.hand.fingers]
        if "thumb" in roles:
            thumb = roles.index("thumb")
            self.pinches = [(thumb, other) for other in range(len(roles)) if other != thumb]

    def tip(self, finger: int) -> tuple[int, tuple[int, ...]]:
        target = self.hand.fingers[finger].frames[-1]
        return self.frames.index(target.frame), target.keypoints

    def table(self) -> TermTable:
        rows = len(self.terms) + len(self.pinches)
        robot = torch.zeros(rows, len(self.frames), dtype=torch.float64)
        chain = torch.zeros(len(self.terms), len(self.segments), dtype=torch.float64)
        pinch_fingers = torch.zeros(len(self.terms), len(self.pinches), dtype=torch.float64)
        for row, (inner, outer, segments, _, finger) in enumerate(self.terms):
            robot[row, inner] -= 1
            robot[row, outer] += 1
            chain[row, list(segments)] = 1
            for column, pinch in enumerate(self.pinches):
                pinch_fingers[row, column] = float(finger in pinch)
        for row, (thumb, other) in enumerate(self.pinches, start=len(self.terms)):
            robot[row, self.tip(thumb)[0]] -= 1
            robot[row, self.tip(other)[0]] += 1
        pairs = [*self.segments, *((self.tip(a)[1], self.tip(b)[1]) for a, b in self.pinches)]
        weights = [term[3] for term in self.terms] + [PINCH_WEIGHT] * len(self.pinches)
        return TermTable(
            frames=self.frames,
            robot=robot,
            human=torch.stack([_difference(inner, outer) for inner, outer in pairs]),
            chain=chain,
            paths=tuple(_path(inner, outer) for inner, outer in self.segments),
            segment_frames=tuple(self.segment_frames),
            weights=torch.tensor(weights, dtype=torch.float64),
            pinch_fingers=pinch_fingers,
        )


def _difference(inner: tuple[int, ...], outer: tuple[int, ...]) -> Tensor:
    """Row that takes keypoints to mean(outer) - mean(inner), ``(21,)``."""
    row = torch.zeros(21, dtype=torch.float64)
    row[list(outer)] += 1 / len(outer)
    row[list(inner)] -= 1 / len(inner)
    return row


def _path(inner: tuple[int, ...], outer: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Neighbouring keypoints between two sets, finger by finger: a robot segment may span several human bones."""
    pairs: list[tuple[int, int]] = []
    for end in outer:
        finger = (end - 1) // 4
        starts = [start for start in inner if start == 0 or (start - 1) // 4 == finger] or list(inner)
        inside = [k for k in range(4 * finger + 1, end + 1) if k >= starts[0]]
        chain = inside if starts[0] in inside else [starts[0], *inside]
        pairs += list(pairwise(chain))
    return tuple(pairs)


@dataclass(frozen=True)
class Targets:
    """Per frame: where the terms want their vectors, and how much each counts.

    Attributes:
        vectors: ``(N, R, 3)`` metres, in the axes of the hand's root.
        weights: ``(N, R)``, 0 where keypoints are missing.
    """

    vectors: Tensor
    weights: Tensor


def make_targets(table: TermTable, keypoints: Tensor, confidence: Tensor, segment_length_m: Tensor) -> Targets:
    """Compute targets from keypoints in the axes of the hand's root.

    Args:
        table: The hand's terms.
        keypoints: ``(N, 21, 3)`` metres; a missing keypoint holds any finite value and has confidence 0.
        confidence: ``(N, 21)`` in [0, 1].
        segment_length_m: ``(S,)`` the robot's own length of every segment.
    """
    segments = len(table.paths)
    vectors = table.human @ keypoints  # (N, S + P, 3)
    seen = _least_confidence(table.human, confidence)  # (N, S + P)
    scale = segment_length_m / _human_lengths(table, keypoints, confidence)  # (S,)
    bones = vectors[:, :segments] * scale[:, None]
    gate = _pinch_gate(vectors[:, segments:].norm(dim=-1)) * seen[:, segments:]  # (N, P)
    chain_seen = torch.where(table.chain.bool(), seen[:, None, :segments], 1.0).amin(-1)  # (N, R - P)
    relief = (gate[:, None, :] * table.pinch_fingers).amax(-1) if gate.shape[1] else torch.zeros_like(chain_seen)
    shape_weights = chain_seen * (1 - (1 - TIP_WEIGHT_WHILE_PINCHING) * relief)
    return Targets(
        vectors=torch.cat([table.chain @ bones, vectors[:, segments:]], dim=1),
        weights=torch.cat([shape_weights, gate], dim=1) * table.weights,
    )


def _pinch_gate(distance_m: Tensor) -> Tensor:
    """1 below PINCH_FULL_M, 0 above PINCH_NONE_M, smooth between."""
    u = ((PINCH_NONE_M - distance_m) / (PINCH_NONE_M - PINCH_FULL_M)).clamp(0, 1)
    return u * u * (3 - 2 * u)


def _least_confidence(rows: Tensor, confidence: Tensor) -> Tensor:
    """Least confidence of the keypoints that a row uses, ``(N, rows)``."""
    return torch.where(rows != 0, confidence[:, None, :], 1.0).amin(-1)


def _human_lengths(table: TermTable, keypoints: Tensor, confidence: Tensor) -> Tensor:
    """Robust length of every segment of this person over the clip: a median over well-seen frames, ``(S,)``.

    Where a joint between the ends is never seen, the straight line stands for the path.
    """
    lengths = []
    for pairs, row in zip(table.paths, table.human, strict=False):
        a, b = [p[0] for p in pairs], [p[1] for p in pairs]
        share = max(1, int((row > 0).sum()))  # a target that is the mean of several fingers has the mean of their paths
        path = (keypoints[:, a] - keypoints[:, b]).norm(dim=-1).sum(-1) / share
        whole = path[confidence[:, [*a, *b]].amin(-1) > 0]
        straight = (row @ keypoints).norm(dim=-1)[confidence[:, row != 0].amin(-1) > 0]
        seen = whole if len(whole) else straight
        lengths.append(seen.median() if len(seen) else path.new_tensor(0.03))
    return torch.stack(lengths).clamp(min=1e-3) if lengths else keypoints.new_zeros(0)
