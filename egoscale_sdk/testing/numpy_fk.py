"""A small forward kinematics in numpy: the judge of every other one, so it shares no code with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import SpecError
from egoscale_sdk.specs import JointSpec, KinematicTree, MimicSpec, TreeJoint

Pose = NDArray[np.float64]


class NumpyKinematics:
    """Poses of all links of a tree, one configuration at a time, float64, joints that follow others expanded.

    ``T_root_child = T_root_parent @ Trans(xyz) @ Rz(yaw) Ry(pitch) Rx(roll) @ motion(axis, q)``, where the motion turns
    about the axis (Rodrigues) or shifts along it.

    ``couplings`` gives every joint's leader, multiplier and offset: ``q_joint = multiplier * q_leader + offset``; a
    joint that follows none leads itself. ``ordered`` are the tree's joints, parents before children.

    Args:
        tree: The kinematic tree.
        joints: Joints of the hand or arm; their ``mimic`` replaces the tree's, also where they have none.
        base: Link in which poses are given; the tree's root if it is not given.

    Raises:
        SpecError: joints follow each other in a circle, or ``base`` is no link of the tree.
    """

    def __init__(self, tree: KinematicTree, joints: Sequence[JointSpec] = (), base: str | None = None) -> None:
        self.base = base or tree.root
        if self.base not in tree.links:
            raise SpecError(f"base {self.base!r} is not a link of the tree", allowed=tree.links)
        self._root = tree.root
        self.ordered = _outwards(tree)
        self._offsets = {joint.name: _offset(joint) for joint in tree.joints}
        stated = {joint.name: joint.mimic for joint in joints}
        mimics = {joint.name: stated.get(joint.name, joint.mimic) for joint in tree.joints}
        self.couplings: dict[str, tuple[str, float, float]] = {name: _leader(name, mimics) for name in mimics}

    @property
    def driven(self) -> tuple[str, ...]:
        """Movable joints that follow no other, parents before children."""
        return tuple(j.name for j in self.ordered if j.kind != "fixed" and self.couplings[j.name][0] == j.name)

    def expand(self, q: Mapping[str, float]) -> dict[str, float]:
        """Return the value of every movable joint, in rad or m; joints that are not in ``q`` stand at zero.

        Raises:
            KeyError: ``q`` names a joint that is not in the tree.
        """
        for name in q:
            if name not in self.couplings:
                raise KeyError(f"{name!r} is not a joint of the tree")
        return {joint.name: self._value(joint.name, q) for joint in self.ordered if joint.kind != "fixed"}

    def poses(self, q: Mapping[str, float]) -> dict[str, Pose]:
        """Return ``T_base_link (4, 4)`` of every link for driven joints ``q`` by name, in rad or m."""
        values = self.expand(q)
        found: dict[str, Pose] = {self._root: np.eye(4)}
        for joint in self.ordered:
            offset = self._offsets[joint.name]
            found[joint.child] = found[joint.parent] @ offset @ _motion(joint, values.get(joint.name, 0.0))
        if self.base == self._root:
            return found
        T_base_root = np.linalg.inv(found[self.base])
        return {link: T_base_root @ pose for link, pose in found.items()}

    def _value(self, name: str, q: Mapping[str, float]) -> float:
        leader, multiplier, offset = self.couplings[name]
        return multiplier * float(q.get(leader, 0.0)) + offset


def _outwards(tree: KinematicTree) -> list[TreeJoint]:
    """Joints with parents before children; the tree has been checked to be one."""
    below: dict[str, list[TreeJoint]] = {}
    for joint in tree.joints:
        below.setdefault(joint.parent, []).append(joint)
    ordered, front = [], [tree.root]
    while front:
        joints = [joint for link in front for joint in below.get(link, [])]
        ordered += joints
        front = [joint.child for joint in joints]
    return ordered


def _leader(name: str, mimics: Mapping[str, MimicSpec | None]) -> tuple[str, float, float]:
    """Follow mimics of mimics: the joint that leads, and ``q_name = multiplier * q_leader + offset``."""
    multiplier, offset, passed = 1.0, 0.0, [name]
    while (mimic := mimics.get(passed[-1])) is not None:
        multiplier, offset = multiplier * mimic.multiplier, offset + multiplier * mimic.offset
        if mimic.joint in passed:
            raise SpecError(f"mimic joints follow each other in a circle: {' -> '.join([*passed, mimic.joint])}")
        passed.append(mimic.joint)
    return passed[-1], multiplier, offset


def _offset(joint: TreeJoint) -> Pose:
    roll, pitch, yaw = joint.rpy_rad
    pose = np.eye(4)
    pose[:3, :3] = _turn((0, 0, 1), yaw) @ _turn((0, 1, 0), pitch) @ _turn((1, 0, 0), roll)
    pose[:3, 3] = joint.xyz_m
    return pose


def _motion(joint: TreeJoint, value: float) -> Pose:
    pose = np.eye(4)
    if joint.kind == "prismatic":
        pose[:3, 3] = value * np.asarray(joint.axis) / np.linalg.norm(joint.axis)
    elif joint.kind != "fixed":
        pose[:3, :3] = _turn(joint.axis, value)
    return pose


def _turn(axis: Sequence[float], angle: float) -> NDArray[np.float64]:
    """Rodrigues: ``I + sin K + (1 - cos) K^2`` with K the cross-product matrix of the unit axis."""
    x, y, z = np.asarray(axis, np.float64) / np.linalg.norm(axis)
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: NDArray[np.float64] = np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K
    return turn
