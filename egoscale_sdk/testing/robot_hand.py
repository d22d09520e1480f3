"""What a robot hand does when a person's gestures are shown to its retargeter; everything recomputed from joints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.geometry import inverse_pose, transform_points
from egoscale_sdk.specs import ApertureSpec, FingerSpec, FrameTarget, HandSpec, Side
from egoscale_sdk.testing import gestures
from egoscale_sdk.testing.subject import Subject

Floats = NDArray[np.float64]

RATE_HZ = 30.0  # at which motions are shown
MOST_TIMES = 20  # as slow as a motion is shown at most


@dataclass(frozen=True)
class Shown:
    """What a retargeter answered, as numpy: joints ``(*b, T, J)`` float64, residual and validity ``(*b, T)``."""

    joints: Floats
    residual_m: Floats
    valid: NDArray[np.bool_]


def show(
    subject: Subject,
    side: Side,
    keypoints: ArrayLike,
    confidence: ArrayLike | None = None,
    warm_start: ArrayLike | None = None,
) -> Shown:
    """Show keypoints ``(*b, T, 21, 3)`` to the retargeter of one hand; see `Retargeter.retarget`."""
    optional = [None if value is None else torch.tensor(np.asarray(value)) for value in (confidence, warm_start)]
    result = subject.retargeters[side].retarget(torch.tensor(np.asarray(keypoints)), *optional)
    values = (result.joints.detach().double(), result.residual_m.detach().double(), result.valid)
    joints, residual_m, valid = (value.cpu().numpy() for value in values)
    return Shown(joints, residual_m, valid)


@lru_cache(maxsize=8)
def shown_gestures(subject: Subject, side: Side) -> Shown:
    """Show every gesture alone, as clips of one frame: joints ``(8, 1, J)``, in the order of `gestures.GESTURES`."""
    return show(subject, side, gestures.gestures(side)[:, None])


@lru_cache(maxsize=8)
def shown_clips(subject: Subject, side: Side) -> Shown:
    """Show every motion: joints ``(8, FRAMES, J)``, in the order of `gestures.CLIPS`."""
    return show(subject, side, gestures.clips(side))


def limits(hand: HandSpec) -> tuple[Floats, Floats]:
    """Lower and upper limits ``(J,)`` as the spec states them; a continuous joint has -inf and inf."""
    lower = [-np.inf if joint.lower is None else joint.lower for joint in hand.actuated]
    upper = [np.inf if joint.upper is None else joint.upper for joint in hand.actuated]
    return np.array(lower), np.array(upper)


def rest(hand: HandSpec) -> Floats:
    """The open pose ``(J,)``; zero within the limits where the spec gives none."""
    return np.clip(hand.open_pose or np.zeros(len(hand.actuated)), *limits(hand))


def slowness(hand: HandSpec) -> int:
    """How many times slower a person must close a hand for every joint to run its range within its speed limit."""
    lower, upper = limits(hand)
    seconds = [
        float(width) / joint.velocity
        for width, joint in zip(upper - lower, hand.actuated, strict=True)
        if joint.velocity and np.isfinite(width)
    ]
    return min(MOST_TIMES, max(1, ceil(max(seconds, default=0.0) * RATE_HZ / (gestures.FRAMES // 2))))


def followed(hand: HandSpec) -> list[FingerSpec]:
    """Fingers with a bone to follow, two frames or more; a gripper follows none, it opens and closes."""
    return [finger for finger in hand.fingers if len(finger.frames) > 1 and hand.aperture is None]


def frames(hand: HandSpec) -> list[str]:
    """Every frame that follows keypoints, once."""
    return list(dict.fromkeys(target.frame for finger in hand.fingers for target in finger.frames))


def positions(subject: Subject, side: Side, joints: ArrayLike) -> dict[str, Floats]:
    """Positions ``(*b, 3)`` of every followed frame in the wrist frame, metres, for joints ``(*b, J)``."""
    hand, oracle = subject.spec.hand(side), subject.oracles[side]
    q = np.asarray(joints, np.float64)
    names = [joint.name for joint in hand.actuated]
    poses = [oracle.poses(dict(zip(names, row, strict=True))) for row in q.reshape(-1, q.shape[-1])]
    T_wrist_root = inverse_pose(hand.T_root_wrist.matrix())
    found = {}
    for frame in frames(hand):
        points = np.array([pose[frame][:3, 3] for pose in poses]).reshape(-1, 3)
        found[frame] = np.asarray(transform_points(T_wrist_root, points), np.float64).reshape(*q.shape[:-1], 3)
    return found


@lru_cache(maxsize=8)
def gesture_positions(subject: Subject, side: Side) -> dict[str, Floats]:
    """Positions ``(8, 3)`` of every followed frame in every gesture."""
    return positions(subject, side, shown_gestures(subject, side).joints[:, 0])


def target(keypoints: Floats, followed: FrameTarget) -> Floats:
    """Where a person ``(*b, 21, 3)`` has what a frame follows, ``(*b, 3)``."""
    mean: Floats = keypoints[..., list(followed.keypoints), :].mean(axis=-2)
    return mean


def opening(subject: Subject, side: Side, joints: ArrayLike) -> Floats:
    """How open a hand is at joints ``(*b, J)``: its aperture, or its tips' mean distance to the wrist, metres."""
    hand, q = subject.spec.hand(side), np.asarray(joints, np.float64)
    if hand.aperture is not None:
        names = [joint.name for joint in hand.actuated]
        return _width(hand.aperture, q[..., names.index(hand.aperture.joint)])
    at = positions(subject, side, q)
    reach = [np.linalg.norm(at[finger.frames[-1].frame], axis=-1) for finger in followed(hand)]
    return np.asarray(np.mean(reach, axis=0), np.float64)


