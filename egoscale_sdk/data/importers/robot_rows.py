"""From recorded vectors of a robot to absolute rows, as the embodiment's `RecordingLayout` says; nothing is guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import (
    Floats,
    make_pose,
    pose_from_vec9,
    quat_xyzw_to_wxyz,
    rotation_from_quaternion,
    vec9_from_pose,
)
from egoscale_sdk.specs import SIDES, EmbodimentSpec, JointSpec, RecordingBlock, RowLayout, WireSpec

_WIRE_SLACK = 0.1
_TURN = 2 * np.pi
_REACH_M = 20.0


@dataclass(frozen=True)
class RobotRows:
    """Absolute rows ``(T, D)`` with ``valid (T, G)``, and the arm joints ``(T, A)`` that they came from, if any."""

    rows: NDArray[np.float32]
    valid: NDArray[np.uint8]
    arms: NDArray[np.float32] | None


class RowReader:
    """Decodes recorded vectors of one embodiment."""

    def __init__(self, spec: EmbodimentSpec, blocks: Sequence[RecordingBlock], where: str) -> None:
        self.spec, self.blocks, self.where = spec, tuple(blocks), where
        self.layout = RowLayout.of(spec.hand_spaces)
        self.wires = {wire.device: wire for wire in spec.wires}
        self.width = max(block.stop for block in blocks)
        self._check_cover()

    @property
    def has_arms(self) -> bool:
        """Whether arm joints are recorded."""
        return any(block.part.endswith("_arm") for block in self.blocks)

    def read(self, values: Floats) -> RobotRows:
        """Decode vectors ``(T, width)``.

        Raises:
            DataError: another width, NaN, or values that cannot be in the declared unit; names the columns.
        """
        if values.ndim != 2 or values.shape[1] != self.width:
            what = f"rows have shape {values.shape[1:]}, the layout of {self.spec.id} has {self.width} columns"
            raise DataError(what, where=self.where)
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise DataError("is not finite", where=f"{self.where}: row {row}, column {column}")
        parts: dict[str, Floats] = {
            block.part: self._decode(values[:, block.start : block.stop], block) for block in self.blocks
        }
        parts |= self._wrists_of_arms(parts)
        rows = np.zeros((len(values), self.layout.dim), np.float32)
        valid = np.zeros((len(values), len(self.layout.groups)), np.uint8)
        for column, (group, columns) in enumerate(self.layout.blocks.items()):
            if group in parts:
                rows[:, columns] = parts[group]
                valid[:, column] = 1
        return RobotRows(rows, valid, self._arms(parts))

    def _check_cover(self) -> None:
        """Every column is said to be something, exactly once (that a block fits its part is the spec's own check)."""
        covered = np.zeros(self.width, int)
        for block in self.blocks:
            covered[block.start : block.stop] += 1
        if (covered != 1).any():
            column = int(np.flatnonzero(covered != 1)[0])
            what = f"column {column} is described {covered[column]} times; mark unused ones as part 'ignored'"
            raise DataError(what, where=f"{self.spec.id}:recordings")

    def _joints(self, part: str) -> tuple[JointSpec, ...]:
        side = next(side for side in SIDES if part.startswith(side))
        if part.endswith("_arm"):
            arm = self.spec.arm(side)
            return arm.joints if arm else ()
        return self.spec.hand(side).actuated if side in self.spec.hand_spaces else ()

    def _decode(self, values: Floats, block: RecordingBlock) -> Floats:
        where = f"{self.where}: columns {block.start}..{block.stop} ({block.part})"
        if block.part == "ignored":
            return values
        if block.part.endswith("_wrist"):
            return _wrist(values, block.encoding, where)
        joints = self._joints(block.part)
        if block.encoding == "joints":
            return plausible_joints(values, joints, where)
        return _unwired(values, self.wires[block.encoding], joints, where)

    def _wrists_of_arms(self, parts: dict[str, Floats]) -> dict[str, Floats]:
        """Wrist columns by forward kinematics, of sides whose arm is recorded."""
        if self.spec.action.wrist != "arm_fk" or not self.has_arms:
            return {}
        from egoscale_sdk.kinematics import SpecEmbodiment, wrists_of_arms

        arms = {side: parts[f"{side}_arm"] for side in SIDES if f"{side}_arm" in parts}
        wrists = wrists_of_arms(SpecEmbodiment(self.spec), arms)
        return {f"{side}_wrist": vec9_from_pose(pose) for side, pose in wrists.items()}

    def _arms(self, parts: dict[str, Floats]) -> NDArray[np.float32] | None:
        arms = [parts[name] for name in ("left_arm", "right_arm") if name in parts]
        return np.concatenate(arms, axis=1).astype(np.float32) if arms else None


def _wrist(values: Floats, encoding: str, where: str) -> Floats:
    if np.abs(values[:, :3]).max() > _REACH_M:
        raise DataError(f"position of {np.abs(values[:, :3]).max():.4g}: is it in millimetres?", where=where)
    if encoding == "xyz_rot6d":
        return vec9_from_pose(pose_from_vec9(values))
    wxyz = quat_xyzw_to_wxyz(values[:, 3:]) if encoding == "xyz_xyzw" else values[:, 3:]
    if (np.abs(np.linalg.norm(wxyz, axis=1) - 1) > 0.01).any():
        raise DataError("quaternion is not of unit length", where=where)
    return vec9_from_pose(make_pose(rotation_from_quaternion(wxyz), values[:, :3]))


def _unwired(values: Floats, wire: WireSpec, joints: Sequence[JointSpec], where: str) -> Floats:
    """Joint values of what went over a wire, in the spec's order."""
    for column, joint in enumerate(wire.joints):
        native = values[:, column]
        lower, upper = joint.native_lower, joint.native_upper
        if lower is not None and upper is not None:
            slack = _WIRE_SLACK * (upper - lower)
            if native.min() < lower - slack or native.max() > upper + slack:
                raise DataError(
                    f"{joint.joint} has {native.min():.4g} to {native.max():.4g} {joint.native_unit}",
                    where=where,
                    allowed=[f"{lower:g} to {upper:g}"],
                )
    decoded = np.zeros((len(values), len(joints)))
    decoded[:, wire.columns([joint.name for joint in joints])] = wire.decode(values)
    return decoded


def plausible_joints(values: Floats, joints: Sequence[JointSpec], where: str) -> Floats:
    """Return joint values ``(T, J)``, refusing angles a whole turn beyond their limits.

    Raises:
        DataError: they must be degrees or encoder ticks; names the joint.
    """
    for column, joint in enumerate(joints):
        if joint.unit == "rad" and joint.lower is not None and joint.upper is not None:
            low, high = values[:, column].min(), values[:, column].max()
            if low < joint.lower - _TURN or high > joint.upper + _TURN:
                raise DataError(f"{joint.name} has {low:.4g} to {high:.4g} rad: is it in degrees?", where=where)
    return values
