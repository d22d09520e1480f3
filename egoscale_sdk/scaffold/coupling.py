"""Two sliding fingers that a file leaves uncoupled: a gripper whose coupling stands elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from egoscale_sdk.scaffold.fingers import Chain, FoundHand
from egoscale_sdk.scaffold.model import Limit, VendorModel
from egoscale_sdk.specs import MimicSpec, TreeJoint
from egoscale_sdk.testing.numpy_fk import NumpyKinematics


def couple_sliders(model: VendorModel, found: FoundHand) -> tuple[FoundHand, tuple[str, ...]]:
    """Let one of two single sliding joints follow the other, and ask whether it does.

    The joint whose limits are positive leads; the other moves as far, so that the fingers part evenly.
    """
    sliders = [chain.movable[0] for chain in found.chains if _slides_alone(chain)]
    if len(found.chains) != 2 or len(sliders) != 2:
        return found, ()
    first, second = sliders
    leader, follower = (first, second) if _reach(model, first) >= _reach(model, second) else (second, first)
    multiplier = _multiplier(model, found, leader, follower)
    coupled = follower.model_copy(update={"mimic": MimicSpec(joint=leader.name, multiplier=multiplier)})
    question = (
        f"joints: mimic of {follower.name!r}: it slides as {leader.name!r} does, and neither follows the other in "
        f"{model.source}; is one motor behind both? (that it follows {leader.name!r} {multiplier:g} times stands in: "
        "nothing is to be changed if that is so)"
    )
    return _with_joint(found, coupled), (question,)


def _slides_alone(chain: Chain) -> bool:
    return len(chain.movable) == 1 and chain.movable[0].kind == "prismatic" and chain.movable[0].mimic is None


def _reach(model: VendorModel, joint: TreeJoint) -> float:
    limit = model.limits.get(joint.name, Limit())
    return (limit.lower or 0.0) + (limit.upper or 0.0)


def _multiplier(model: VendorModel, found: FoundHand, leader: TreeJoint, follower: TreeJoint) -> float:
    """Sign with which the follower's link moves against the leader's."""
    poses = NumpyKinematics(found.tree).poses({})
    a, b = (poses[joint.child][:3, :3] @ np.asarray(joint.axis) for joint in (leader, follower))
    if abs(a @ b) > 0.5:
        return -1.0 if a @ b > 0 else 1.0
    return 1.0 if _reach(model, leader) * _reach(model, follower) >= 0 else -1.0


def _with_joint(found: FoundHand, joint: TreeJoint) -> FoundHand:
    def swap(joints: tuple[TreeJoint, ...]) -> tuple[TreeJoint, ...]:
        return tuple(joint if item.name == joint.name else item for item in joints)

    tree = found.tree.model_copy(update={"joints": swap(found.tree.joints)})
    return replace(found, tree=tree, chains=tuple(Chain(swap(chain.joints)) for chain in found.chains))