def _width(aperture: ApertureSpec, q: Floats) -> Floats:
    """The closed form of the spec, written here once more: the retargeter's own is under test."""
    turn: Floats = aperture.cosine_m * np.cos(q) + aperture.sine_m * np.sin(q)
    return aperture.constant_m + aperture.linear * q + turn


def aperture_error_m(subject: Subject, side: Side, samples: int = 9) -> float:
    """How much farther an aperture changes between its limits than a gripper's pads part, by the kit's kinematics.

    Pads part along the line on which one moves past the other. 0 without an aperture, a tree or two fingers.
    """
    hand = subject.spec.hand(side)
    if hand.aperture is None or side not in subject.oracles or len(hand.fingers) < 2:
        return 0.0
    driven = [joint.name for joint in hand.actuated].index(hand.aperture.joint)
    q = np.tile(rest(hand), (samples, 1))
    lower, upper = limits(hand)
    q[:, driven] = np.linspace(lower[driven], upper[driven], samples)
    at = positions(subject, side, q)
    apart = at[hand.fingers[0].frames[-1].frame] - at[hand.fingers[-1].frames[-1].frame]
    distance = np.linalg.norm(apart, axis=-1)
    way = apart[distance.argmax()] - apart[distance.argmin()]
    parted = apart @ way / max(float(np.linalg.norm(way)), 1e-9)
    return float(np.ptp(opening(subject, side, q) - parted))


def bone_errors(subject: Subject, side: Side, at: dict[str, Floats], keypoints: Floats) -> dict[str, Floats]:
    """Angle between a robot's and a person's bone by the outer frame's name, ``(*b)`` degrees.

    ``at`` are `positions`, ``keypoints (*b, 21, 3)`` in the wrist frame.
    """
    found = {}
    for finger in followed(subject.spec.hand(side)):
        for inner, outer in zip(finger.frames[:-1], finger.frames[1:], strict=True):
            robot = at[outer.frame] - at[inner.frame]
            found[outer.frame] = _angle_deg(robot, target(keypoints, outer) - target(keypoints, inner))
    return found


