"""Pictures of a robot's hand beside the person's, in every canonical gesture. Needs the extra ``viewer``."""

from __future__ import annotations

from functools import cache

import numpy as np

from egoscale_sdk.hands import FINGERS
from egoscale_sdk.sim.person import KEYPOINTS, person_hand
from egoscale_sdk.specs import FingerSpec, FrameTarget, HandSpec, Side
from egoscale_sdk.testing import gestures
from egoscale_sdk.testing.numpy_fk import NumpyKinematics
from egoscale_sdk.testing.robot_hand import bone_errors, followed, gesture_positions, opening, shown_gestures
from egoscale_sdk.testing.subject import Subject
from egoscale_sdk.viewer.solids import Pair, Solid, gestures_figure, solid

_FINGERS_DEG, _GRIPPER_DEG = -30.0, 68.0  # a gripper opens towards the palm's side: seen from the thumb's


def gestures_picture(subject: Subject, side: Side) -> str:
    """Draw one hand in every gesture beside the person's, as a PNG data URI.

    Raises:
        MissingExtraError: matplotlib is not installed.
        Exception: what the plugin's retargeter raises.
    """
    hand = subject.spec.hand(side)
    joints = shown_gestures(subject, side).joints[:, 0]
    captions, gripper = _captions(subject, side), hand.aperture is not None
    pairs = []
    for index, name in enumerate(gestures.GESTURES):
        q = dict(zip([joint.name for joint in hand.actuated], joints[index], strict=True))
        robot = solid(hand, subject.oracles[side].poses(q))
        openings = (_gap(name), float(opening(subject, side, joints[index]))) if gripper else None
        pairs.append(Pair(name.replace("_", " "), _person(name, side), robot, captions[index], openings))
    return gestures_figure(pairs, side, _GRIPPER_DEG if gripper else _FINGERS_DEG)


def _captions(subject: Subject, side: Side) -> list[str]:
    """One line a gesture: error of bone directions and the distance of pinching tips, or openings."""
    hand = subject.spec.hand(side)
    if hand.aperture is not None:
        wide = opening(subject, side, shown_gestures(subject, side).joints[:, 0])
        pairs = zip(gestures.GESTURES, wide, strict=True)
        return [f"person {1e3 * _gap(name):.0f} mm, gripper {1e3 * value:.0f} mm" for name, value in pairs]
    at = gesture_positions(subject, side)
    errors = np.mean(list(bone_errors(subject, side, at, gestures.gestures(side)).values()), axis=0)
    lines = [f"bones {error:.0f}° off" for error in errors]
    tips = {finger.role: finger.frames[-1] for finger in followed(hand)}
    for index, name in enumerate(gestures.GESTURES):
        role = gestures.PINCHES.get(name)
        if role in tips and "thumb" in tips and len(tips[role].keypoints) == 1:
            apart = at[tips[role].frame][index] - at[tips["thumb"].frame][index]
            lines[index] += f", tips {1e3 * np.linalg.norm(apart):.1f} mm apart"
    return lines


def _gap(name: str) -> float:
    points = gestures.gesture(name)
    return float(np.linalg.norm(points[4] - points[[8, 12]].mean(axis=0)))


@cache
def _person(name: str, side: Side) -> Solid:
    hand, kinematics = _person_hand(side)
    names = [joint.name for joint in hand.joints]
    return solid(hand, kinematics.poses(dict(zip(names, gestures.angles_rad(name), strict=True))))


@cache
def _person_hand(side: Side) -> tuple[HandSpec, NumpyKinematics]:
    """The person's hand with its fingers named, so that they have the colours of a robot's."""
    hand = person_hand(side)
    assert hand.tree is not None
    fingers = tuple(
        FingerSpec.model_validate(
            {"role": role, "frames": [FrameTarget(frame=KEYPOINTS[index], keypoints=(index,)) for index in chain]}
        )
        for role, chain in FINGERS.items()
    )
    return hand.model_copy(update={"fingers": fingers}), NumpyKinematics(hand.tree, hand.joints, hand.root)
