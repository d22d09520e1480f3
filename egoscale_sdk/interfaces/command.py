"""What every driver refuses: commands that are not finite, lack a side, have a wrong shape, or leave the limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.errors import SafetyError
from egoscale_sdk.interfaces.sensor import RobotCommand
from egoscale_sdk.specs import EmbodimentSpec, JointSpec, Side
from egoscale_sdk.specs.joints import ROUNDING

ORTHONORMAL = 1e-4


def check_command(command: RobotCommand, spec: EmbodimentSpec, sides: Iterable[Side]) -> None:
    """Refuse a command that no robot could be given, whatever its limits.

    Raises:
        SafetyError: a wrist or a hand of ``sides`` is missing, has a wrong shape or is not finite, or a wrist is not a
            rigid transform.
    """
    for side in sides:
        if side not in command.wrists or side not in command.hands:
            raise SafetyError(f"the command has no {side} wrist or hand")
        _check_pose(np.asarray(command.wrists[side]), side)
        check_joints(command.hands[side], spec.hand(side).actuated, f"the {side} hand command")


def check_limits(command: RobotCommand, spec: EmbodimentSpec, sides: Iterable[Side]) -> None:
    """Refuse a command that takes a joint of a hand beyond its limits, by more than rounding.

    Raises:
        SafetyError: names the joint, the value, the unit and the limits.
    """
    for side in sides:
        check_within(command.hands[side], spec.hand(side).actuated, f"the {side} hand command")


def check_joints(q: ArrayLike, joints: Sequence[JointSpec], what: str) -> None:
    """Raise SafetyError, which begins with ``what``, unless ``q`` has one finite value for each joint."""
    values = np.asarray(q)
    if values.shape != (len(joints),):
        raise SafetyError(f"{what} has shape {values.shape}, not {(len(joints),)}")
    if not np.isfinite(values).all():
        joint = joints[int(np.flatnonzero(~np.isfinite(values))[0])]
        raise SafetyError(f"{what} is not finite: joint {joint.name!r}")


def check_within(q: ArrayLike, joints: Sequence[JointSpec], what: str) -> None:
    """Raise SafetyError, which begins with ``what``, for a joint that ``q`` takes beyond its limits."""
    for joint, value in zip(joints, np.asarray(q).tolist(), strict=True):
        if abs(joint.clamp(value) - value) > ROUNDING:
            limits = f"{joint.lower:g} to {joint.upper:g} {joint.unit}"
            raise SafetyError(f"{what} is {value:.6g} {joint.unit} for joint {joint.name!r}", allowed=[limits])


def _check_pose(pose: NDArray[np.float64], side: Side) -> None:
    if pose.shape != (4, 4):
        raise SafetyError(f"the {side} wrist command has shape {pose.shape}, not (4, 4)")
    if not np.isfinite(pose).all():
        raise SafetyError(f"the {side} wrist command is not finite")
    R = pose[:3, :3]
    if np.abs(R @ R.T - np.eye(3)).max() > ORTHONORMAL or np.linalg.det(R) < 0:
        raise SafetyError(f"the {side} wrist command is not a rigid transform")
