"""Gains of a simulated hand's joints, from the efforts that its file allows."""

from __future__ import annotations

import numpy as np

from egoscale_sdk.scaffold.model import VendorModel
from egoscale_sdk.scaffold.posture import Posture
from egoscale_sdk.specs import JointDynamics, JointSpec

_KP_PER_EFFORT = {"rad": 1.5, "m": 10.0}  # an error of 0.7 rad or 0.1 m asks for all the effort
_KP_RANGE = {"rad": (0.8, 20.0), "m": (200.0, 1000.0)}
_KP_UNKNOWN = {"rad": 2.0, "m": 400.0}
_ARMATURE = {"rad": 5e-4, "m": 0.1}
_DAMPING_RATIO = 0.9
_FINGER_MASS_KG = 0.05  # where the file gives none


def joint_dynamics(model: VendorModel, posture: Posture) -> tuple[JointDynamics, ...]:
    """Return gains of every driven joint: stiff in proportion to its effort, damped for what it carries."""
    return tuple(_of_joint(model, posture, joint) for joint in posture.joints.values() if joint.mimic is None)


def _of_joint(model: VendorModel, posture: Posture, joint: JointSpec) -> JointDynamics:
    effort = joint.effort_n if joint.unit == "m" else joint.effort_nm
    wanted = _KP_UNKNOWN[joint.unit] if effort is None else _KP_PER_EFFORT[joint.unit] * effort
    kp = float(np.clip(wanted, *_KP_RANGE[joint.unit]))
    carried = _inertia(model, posture, joint)
    armature = max(_ARMATURE[joint.unit], carried)  # of the drive: not less than of what it moves
    damping = 2 * _DAMPING_RATIO * float(np.sqrt(kp * (armature + carried)))
    return JointDynamics(joint=joint.name, kp=_digits(kp), damping=_digits(damping), armature=_digits(armature))


def _inertia(model: VendorModel, posture: Posture, joint: JointSpec) -> float:
    """Mass that a joint carries, or as a rod of that mass from the joint to the farthest tip, its inertia."""
    below = _links_below(posture, joint.name)
    mass = sum(model.links[link].mass_kg for link in below if link in model.links) or _FINGER_MASS_KG
    if joint.unit == "m":
        return mass
    poses, tips = posture.kinematics.poses(posture.stretched), posture.tips(posture.stretched)
    start = next(item.child for item in posture.tree.joints if item.name == joint.name)
    ends = [tip for finger, tip in zip(posture.fingers, tips, strict=True) if finger.chain.last in below]
    reach = max((float(np.linalg.norm(tip - poses[start][:3, 3])) for tip in ends), default=0.03)
    return mass * reach**2 / 3


def _links_below(posture: Posture, name: str) -> set[str]:
    """Links that a joint carries."""
    below: set[str] = set()
    for joint in posture.kinematics.ordered:
        if joint.name == name or joint.parent in below:
            below.add(joint.child)
    return below


def _digits(value: float) -> float:
    return float(f"{value:.3g}")
