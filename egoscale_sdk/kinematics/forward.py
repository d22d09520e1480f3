"""Batched forward kinematics and geometric Jacobians of chosen frames of a tree, mimic joints expanded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from egoscale_sdk.errors import SpecError, did_you_mean
from egoscale_sdk.kinematics.chain import LinkChain
from egoscale_sdk.kinematics.mimic import joint_coupling
from egoscale_sdk.specs import JointSpec, KinematicTree


class ForwardKinematics:
    r"""From a joint vector to the poses of named frames, in a base frame of choice.

    A mimic joint is not in the vector: all movable joints of the tree are ``q_tree = A q + b``. A movable joint of the
    tree that is neither in ``joints`` nor a mimic of one of them stays at zero. With ``o_i`` and ``z_i`` the origin
    and axis of joint i, and ``p_f`` the origin of frame f, column i of the Jacobian is

    .. math:: J_i = [z_i \times (p_f - o_i);\; z_i] \text{ (revolute)}, \qquad [z_i;\; 0] \text{ (prismatic)}

    Args:
        tree: The kinematic tree.
        joints: Joints in vector order; those with ``mimic`` are followers and take no place in the vector.
        frames: Links whose poses are wanted, in order.
        base: Link in which the poses are expressed; None means the root of the tree.

    Raises:
        SpecError: a joint or a frame is not in the tree, or mimic joints follow each other in a circle.
    """

    def __init__(
        self, tree: KinematicTree, joints: Sequence[JointSpec], frames: Sequence[str], base: str | None = None
    ) -> None:
        self.tree, self.frames, self.base = tree, tuple(frames), base or tree.root
        self.joints = tuple(joint.name for joint in joints if joint.mimic is None)
        _check(tree, frames=(*self.frames, self.base), joints=[joint.name for joint in joints])
        self._chain = LinkChain(tree, _with_ancestors(tree, (*self.frames, self.base)))
        self._coupling, self._offset = joint_coupling(tree, joints, self._chain.joints)
        self._geometry()

    def __call__(self, q: Tensor) -> Tensor:
        """Return ``T_base_frame``.

        Args:
            q: ``(*b, J)`` rad or m, in the order of `joints`; float32 or float64, any device; differentiable once.

        Returns:
            ``(*b, F, 4, 4)`` in the dtype of ``q``, metres.

        Raises:
            ValueError: the last dimension of ``q`` is not J.
        """
        poses = self._link_poses(q)
        found = poses[:, self._frame_rows]
        if self.base != self.tree.root:
            found = _inverse(poses[:, self._base_row]).unsqueeze(1) @ found
        return found.reshape(*q.shape[:-1], len(self.frames), 4, 4)

    def jacobian(self, q: Tensor) -> Tensor:
        """Return the geometric Jacobian of every frame in base coordinates.

        Args:
            q: ``(*b, J)`` as for `__call__`.

        Returns:
            ``(*b, F, 6, J)``: three rows of linear velocity of the frame's origin, then three of angular velocity,
            per unit of joint velocity.
        """
        poses = self._link_poses(q)  # (B, links, 4, 4)
        turn = poses[:, self._base_row, :3, :3]  # (B, 3, 3): a row vector times this is in base axes
        moved = poses[:, self._joint_rows]  # (B, N, 4, 4)
        z = (moved[..., :3, :3] @ self._axes.to(q).unsqueeze(-1)).squeeze(-1) @ turn  # (B, N, 3)
        o, p = moved[..., :3, 3] @ turn, poses[:, self._frame_rows, :3, 3] @ turn  # (B, N, 3), (B, F, 3)
        axes = z.unsqueeze(1).expand(-1, len(self.frames), -1, -1)  # (B, F, N, 3)
        turning = self._turning.to(q.device)[:, None]
        linear = torch.where(turning, torch.linalg.cross(axes, p.unsqueeze(2) - o.unsqueeze(1)), axes)
        angular = axes * turning
        # A joint above the base moves base and frame alike; one between them only the frame: hence the difference.
        columns = torch.cat([linear, angular], dim=-1) * self._share.to(q).unsqueeze(-1)  # (B, F, N, 6)
        jacobian = columns.transpose(-1, -2) @ self._coupling.to(q)
        return jacobian.reshape(*q.shape[:-1], len(self.frames), 6, len(self.joints))

    def _link_poses(self, q: Tensor) -> Tensor:
        if q.shape[-1:] != (len(self.joints),):
            raise ValueError(f"q must end in {len(self.joints)} joints {self.joints}, has shape {tuple(q.shape)}")
        values = q.reshape(q.shape[:-1].numel(), len(self.joints)) @ self._coupling.to(q).T + self._offset.to(q)
        return self._chain.link_poses(values)

    def _geometry(self) -> None:
        """Index tables: rows of frames and joints among the links, axes, and which joint moves which frame."""
        rows = self._chain.frames
        by_name = {joint.name: joint for joint in self.tree.joints}
        movable = [by_name[name] for name in self._chain.joints]
        self._frame_rows = [rows[frame] for frame in self.frames]
        self._base_row = rows[self.base]
        self._joint_rows = [rows[joint.child] for joint in movable]
        self._axes = torch.tensor([joint.axis for joint in movable], dtype=torch.float64).reshape(-1, 3)
        self._turning = torch.tensor([joint.kind != "prismatic" for joint in movable], dtype=torch.bool)
        above = [_with_ancestors(self.tree, [frame]) for frame in (*self.frames, self.base)]
        moves = torch.tensor([[float(joint.child in links) for joint in movable] for links in above])
        self._share = moves.reshape(len(above), -1)[:-1] - moves.reshape(len(above), -1)[-1]


def _check(tree: KinematicTree, *, frames: Iterable[str], joints: Iterable[str]) -> None:
    movable = {joint.name for joint in tree.joints if joint.kind != "fixed"}
    for kind, names, known in (("frame", frames, set(tree.links)), ("movable joint", joints, movable)):
        for name in names:
            if name not in known:
                raise SpecError(f"{name!r} is not a {kind} of the tree", hint=did_you_mean(name, known))


def _with_ancestors(tree: KinematicTree, links: Iterable[str]) -> frozenset[str]:
    parents = {joint.child: joint.parent for joint in tree.joints}
    found: set[str] = set()
    for link in links:
        step: str | None = link
        while step is not None and step not in found:
            found.add(step)
            step = parents.get(step)
    return frozenset(found)


def _inverse(poses: Tensor) -> Tensor:
    """Invert rigid transforms ``(*b, 4, 4)``."""
    Rt = poses[..., :3, :3].transpose(-1, -2)
    top = torch.cat([Rt, -Rt @ poses[..., :3, 3:]], dim=-1)
    return torch.cat([top, poses[..., 3:, :]], dim=-2)
