"""A hand of a spec as MuJoCo bodies, joints and position actuators; every number comes from the spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import SpecError
from egoscale_sdk.geometry import inverse_pose, make_pose, quaternion_from_rotation, rotation_from_rpy
from egoscale_sdk.sim.mj import mujoco
from egoscale_sdk.specs import BodySpec, HandSpec, JointDynamics, JointSpec, KinematicTree, TreeJoint

HAND = "hand/"
TIMESTEP_S = 1 / 240
DEFAULT_MASS_KG = 0.6
DEFAULT_DYNAMICS = {
    "rad": JointDynamics(joint="any", kp=1.0, damping=0.05, armature=1e-3),
    "m": JointDynamics(joint="any", kp=400.0, damping=10.0, armature=0.1),
}


@dataclass(frozen=True)
class Contact:
    """How the hand's surface meets the object: MuJoCo's contact stiffness and friction.

    Soft pulp (`PULP`) lets measured fingers sink in, so that measured joints still squeeze; a stiff surface does not.
    """

    solref: tuple[float, float] = (0.02, 1.0)
    solimp: tuple[float, float, float] = (0.9, 0.95, 0.001)
    friction: tuple[float, float, float] = (1.0, 0.02, 0.001)
    priority: int = 0


STIFF = Contact()
PULP = Contact(solref=(0.06, 1.0), solimp=(0.6, 0.9, 0.01), priority=1)


def empty_spec() -> Any:
    """Return a MuJoCo spec without bodies, with the units, time step and solver that every world here uses."""
    mj = mujoco()
    spec = mj.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mj.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mj.mjtCone.mjCONE_ELLIPTIC  # with impratio 10: the defaults let the object slip
    spec.option.impratio = 10
    spec.compiler.boundmass, spec.compiler.boundinertia = 1e-4, 1e-8  # frames without a body are massless
    return spec


def add_hand(spec: Any, wrist: Any, hand: HandSpec, contact: Contact, rgba: tuple[float, ...]) -> None:
    """Hang a hand on the body ``wrist``, whose frame is the canonical wrist frame.

    Raises:
        SpecError: the hand is made of keypoints, or has no bodies to touch anything with.
    """
    tree = simulated_tree(hand)
    T_wrist_root = inverse_pose(_root_in_tree(hand, tree) @ hand.T_root_wrist.matrix())
    root = wrist.add_body(name=HAND + tree.root, gravcomp=1.0, **_placed(T_wrist_root[:3, :3], T_wrist_root[:3, 3]))
    bodies = {tree.root: root}
    joints = {joint.name: joint for joint in hand.joints}
    for joint in in_order(tree):
        bodies[joint.child] = _add_link(bodies[joint.parent], joint, joints.get(joint.name), hand)
    density = (hand.mass_kg or DEFAULT_MASS_KG) / sum(_volume(body) for body in hand.bodies)
    for body in hand.bodies:
        _add_geom(bodies[body.link], body, contact, density, rgba)
    for joint_spec in hand.joints:
        _add_drive(spec, joint_spec, hand)


def simulated_tree(hand: HandSpec) -> KinematicTree:
    """Return the hand's tree; a hand that cannot be simulated is refused with the reason."""
    if hand.tree is None:
        raise SpecError(f"the {hand.side} hand has no kinematic tree: it cannot be simulated", where="hands.urdf")
    if not hand.bodies:
        raise SpecError(f"the {hand.side} hand has no bodies: it could touch nothing", where="hands.bodies")
    return hand.tree


def joint_values(hand: HandSpec, q: NDArray[np.floating]) -> dict[str, float]:
    """Return the value of every joint of a hand by name, rad or m, for a hand vector; followers of followers too."""
    values = dict(zip([joint.name for joint in hand.actuated], map(float, q), strict=True))
    for _ in hand.joints:
        for joint in hand.joints:
            if joint.mimic is not None and joint.mimic.joint in values:
                values[joint.name] = joint.mimic.multiplier * values[joint.mimic.joint] + joint.mimic.offset
    return values


