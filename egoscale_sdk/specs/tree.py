"""The kinematic content of a URDF as data: which link hangs on which, where, about which axis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import model_validator

from egoscale_sdk.specs.base import Name, Strict, Vec3, unknown
from egoscale_sdk.specs.joints import JointSpec, MimicSpec

MAX_JOINTS = 512
MAX_OFFSET_M = 10.0


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

    @model_validator(mode="after")
    def _in_metres(self) -> Self:
        if max(map(abs, self.xyz_m)) > MAX_OFFSET_M:
            raise ValueError(f"origin {self.xyz_m} m looks like millimetres")
        return self


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

    def check_names(self, joints: Iterable[JointSpec], links: Iterable[str], source: str) -> None:
        """Refuse joints and links that are not in this tree, and joints that move otherwise in it.

        Raises:
            ValueError: names the joint or link, ``source``, and the closest name there is.
        """
        kinds = {joint.name: joint.kind for joint in self.joints}
        for joint in joints:
            if joint.name not in kinds:
                raise unknown(f"joint {joint.name!r} is not in {source}", joint.name, kinds)
            kind = kinds[joint.name]
            if kind != joint.kind and (kind, joint.kind) != ("continuous", "revolute"):
                raise ValueError(f"joint {joint.name!r} is {joint.kind} here and {kind} in {source}")
        for link in links:
            if link not in self.links:
                raise unknown(f"frame {link!r} is not a link of {source}", link, self.links)
