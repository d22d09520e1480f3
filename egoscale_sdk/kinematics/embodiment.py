"""An `Embodiment` made from its spec alone: arms carry hands, hands carry canonical wrist frames."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egoscale_sdk.errors import SpecError
from egoscale_sdk.geometry import Floats
from egoscale_sdk.interfaces import Capability, Embodiment, Frame
from egoscale_sdk.kinematics.forward import ForwardKinematics
from egoscale_sdk.specs import ArmSpec, EmbodimentSpec, HandSpec, Side


class SpecEmbodiment(Embodiment):
    """The body that a spec describes.

    Frames come side by side, left before right: the links that the arm's own joints move (expressed in the arm's
    base), then every link of the hand (in the same base; without an arm, in the hand's own root). A hand whose mount
    is not calibrated (``mount_calibrated = false``) sits where the spec's hint puts it.
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        self.spec = spec

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Forward kinematics if every hand has a tree; wrists from arms if every hand also has an arm."""
        found: set[Capability] = set()
        if all(hand.tree for hand in self.spec.hands):
            found.add("forward_kinematics")
            arms = [self.spec.arm(hand.side) for hand in self.spec.hands]
            if all(arm and arm.tree for arm in arms):
                found.add("wrist_from_arms")
        return frozenset(found)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames that `forward_kinematics` returns, in order."""
        return tuple(frame for limb in self._limbs for frame in limb.frames)

    def forward_kinematics(self, q: Tensor) -> Tensor:
        """Return ``T_base_frame (*b, F, 4, 4)`` of every frame for ``q (*b, J)``; see `Embodiment`."""
        parts = self._split(q)
        return torch.cat([limb.poses(parts) for limb in self._limbs], dim=-3)

    def wrist_poses(self, q: Tensor) -> Tensor:
        """Return ``T_base_wrist (*b, sides, 4, 4)`` of arms and hands; see `Embodiment`."""
        if "wrist_from_arms" not in self.capabilities:
            raise SpecError("has no arms to take wrist poses from: they are commanded", where=self.spec.id)
        parts = self._split(q)
        return torch.stack([limb.wrist(parts) for limb in self._limbs], dim=-3)

    @cached_property
    def _limbs(self) -> tuple[_Limb, ...]:
        if "forward_kinematics" not in self.capabilities:
            raise SpecError("has no forward kinematics: a hand has no kinematic tree", where=self.spec.id)
        return tuple(_Limb(hand, self.spec.arm(hand.side)) for hand in self.spec.hands)

    def _split(self, q: Tensor) -> dict[str, Tensor]:
        """Cut ``q`` into ``left_arm``, ``right_arm``, ``left_hand``, ``right_hand``."""
        sizes = {f"{arm.side}_arm": len(arm.joints) for arm in self.spec.arms}
        sizes |= {f"{hand.side}_hand": len(hand.actuated) for hand in self.spec.hands}
        if q.shape[-1:] != (sum(sizes.values()),):
            raise ValueError(f"q must end in {sum(sizes.values())} joints, has shape {tuple(q.shape)}")
        return dict(zip(sizes, torch.split(q, list(sizes.values()), dim=-1), strict=True))


def wrists_of_arms(body: SpecEmbodiment, arms: Mapping[Side, Floats]) -> dict[Side, NDArray[np.float64]]:
    """Return canonical wrist poses ``T_base_wrist (*b, 4, 4)`` of the arms whose joints ``(*b, n)`` are given."""
    spec, batch = body.spec, next(iter(arms.values())).shape[:-1]
    parts = [arms.get(arm.side, np.zeros((*batch, len(arm.joints)))) for arm in spec.arms]
    parts += [np.zeros((*batch, len(hand.actuated))) for hand in spec.hands]  # the wrist lies before the fingers
    poses = body.wrist_poses(torch.from_numpy(np.concatenate(parts, axis=-1))).numpy().astype(np.float64)
    return {hand.side: poses[..., n, :, :] for n, hand in enumerate(spec.hands) if hand.side in arms}


class _Limb:
    """One hand, with its arm if it has one."""

    def __init__(self, hand: HandSpec, arm: ArmSpec | None) -> None:
        assert hand.tree is not None
        self.side: Side = hand.side
        self._hand = ForwardKinematics(hand.tree, hand.joints, hand.tree.links, hand.root)
        self._root_wrist = torch.from_numpy(hand.T_root_wrist.matrix())
        self._arm: ForwardKinematics | None = None
        base = hand.root
        if arm is not None and arm.tree is not None:
            base = arm.base
            self._arm = ForwardKinematics(arm.tree, arm.joints, (*_arm_links(arm), arm.tip), arm.base)
            self._tip_root = torch.from_numpy(arm.T_tip_root.matrix())
        links = (*(self._arm.frames[:-1] if self._arm else ()), *self._hand.frames)
        self.frames = tuple(Frame(link, hand.side, base) for link in links)

    def poses(self, parts: dict[str, Tensor]) -> Tensor:
        """Return ``T_base_frame (*b, frames, 4, 4)`` of arm and hand."""
        hand = self._hand(parts[f"{self.side}_hand"])
        if self._arm is None:
            return hand
        arm = self._arm(parts[f"{self.side}_arm"])
        root = arm[..., -1:, :, :] @ self._tip_root.to(hand)
        return torch.cat([arm[..., :-1, :, :], root @ hand], dim=-3)

    def wrist(self, parts: dict[str, Tensor]) -> Tensor:
        """Return ``T_base_wrist (*b, 4, 4)``."""
        assert self._arm is not None
        q = parts[f"{self.side}_arm"]
        return self._arm(q)[..., -1, :, :] @ self._tip_root.to(q) @ self._root_wrist.to(q)


def _arm_links(arm: ArmSpec) -> tuple[str, ...]:
    """Links below the base that hang only on this arm's joints (and fixed ones): their poses follow from its ``q``."""
    assert arm.tree is not None
    own = {joint.name for joint in arm.joints}
    reached = {arm.base}
    for _ in arm.tree.joints:
        reached |= {
            joint.child
            for joint in arm.tree.joints
            if joint.parent in reached and (joint.kind == "fixed" or joint.name in own)
        }
    return tuple(link for link in arm.tree.links if link in reached)
