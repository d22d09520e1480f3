"""Which way a hand faces in its wrist frame: +z is along the fingers, +x out of the palm, +y (left: -y) thumbward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import inverse_pose
from egoscale_sdk.specs import HandSpec, JointSpec
from egoscale_sdk.testing.numpy_fk import NumpyKinematics, Pose

_CLOSING = 0.5  # share of the way to the limit that a joint goes
_ONE_SIDED = 2.0  # a joint closes a finger if the open pose leaves this many times more room to one limit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Facing:
    """What is measured of a hand in its open pose, metres in the canonical wrist frame.

    Attributes:
        fingers: Mean position ``(3,)`` of the tips of all fingers but the thumb.
        closing: Mean motion ``(3,)`` of those tips when the joint that moves each farthest closes halfway; None where
            no joint has clearly more room to one side.
        knuckles_m: Distance from the wrist to the mean place where those fingers begin (their first frame).
        thumbward: How far thumb and index begin towards +y of the other fingers; None where there are no others.
    """

    fingers: Floats
    closing: Floats | None
    knuckles_m: float
    thumbward: float | None


def facing(hand: HandSpec, kinematics: NumpyKinematics) -> Facing:
    """Measure which way a hand with a thumb and another finger faces."""
    open_pose = hand.open_pose or tuple(joint.clamp(0.0) for joint in hand.actuated)
    pose = {joint.name: value for joint, value in zip(hand.actuated, open_pose, strict=True)}
    T_wrist_root = np.asarray(inverse_pose(hand.T_root_wrist.matrix()), np.float64)
    links = _in_wrist(kinematics.poses(pose), T_wrist_root)
    tips = [finger.frames[-1].frame for finger in hand.fingers if finger.role != "thumb"]
    knuckles = [finger.frames[0].frame for finger in hand.fingers if finger.role != "thumb"]
    closed = [
        _in_wrist(kinematics.poses(pose | {joint.name: goal}), T_wrist_root)
        for joint in hand.actuated
        if (goal := _closed(joint, pose[joint.name])) is not None
    ]
    motions = [max((after[tip] - links[tip] for after in closed), key=_length) for tip in tips if closed]
    return Facing(
        fingers=np.mean([links[tip] for tip in tips], axis=0),
        closing=np.mean(motions, axis=0) if motions else None,
        knuckles_m=_length(np.mean([links[knuckle] for knuckle in knuckles], axis=0)),
        thumbward=_thumbward(hand, links),
    )


def _closed(joint: JointSpec, value: float) -> float | None:
    if joint.lower is None or joint.upper is None:
        return None
    up, down = joint.upper - value, value - joint.lower
    if max(up, down) < _ONE_SIDED * min(up, down):
        return None
    return value + _CLOSING * (up if up > down else -down)


def _thumbward(hand: HandSpec, links: dict[str, Floats]) -> float | None:
    """Thumb and index against the rest, where they begin: a thumb that opposes two fingers lies between them."""
    starts = {finger.role: float(links[finger.frames[0].frame][1]) for finger in hand.fingers}
    near = [y for role, y in starts.items() if role in ("thumb", "index")]
    far = [y for role, y in starts.items() if role not in ("thumb", "index")]
    return float(np.mean(near) - np.mean(far)) if len(near) == 2 and far else None


def _in_wrist(links: dict[str, Pose], T_wrist_root: Pose) -> dict[str, Floats]:
    return {link: (T_wrist_root @ pose)[:3, 3] for link, pose in links.items()}


def _length(vector: Floats) -> float:
    return float(np.linalg.norm(vector))
