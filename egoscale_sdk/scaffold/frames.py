"""Which frames of a finger follow which of a person's keypoints, and where a person's wrist would be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import quaternion_from_rotation
from egoscale_sdk.hands.wrist import FINGERS
from egoscale_sdk.scaffold.posture import Posture
from egoscale_sdk.scaffold.tips import Finger
from egoscale_sdk.specs import FingerSpec, FrameTarget, PoseSpec
from egoscale_sdk.specs.hand import FingerRole

WRIST_TO_KNUCKLES_M = 0.097  # of an adult: 96 to 100 mm
_LEVER_SHARE = 0.15  # a joint that moves the next by a shorter lever than this share of the way to the tip
STANDS_FOR: dict[int, tuple[tuple[str, ...], ...]] = {
    2: (("thumb",), ("index", "middle")),
    3: (("thumb",), ("index",), ("middle", "ring", "pinky")),
    4: (("thumb",), ("index",), ("middle",), ("ring", "pinky")),
    5: (("thumb",), ("index",), ("middle",), ("ring",), ("pinky",)),
}
"""Per number of robot fingers: of which human fingers each follows the mean."""

_ROLES: tuple[FingerRole, ...] = ("thumb", "index", "middle", "ring", "pinky")


def finger_specs(posture: Posture, order: Sequence[int]) -> tuple[FingerSpec, ...]:
    """Lay a person's keypoints on the fingers, given in the order thumb, index, ..

    A finger of one bone follows base and tip; of two, the joint after the base, too; of three, all four keypoints.
    """
    humans = STANDS_FOR[len(order)]
    specs = []
    for role, number, human in zip(_ROLES, order, humans, strict=False):
        finger = posture.fingers[number]
        links = [*bone_links(posture, finger), finger.tip]
        offsets = [*range(len(links) - 1), 3]
        frames = [
            FrameTarget(frame=link, keypoints=tuple(FINGERS[name][offset] for name in human))
            for link, offset in zip(links, offsets, strict=True)
        ]
        specs.append(FingerSpec(role=role, frames=tuple(frames)))
    return tuple(specs)


def bone_links(posture: Posture, finger: Finger) -> list[str]:
    """Links of a finger that carry a bone of their own, from the palm outwards; the outermost three of them.

    A joint whose axis passes near the next joint turns the finger in place and carries no bone: the next one does.
    """
    poses = posture.kinematics.poses(posture.stretched)
    joints = finger.chain.movable
    tip = (poses[finger.chain.last] @ [*finger.tip_m, 1.0])[:3]
    points = [*(poses[joint.child][:3, 3] for joint in joints), tip]
    bones = [there - here for here, there in pairwise(points)]
    lengths = [float(np.linalg.norm(bone)) for bone in bones]
    carrying = [
        joint.child
        for number, (joint, bone) in enumerate(zip(joints, bones, strict=True))
        if joint.kind != "prismatic"
        and np.linalg.norm(np.cross(bone, posture.axis(joint, poses))) > _LEVER_SHARE * sum(lengths[number:])
    ]
    return carrying[-3:] or [joints[-1].child]


def wrist_pose(posture: Posture, fingers: Sequence[FingerSpec], axes: NDArray[np.float64]) -> PoseSpec:
    """Return ``T_root_wrist``: as far behind the middle knuckle, or the middle of few knuckles, as a person's wrist."""
    poses = posture.kinematics.poses(posture.stretched)
    rows = [finger for finger in fingers if finger.role == "middle"] if len(fingers) > 3 else fingers[1:]
    knuckles = np.mean([poses[finger.frames[0].frame][:3, 3] for finger in rows], axis=0)
    return pose_spec(axes, knuckles - WRIST_TO_KNUCKLES_M * axes[:, 2])


def pose_spec(axes: NDArray[np.float64], origin: NDArray[np.float64]) -> PoseSpec:
    """Pose with the given axes as columns, its origin rounded to 0.1 mm."""
    w, x, y, z = (float(value) + 0.0 for value in quaternion_from_rotation(axes))
    return PoseSpec(xyz_m=tuple(round(float(value), 4) + 0.0 for value in origin), quat_wxyz=(w, x, y, z))
