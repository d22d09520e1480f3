"""Walking a kinematic tree: what hangs below what, and which links move as one; fingers along it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.hands.wrist import FINGERS
from egoscale_sdk.specs import FingerSpec, KinematicTree, TreeJoint
from egoscale_sdk.testing.check import Violation

PHALANX_M = 0.005
"""A shorter part of a finger is a joint of several axes, not something that touches."""


def above(tree: KinematicTree, link: str) -> list[TreeJoint]:
    """Return the joints from the tree's root to a link, outwards."""
    joints, joint = [], tree.parent_joint(link)
    while joint is not None:
        joints.append(joint)
        joint = tree.parent_joint(joint.parent)
    return joints[::-1]


def below(tree: KinematicTree, link: str) -> list[TreeJoint]:
    """Return the joints that hang below a link, parents before children."""
    children: dict[str, list[TreeJoint]] = {}
    for joint in tree.joints:
        children.setdefault(joint.parent, []).append(joint)
    found, front = [], [link]
    while front:
        joints = [joint for name in front for joint in children.get(name, [])]
        found += joints
        front = [joint.child for joint in joints]
    return found


def movable(joints: list[TreeJoint]) -> list[TreeJoint]:
    """Return those joints that are not fixed."""
    return [joint for joint in joints if joint.kind != "fixed"]


def rigid_part(tree: KinematicTree, link: str) -> str:
    """Return the link that stands for all which move together with this one: the innermost of them."""
    while (joint := tree.parent_joint(link)) is not None and joint.kind == "fixed":
        link = joint.parent
    return link


def check_finger(tree: KinematicTree, root: str, finger: FingerSpec, *, ends: bool) -> None:
    """Hold a finger's frames against the tree of a hand with that root.

    Args:
        tree: The hand's tree.
        root: Its root link.
        finger: One of its fingers.
        ends: Whether nothing movable may hang below the tip; one finger of a gripper may carry the other.

    Raises:
        Violation: a frame does not hang below the one before, the tip cannot move, or is not the end of the finger.
    """
    frames = [target.frame for target in finger.frames]
    for inner, outer in pairwise(frames):
        if inner not in [joint.parent for joint in above(tree, outer)]:
            raise Violation(f"{finger.role}: frame {outer!r} does not hang below {inner!r}")
    tip = frames[-1]
    if not movable([joint for joint in above(tree, tip) if joint in below(tree, root)]):
        raise Violation(f"{finger.role}: no joint moves {tip!r}")
    beyond = movable(below(tree, tip))
    if ends and beyond:
        raise Violation(f"{finger.role}: {tip!r} is no tip, joint {beyond[0].name!r} hangs below it")


def check_keypoints(finger: FingerSpec) -> None:
    """Hold the keypoints that a finger's frames follow against its role.

    Raises:
        Violation: a frame follows none of its own finger's, or a mean of the thumb's and of another finger's.
    """
    own, thumb = set(FINGERS[finger.role]), set(FINGERS["thumb"])
    for target in finger.frames:
        followed = set(target.keypoints)
        where = f"{finger.role}: frame {target.frame!r} follows keypoints {', '.join(map(str, target.keypoints))}"
        if not followed & own:
            raise Violation(f"{where}, none of which is the {finger.role}'s ({min(own)} to {max(own)})")
        if followed & thumb and followed - thumb:
            raise Violation(f"{where}, of the thumb and of another finger")


def parts_of(tree: KinematicTree, finger: FingerSpec, points: Mapping[str, NDArray[np.float64]]) -> Iterator[str]:
    """Yield the links that stand for the moving parts of a finger which are long enough to touch, and its last one.

    Args:
        tree: The hand's tree.
        finger: One of its fingers.
        points: Where each link's frame is, metres, in any one configuration.
    """
    tip = finger.frames[-1].frame
    joints = movable(above(tree, tip))
    for link, outer in pairwise([*(joint.child for joint in joints), tip]):
        if outer == tip or float(np.linalg.norm(points[outer] - points[link])) > PHALANX_M:
            yield link
