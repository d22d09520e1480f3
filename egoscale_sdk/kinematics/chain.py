"""The only module that knows pytorch-kinematics: a `KinematicTree` becomes one of its chains.

The chain is built from frames, not from URDF text, because the library's URDF reader rounds fixed offsets to float32
(1e-7 to 3e-7 of error that no later cast removes); offsets given as float64 matrices stay exact.
"""

from __future__ import annotations

from collections.abc import Collection

import pytorch_kinematics as pk
import torch
from pytorch_kinematics.frame import Frame, Joint, Link
from torch import Tensor

from egoscale_sdk.geometry import make_pose, rotation_from_rpy
from egoscale_sdk.specs import KinematicTree, TreeJoint


class LinkChain:
    """Forward kinematics of a set of links that is closed upwards: with each link, its parent.

    Attributes:
        joints: Names of the movable joints, in the order of the vector that `link_poses` takes.
        frames: Index of each link in the result of `link_poses`.
    """

    def __init__(self, tree: KinematicTree, links: Collection[str]) -> None:
        self._tree, self._links = tree, frozenset(links)
        self._chains: dict[tuple[torch.dtype, torch.device], pk.Chain] = {}
        exact = self._chain(torch.float64, torch.device("cpu"))
        self.joints: tuple[str, ...] = tuple(exact.get_joint_parameter_names())
        self.frames: dict[str, int] = dict(exact.frame_to_idx)

    def link_poses(self, values: Tensor) -> Tensor:
        """Return ``T_root_link (B, links, 4, 4)`` for joint values ``(B, movable joints)``, rad or m."""
        poses: Tensor = self._chain(values.dtype, values.device).forward_kinematics_tensor(values)
        return poses.transpose(0, 1)

    def _chain(self, dtype: torch.dtype, device: torch.device) -> pk.Chain:
        """Return the chain in a precision and on a device, made once from exact figures (a cast is in place)."""
        if (dtype, device) not in self._chains:
            root = _frames(self._tree, self._links)
            self._chains[dtype, device] = pk.Chain(root, dtype=torch.float64).to(dtype=dtype, device=device)
        return self._chains[dtype, device]


def _frames(tree: KinematicTree, links: frozenset[str]) -> Frame:
    made = {tree.root: Frame(tree.root, link=Link(tree.root))}
    pending = [joint for joint in tree.joints if joint.child in links]
    while pending:
        joint = next(joint for joint in pending if joint.parent in made)
        made[joint.child] = _frame(joint)
        made[joint.parent].add_child(made[joint.child])
        pending.remove(joint)
    return made[tree.root]


def _frame(joint: TreeJoint) -> Frame:
    offset = torch.from_numpy(make_pose(rotation_from_rpy(joint.rpy_rad), joint.xyz_m))
    kind = {"continuous": "revolute"}.get(joint.kind, joint.kind)
    motion = Joint(joint.name, pk.Transform3d(matrix=offset), kind, joint.axis, dtype=torch.float64)
    return Frame(joint.child, link=Link(joint.child), joint=motion)
