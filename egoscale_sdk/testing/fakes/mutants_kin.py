"""One fault each, for the checks of the family KIN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from egoscale_sdk.interfaces import Capability, Frame
from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.specs import HandSpec, MimicSpec
from egoscale_sdk.testing.fakes.good import good, good_spec, with_hands
from egoscale_sdk.testing.subject import Subject


class _CapableOfNothing(SpecEmbodiment):
    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()


class _BasedOnTheHand(SpecEmbodiment):
    """Says that links of a hand on an arm are in the hand's root."""

    @property
    def frames(self) -> tuple[Frame, ...]:
        hands = {hand.side: hand for hand in self.spec.hands}
        return tuple(Frame(f.name, f.side, hands[f.side].root if f.side else f.base) for f in super().frames)


class _DoublePrecisionOnly(SpecEmbodiment):
    def forward_kinematics(self, q: Tensor) -> Tensor:
        return super().forward_kinematics(q.double())


class _FirstOfTheBatch(SpecEmbodiment):
    """Places every hand of a batch on the arm of its first element."""

    def forward_kinematics(self, q: Tensor) -> Tensor:
        arms = sum(len(arm.joints) for arm in self.spec.arms)
        first = q.reshape(-1, q.shape[-1])[:1, :arms].expand(q.shape[:-1].numel(), -1)
        return super().forward_kinematics(torch.cat([first.reshape(*q.shape[:-1], arms), q[..., arms:]], dim=-1))


class _TakesAnyLength(SpecEmbodiment):
    def forward_kinematics(self, q: Tensor) -> Tensor:
        joints = len(self.spec.joints)
        return super().forward_kinematics(torch.cat([q, q.new_zeros(*q.shape[:-1], joints)], dim=-1)[..., :joints])


class _ClampsItsArgument(SpecEmbodiment):
    def forward_kinematics(self, q: Tensor) -> Tensor:
        if not q.requires_grad:
            q.copy_(self.clamp(q))
        return super().forward_kinematics(q)


class _HalfTheGradient(SpecEmbodiment):
    def forward_kinematics(self, q: Tensor) -> Tensor:
        return super().forward_kinematics((q + q.detach()) / 2)


class _HandsExchanged(SpecEmbodiment):
    def forward_kinematics(self, q: Tensor) -> Tensor:
        hand = len(self.spec.hands[0].actuated)
        return super().forward_kinematics(
            torch.cat([q[..., : -2 * hand], q[..., -hand:], q[..., -2 * hand : -hand]], -1)
        )


class _NearestLimits(SpecEmbodiment):
    """Rounds a limit that does not fit the dtype to the nearest, which may be beyond it."""

    def limits(self, like: Tensor) -> tuple[Tensor, Tensor]:
        lower = [-torch.inf if joint.lower is None else joint.lower for joint in self.spec.joints]
        upper = [torch.inf if joint.upper is None else joint.upper for joint in self.spec.joints]
        return like.new_tensor(lower), like.new_tensor(upper)


class _NeutralAtZero(SpecEmbodiment):
    def neutral(self, like: Tensor) -> Tensor:
        return self.clamp(like.new_zeros(len(self.spec.joints)))


class _RootsForWrists(SpecEmbodiment):
    def wrist_poses(self, q: Tensor) -> Tensor:
        roots = [torch.linalg.inv(torch.from_numpy(hand.T_root_wrist.matrix())) for hand in self.spec.hands]
        return super().wrist_poses(q) @ torch.stack(roots).to(q)


def _mimic_ignored() -> Subject:
    def without(hand: HandSpec) -> HandSpec:
        joints = [joint.model_copy(update={"mimic": _still(joint.mimic)}) for joint in hand.joints]
        return hand.model_copy(update={"joints": tuple(joints)})

    spec = good_spec()
    return good(embodiment=SpecEmbodiment(spec.model_copy(update={"hands": tuple(map(without, spec.hands))})))


def _still(mimic: MimicSpec | None) -> MimicSpec | None:
    return mimic and MimicSpec(joint=mimic.joint, multiplier=0.0)


def _in_centimetres(hand: HandSpec) -> dict[str, Any]:
    assert hand.tree
    longer = [
        joint.model_copy(update={"xyz_m": tuple(100 * value for value in joint.xyz_m)}) for joint in hand.tree.joints
    ]
    return {"tree": hand.tree.model_copy(update={"joints": tuple(longer)})}


def _one_sign_wrong(hand: HandSpec) -> dict[str, Any]:
    return {"mirror_signs": (-hand.mirror_signs[0], *hand.mirror_signs[1:])}


def _body(kind: type[SpecEmbodiment]) -> Callable[[], Subject]:
    return lambda: good(embodiment=kind(good_spec()))


MUTANTS: dict[str, Callable[[], Subject]] = {
    "KIN001": _body(_CapableOfNothing),
    "KIN002": _body(_BasedOnTheHand),
    "KIN003": _mimic_ignored,
    "KIN004": _body(_DoublePrecisionOnly),
    "KIN005": _body(_FirstOfTheBatch),
    "KIN006": _body(_TakesAnyLength),
    "KIN007": _body(_ClampsItsArgument),
    "KIN008": _body(_HalfTheGradient),
    "KIN009": _body(_HandsExchanged),
    "KIN010": _body(_NearestLimits),
    "KIN011": _body(_NeutralAtZero),
    "KIN012": _body(_RootsForWrists),
    "KIN013": lambda: with_hands(_in_centimetres),
    "KIN014": lambda: with_hands(_one_sign_wrong),
}
