"""Hands as skeletons: a person's from keypoints, a robot's from its joints, both in the canonical wrist axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import inverse_pose, transform_points
from egoscale_sdk.hands.wrist import BONES
from egoscale_sdk.specs import HandSpec
from egoscale_sdk.viewer.figures import FINGER_COLOURS, INK, ROBOT, Skeleton

ROLES = ("thumb", "index", "middle", "ring", "pinky")


def human_skeleton(keypoints: NDArray[Any], title: str) -> Skeleton:
    """Skeleton of canonical keypoints ``(21, 3)`` given in the wrist frame."""
    colours = tuple(INK if inner == 0 else FINGER_COLOURS[(outer - 1) // 4] for inner, outer in BONES)
    return Skeleton(title, keypoints[np.array(BONES)], colours)


def robot_skeleton(hand: HandSpec, joints: NDArray[Any], title: str) -> Skeleton:
    """Skeleton of a robot hand at a joint vector ``(J,)``: a line from each link's origin to its parent's."""
    import torch

    from egoscale_sdk.kinematics import ForwardKinematics

    if hand.tree is None:
        raise ValueError(f"hand space {hand.hand_space.id} has no kinematic tree")
    frames = hand.tree.links
    poses = ForwardKinematics(hand.tree, hand.joints, frames, hand.root)(torch.as_tensor(joints, dtype=torch.float64))
    points = transform_points(inverse_pose(hand.T_root_wrist.matrix()), poses[:, :3, 3].numpy())
    at = dict(zip(frames, points, strict=True))
    segments = [(at[joint.parent], at[joint.child]) for joint in hand.tree.joints]
    colours = finger_colours(hand)
    return Skeleton(title, np.array(segments), tuple(colours.get(joint.child, ROBOT) for joint in hand.tree.joints))


def finger_colours(hand: HandSpec) -> dict[str, str]:
    """Colour of every link above a fingertip, by the finger's role; links that fingers share stay grey."""
    found: dict[str, set[str]] = {}
    for finger in hand.fingers:
        link: str | None = finger.frames[-1].frame
        while link is not None:
            found.setdefault(link, set()).add(finger.role)
            above = hand.tree.parent_joint(link) if hand.tree else None
            link = above.parent if above else None
    return {link: FINGER_COLOURS[ROLES.index(min(roles))] for link, roles in found.items() if len(roles) == 1}
