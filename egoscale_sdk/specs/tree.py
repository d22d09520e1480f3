"""The kinematic content of a URDF as data: which link hangs on which, where, about which axis."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from egoscale_sdk.specs.base import Name, Strict, Vec3
from egoscale_sdk.specs.joints import MimicSpec

MAX_JOINTS = 512


class TreeJoint(Strict):
    """One URDF joint: ``T_parent_child = Trans(xyz_m) @ Rz Ry Rx(rpy_rad) @ motion(axis, q)``."""

    name: Name
    kind: Literal["revolute", "continuous", "prismatic", "fixed"]
    parent: Name
    child: Name
    xyz_m: Vec3 = (0.0, 0.0, 0.0)
    rpy_rad: Vec3 = (0.0, 0.0, 0.0)
    axis: Vec3 = (1.0, 0.0, 0.0)
    mimic: MimicSpec | None = None


class KinematicTree(Strict):
    """A tree of joints in document order, without limits, masses or meshes (those are the spec's own)."""

    root: Name
    joints: tuple[TreeJoint, ...]

    @model_validator(mode="after")
    def _is_a_tree(self) -> Self:
        if len(self.joints) > MAX_JOINTS:
            raise ValueError(f"{len(self.joints)} joints; at most {MAX_JOINTS} are read")
        children = [joint.child for joint in self.joints]
        names = [joint.name for joint in self.joints]
        for kind, values in (("joint", names), ("child link", children)):
            repeated = {value for value in values if values.count(value) > 1}
            if repeated:
                raise ValueError(f"{kind} {sorted(repeated)[0]!r} occurs more than once")
        reached = {self.root}
        pending = list(self.joints)
        while pending:
            ready = [joint for joint in pending if joint.parent in reached]
            if not ready:
                raise ValueError(f"link {pending[0].parent!r} is not connected to the root {self.root!r}")
            reached |= {joint.child for joint in ready}
            pending = [joint for joint in pending if joint.parent not in reached or joint.child not in reached]
        if self.root in children:
            raise ValueError(f"the root {self.root!r} is also a child: the tree has a cycle")
        return self

    @property
    def links(self) -> tuple[str, ...]:
        """Link names, the root first, then children in document order."""
        return (self.root, *(joint.child for joint in self.joints))

    def parent_joint(self, link: str) -> TreeJoint | None:
        """Return the joint above ``link``, or None for the root."""
        return next((joint for joint in self.joints if joint.child == link), None)
