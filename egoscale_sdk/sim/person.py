"""A person's right or left hand for simulation: our own skeleton of capsules, 21 joints, 21 keypoints.

Bone lengths are those of one measured adult (wrist to knuckle 100/96/90/85 mm, index to pinky) with the thumb of the
published means; ranges of motion are inside the clinical ones. The root link is the canonical wrist frame: x leaves
the palm, y points to the thumb on the right hand, z along the fingers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.specs import (
    BodySpec,
    ColumnSpec,
    HandSpaceSpec,
    HandSpec,
    JointDynamics,
    JointSpec,
    KinematicTree,
    Side,
    TreeJoint,
)

KEYPOINTS = [f"keypoint_{index:02d}" for index in range(21)]
FINGERS = ("index", "middle", "ring", "pinky")
_KNUCKLES = {"index": (0.026, 0.0965), "middle": (0.0, 0.0963), "ring": (-0.020, 0.0882), "pinky": (-0.038, 0.0758)}
_BONES = {
    "thumb": (0.046, 0.032, 0.025),
    "index": (0.0370, 0.0260, 0.0208),
    "middle": (0.0414, 0.0284, 0.0236),
    "ring": (0.0387, 0.0270, 0.0232),
    "pinky": (0.0293, 0.0204, 0.0203),
}
_RADII = {"thumb": (0.012, 0.0105, 0.0095), "pinky": (0.008, 0.0072, 0.0066)}
_FINGER_RADII = (0.0092, 0.0083, 0.0075)
_THUMB_BASE = (0.014, 0.024, 0.020)
# Degrees, lower and upper.
_FINGER_RANGE = {"mcp_fe": (-30, 90), "mcp_aa": (-20, 20), "pip": (0, 105), "dip": (0, 85)}
_THUMB_RANGE = {"cmc_aa": (-10, 60), "cmc_fe": (-30, 45), "mcp_fe": (-10, 55), "mcp_aa": (-15, 15), "ip": (-15, 80)}
OPEN_DEG = {
    "thumb": {"cmc_aa": 42, "cmc_fe": -22, "mcp_fe": 2, "mcp_aa": 0, "ip": 4},
    "finger": {"mcp_fe": 12, "mcp_aa": 0, "pip": 14, "dip": 8},
}
CLOSED_DEG = {
    "thumb": {"cmc_aa": 42, "cmc_fe": 16, "mcp_fe": 24, "mcp_aa": 0, "ip": 40},
    "finger": {"mcp_fe": 58, "mcp_aa": 0, "pip": 72, "dip": 44},
}


def person_hand(side: Side = "right", scale: float = 1.0) -> HandSpec:
    """Return a person's hand; ``scale`` multiplies every length."""
    sign = 1.0 if side == "right" else -1.0
    chains = [_thumb(sign, scale), *(_finger(name, sign, scale) for name in FINGERS)]
    tree = KinematicTree(root="wrist", joints=(_fixed(0, "wrist"), *(joint for chain in chains for joint in chain)))
    moving = [joint for joint in tree.joints if joint.kind == "revolute"]
    columns = tuple(ColumnSpec(name=joint.name, unit="rad") for joint in moving)
    return HandSpec(
        side=side,
        hand_space=HandSpaceSpec(id="person/capsule_hand@1", columns=columns),
        tree=tree,
        root="wrist",
        joints=tuple(_limits(joint.name) for joint in moving),
        open_pose=tuple(posture(0.0)),
        bodies=(*_palm(sign, scale), *(body for name in ("thumb", *FINGERS) for body in _capsules(name, scale))),
        dynamics=tuple(JointDynamics(joint=joint.name, kp=2.0, damping=0.06, armature=5e-4) for joint in moving),
        mass_kg=0.45 * scale**3,
    )


def posture(closure: float) -> NDArray[np.float64]:
    """Hand vector between the open (0) and the grasping (1) posture, rad; beyond 1 it squeezes."""
    values = []
    for finger in ("thumb", *FINGERS):
        kind = "thumb" if finger == "thumb" else "finger"
        for name, open_deg in OPEN_DEG[kind].items():
            value = np.deg2rad(open_deg + closure * (CLOSED_DEG[kind][name] - open_deg))
            limits = _limits(f"{finger}_{name}")
            values.append(np.clip(value, limits.lower, limits.upper))
    return np.array(values)


def _limits(joint: str) -> JointSpec:
    finger, name = joint.split("_", 1)
    lower, upper = (_THUMB_RANGE if finger == "thumb" else _FINGER_RANGE)[name]
    figures = {"velocity_rad_s": 12.0, "effort_nm": 1.5}
    return JointSpec(name=joint, kind="revolute", lower_rad=np.deg2rad(lower), upper_rad=np.deg2rad(upper), **figures)