def _root_in_tree(hand: HandSpec, tree: KinematicTree) -> NDArray[np.floating]:
    """Return the pose of the hand's root in the root of its tree; no joint may lie between them."""
    T, joint = np.eye(4), tree.parent_joint(hand.root)
    while joint is not None:
        if joint.name in {listed.name for listed in hand.joints}:
            problem = f"the {hand.side} hand's root {hand.root!r} is moved by its joint {joint.name!r}"
            raise SpecError(f"{problem}: it cannot be simulated", where="hands.root")
        T = make_pose(rotation_from_rpy(joint.rpy_rad), joint.xyz_m) @ T
        joint = tree.parent_joint(joint.parent)
    return T


def in_order(tree: KinematicTree) -> list[TreeJoint]:
    """Return the tree's joints, parents before children."""
    known, ordered, pending = {tree.root}, [], list(tree.joints)
    while pending:
        ready = [joint for joint in pending if joint.parent in known]
        ordered += ready
        known |= {joint.child for joint in ready}
        pending = [joint for joint in pending if joint.child not in known]
    return ordered


def _add_link(parent: Any, joint: TreeJoint, spec: JointSpec | None, hand: HandSpec) -> Any:
    body = parent.add_body(
        name=HAND + joint.child, gravcomp=1.0, **_placed(rotation_from_rpy(joint.rpy_rad), np.asarray(joint.xyz_m))
    )
    if joint.kind == "fixed" or spec is None:
        return body
    mj = mujoco()
    kind = mj.mjtJoint.mjJNT_SLIDE if joint.kind == "prismatic" else mj.mjtJoint.mjJNT_HINGE
    dynamics = _dynamics(hand, spec)
    limits = {} if spec.lower is None else {"range": (spec.lower, spec.upper), "limited": True}
    figures = {"damping": [dynamics.damping, 0, 0], "armature": dynamics.armature}
    body.add_joint(name=HAND + joint.name, type=kind, axis=joint.axis, **figures, **limits)
    return body


def _add_geom(link: Any, body: BodySpec, contact: Contact, density: float, rgba: tuple[float, ...]) -> None:
    mj = mujoco()
    if body.kind == "capsule":
        ends = [*(body.from_m or ()), *(body.to_m or ())]
        shape = {"type": mj.mjtGeom.mjGEOM_CAPSULE, "fromto": ends, "size": [body.radius_m, 0, 0]}
    else:
        shape = {"type": mj.mjtGeom.mjGEOM_BOX, "pos": body.center_m, "size": body.half_extent_m}
    surface = {"solref": contact.solref, "solimp": [*contact.solimp, 0.5, 2], "friction": contact.friction}
    touch = {"contype": 1, "conaffinity": 0, "condim": 4, "priority": contact.priority}
    link.add_geom(density=density, rgba=rgba, **shape, **surface, **touch)


def _add_drive(spec: Any, joint: JointSpec, hand: HandSpec) -> None:
    """Give an actuated joint a position servo, and tie a mimic joint to the one it follows."""
    mj = mujoco()
    if joint.mimic is not None:
        line = [joint.mimic.offset, joint.mimic.multiplier] + [0.0] * (mj.mjNEQDATA - 2)
        names = {"name1": HAND + joint.name, "name2": HAND + joint.mimic.joint}
        spec.add_equality(type=mj.mjtEq.mjEQ_JOINT, data=line, objtype=mj.mjtObj.mjOBJ_JOINT, **names)
        return
    effort = joint.effort_n if joint.unit == "m" else joint.effort_nm
    limits = {} if effort is None else {"forcerange": (-effort, effort), "forcelimited": True}
    servo = spec.add_actuator(name=HAND + joint.name, target=HAND + joint.name, trntype=mj.mjtTrn.mjTRN_JOINT, **limits)
    servo.set_to_position(kp=_dynamics(hand, joint).kp)


def _dynamics(hand: HandSpec, joint: JointSpec) -> JointDynamics:
    return next((item for item in hand.dynamics if item.joint == joint.name), DEFAULT_DYNAMICS[joint.unit])


def _volume(body: BodySpec) -> float:
    if body.kind == "box":
        return 8 * float(np.prod(body.half_extent_m or ()))
    radius = body.radius_m or 0.0
    length = float(np.linalg.norm(np.subtract(body.to_m or (), body.from_m or ())))
    return float(np.pi * radius**2 * (length + 4 / 3 * radius))


def _placed(rotation: NDArray[np.floating], translation: NDArray[np.floating]) -> dict[str, Any]:
    return {"pos": translation, "quat": quaternion_from_rotation(rotation)}