def misfit(subject: Subject, side: Side, joints: Floats, keypoints: Floats) -> Floats:
    """How badly a robot's hand ``(*b, J)`` shows a person's ``(*b, 21, 3)``; see `misfit_of`."""
    return misfit_of(subject, side, shape(subject, side, joints), keypoints)


def shape(subject: Subject, side: Side, joints: Floats) -> dict[str, Floats]:
    """What can be compared with a person: `positions`, or a gripper's `opening` by that name, ``(*b)``."""
    gripper = subject.spec.hand(side).aperture is not None
    return {"opening": opening(subject, side, joints)} if gripper else positions(subject, side, joints)


def misfit_of(subject: Subject, side: Side, robot: dict[str, Floats], keypoints: Floats) -> Floats:
    """Mean angle of bones in degrees, or metres between a gripper's opening and the gap of thumb and fingers, ``(*b)``.

    ``robot`` is its `shape`, ``keypoints (*b, 21, 3)`` are in the wrist frame.
    """
    if subject.spec.hand(side).aperture is None:
        errors = bone_errors(subject, side, robot, keypoints)
        return np.asarray(np.mean(list(errors.values()), axis=0), np.float64)
    gap = np.linalg.norm(keypoints[..., 4, :] - keypoints[..., [8, 12], :].mean(axis=-2), axis=-1)
    return np.asarray(np.abs(gap - robot["opening"]), np.float64)


def mirror_error_m(subject: Subject, samples: int = 16) -> float:
    """How far followed frames of the left hand are from the mirrored right one's, at mirrored joints, metres."""
    left, right = subject.spec.hand("left"), subject.spec.hand("right")
    lower, upper = (np.nan_to_num(end, posinf=np.pi, neginf=-np.pi) for end in limits(right))
    q = lower + (upper - lower) * np.random.default_rng(2).uniform(size=(samples, len(lower)))
    ours, theirs = positions(subject, "right", q), positions(subject, "left", np.array(right.mirror_signs) * q)
    pairs = zip(frames(left), frames(right), strict=True)
    gaps = [np.linalg.norm(theirs[one] - ours[other] * (1, -1, 1), axis=-1).max() for one, other in pairs]
    return float(max(gaps, default=0.0))


def least_distance(subject: Subject, side: Side, pair: tuple[str, str], start: Floats) -> float:
    """How near two frames can come within the limits, metres: damped Gauss-Newton from a few starts."""
    hand, oracle = subject.spec.hand(side), subject.oracles[side]
    names = [joint.name for joint in hand.actuated]
    lower, upper = limits(hand)

    def gap(q: Floats) -> Floats:
        poses = oracle.poses(dict(zip(names, q, strict=True)))
        difference: Floats = poses[pair[0]][:3, 3] - poses[pair[1]][:3, 3]
        return difference

    middle = np.clip(np.nan_to_num((lower + upper) / 2), lower, upper)
    return min(_descend(gap, q, lower, upper) for q in (start, middle, (start + middle) / 2, rest(hand)))


def _descend(gap: Callable[[Floats], Floats], q: Floats, lower: Floats, upper: Floats) -> float:
    """Least ``|gap(q)|`` found in 20 steps; the Jacobian is taken by finite differences."""
    best, damping = gap(q), 1e-4
    for _ in range(20):
        J = np.stack([(gap(q + step) - best) / 1e-5 for step in 1e-5 * np.eye(len(q))], axis=1)  # (3, J)
        free = ~(((q <= lower) & (J.T @ best > 0)) | ((q >= upper) & (J.T @ best < 0)))
        J = J * free
        candidate = np.clip(q - J.T @ np.linalg.solve(J @ J.T + damping * np.eye(3), best), lower, upper)
        found = gap(candidate)
        better = np.linalg.norm(found) < np.linalg.norm(best)
        q, best = (candidate, found) if better else (q, best)
        damping = damping * (0.2 if better else 10)
    return float(np.linalg.norm(best))


def _angle_deg(a: Floats, b: Floats) -> Floats:
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosine = (a * b).sum(-1) / np.maximum(lengths, 1e-12)
    angle: Floats = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    return angle