def _finger(name: str, sign: float, scale: float) -> list[TreeJoint]:
    """Flexion about y (towards +x, the palm's side), then abduction about x at the knuckle; then two hinges."""
    y, z = _KNUCKLES[name]
    first = 5 + 4 * FINGERS.index(name)
    proximal, middle, distal = (length * scale for length in _BONES[name])
    return [
        _hinge(f"{name}_mcp_fe", "wrist", f"{name}_knuckle", (0, sign * y * scale, z * scale), (0, 1, 0)),
        _hinge(f"{name}_mcp_aa", f"{name}_knuckle", f"{name}_proximal", (0, 0, 0), (sign, 0, 0)),
        _fixed(first, f"{name}_proximal"),
        _hinge(f"{name}_pip", f"{name}_proximal", f"{name}_middle", (0, 0, proximal), (0, 1, 0)),
        _fixed(first + 1, f"{name}_middle"),
        _hinge(f"{name}_dip", f"{name}_middle", f"{name}_distal", (0, 0, middle), (0, 1, 0)),
        _fixed(first + 2, f"{name}_distal"),
        _fixed(first + 3, f"{name}_distal", (0, 0, distal)),
    ]


def _thumb(sign: float, scale: float) -> list[TreeJoint]:
    """Metacarpal out of the palm's thumb side; abduction turns it in front of the palm, flexion to the fingers."""
    R, abduction = _thumb_frame()
    mirror = np.diag([1.0, sign, 1.0])
    R = mirror @ R @ mirror
    metacarpal, proximal, distal = (length * scale for length in _BONES["thumb"])
    base = tuple(scale * value for value in np.multiply(_THUMB_BASE, (1, sign, 1)))
    flexion = (0.0, 1.0, 0.0)
    # A mirror turns the sense of a rotation: its axis is a pseudovector.
    abduction_axis = tuple(sign * (mirror @ abduction))
    return [
        _hinge("thumb_cmc_aa", "wrist", "thumb_base", base, abduction_axis, _rpy(R)),
        _hinge("thumb_cmc_fe", "thumb_base", "thumb_metacarpal", (0, 0, 0), flexion),
        _fixed(1, "thumb_metacarpal"),
        _hinge("thumb_mcp_fe", "thumb_metacarpal", "thumb_knuckle", (0, 0, metacarpal), flexion),
        _hinge("thumb_mcp_aa", "thumb_knuckle", "thumb_proximal", (0, 0, 0), (sign, 0, 0)),
        _fixed(2, "thumb_proximal"),
        _hinge("thumb_ip", "thumb_proximal", "thumb_distal", (0, 0, proximal), flexion),
        _fixed(3, "thumb_distal"),
        _fixed(4, "thumb_distal", (0, 0, distal)),
    ]


def _thumb_frame() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation of the thumb's base (z along the bone, x where flexion goes) and the abduction axis in it."""
    bone = np.array([0.55, 0.45, 0.70])
    bone /= np.linalg.norm(bone)
    axis = np.cross(bone, [1.0, 0.0, 0.0])
    axis /= np.linalg.norm(axis)
    outward = np.cross(axis, bone)
    flexion = -0.8 * axis - 0.6 * outward
    R = np.stack([flexion, np.cross(bone, flexion), bone], axis=1)
    return R, R.T @ axis


def _rpy(R: NDArray[np.float64]) -> tuple[float, float, float]:
    pitch = -np.arcsin(R[2, 0])
    return float(np.arctan2(R[2, 1], R[2, 2])), float(pitch), float(np.arctan2(R[1, 0], R[0, 0]))


def _hinge(
    name: str,
    parent: str,
    child: str,
    xyz: tuple[float, ...],
    axis: tuple[float, ...],
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> TreeJoint:
    return TreeJoint(name=name, kind="revolute", parent=parent, child=child, xyz_m=xyz, rpy_rad=rpy, axis=axis)


def _fixed(keypoint: int, parent: str, xyz: tuple[float, ...] = (0, 0, 0)) -> TreeJoint:
    child = KEYPOINTS[keypoint]
    return TreeJoint(name=f"{child}_fixed", kind="fixed", parent=parent, child=child, xyz_m=xyz)


def _capsules(finger: str, scale: float) -> list[BodySpec]:
    first = "metacarpal" if finger == "thumb" else "proximal"
    links = (first, "proximal" if finger == "thumb" else "middle", "distal")
    bodies = []
    for link, length, radius in zip(links, _BONES[finger], _RADII.get(finger, _FINGER_RADII), strict=True):
        end = length - (radius if link == "distal" else 0.0)  # the keypoint is the very tip
        ends = {"from_m": (0, 0, 0), "to_m": (0, 0, end * scale)}
        bodies.append(BodySpec(link=f"{finger}_{link}", kind="capsule", radius_m=radius * scale, **ends))
    return bodies


def _palm(sign: float, scale: float) -> list[BodySpec]:
    center = (-0.004 * scale, -0.006 * sign * scale, 0.052 * scale)
    half = (0.012 * scale, 0.036 * scale, 0.042 * scale)
    return [BodySpec(link="wrist", kind="box", center_m=center, half_extent_m=half)]
