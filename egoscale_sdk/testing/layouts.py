"""Writing a recording as its layout declares it: the inverse of the importer's reading, on the kit's own formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.specs import SIDES, EmbodimentSpec, JointSpec, PoseSpec, RecordingBlock, RowLayout, Side, WireSpec
from egoscale_sdk.testing.numpy_body import NumpyBody, configurations, matrix

Array = NDArray[np.float64]
ROWS = 8


@dataclass(frozen=True)
class Written:
    """A recorded vector over time, and the rows that it must be read as.

    Attributes:
        values: ``(ROWS, width)``.
        groups: What each group of the row layout must hold, ``(ROWS, n)``; a group that is not here must be invalid.
    """

    values: Array
    groups: dict[str, Array]


def write_recording(spec: EmbodimentSpec, blocks: Sequence[RecordingBlock]) -> Written:
    """Write random poses of the whole body in the order and the encodings of ``blocks``."""
    q = configurations(spec.joints, ROWS)
    joints = {joint.name: q[:, n] for n, joint in enumerate(spec.joints)}
    parts = {f"{arm.side}_arm": arm.joints for arm in spec.arms}
    parts |= {f"{hand.side}_hand": hand.actuated for hand in spec.hands}
    wires = {wire.device: wire for wire in spec.wires}
    values = np.random.default_rng(2).normal(size=(ROWS, max(block.stop for block in blocks)))
    groups: dict[str, Array] = {}
    for block in blocks:
        columns = slice(block.start, block.stop)
        if block.part.endswith("_wrist"):
            poses = _poses(SIDES.index(block.part.removesuffix("_wrist")))  # type: ignore[arg-type]
            groups[block.part] = np.array([_row(matrix(pose)) for pose in poses])
            values[:, columns] = _encode_wrists(poses, block.encoding)
        elif block.part != "ignored":
            values[:, columns] = _encode_joints(parts[block.part], joints, wires.get(block.encoding))
            groups[block.part] = _stack(parts[block.part], joints)
    if spec.action.wrist == "arm_fk":
        groups |= _wrists_of_arms(spec, q, [side for side in SIDES if f"{side}_arm" in groups])
    layout = RowLayout.of(spec.hand_spaces)
    return Written(values, {group: rows for group, rows in groups.items() if group in layout.groups})


def _wrists_of_arms(spec: EmbodimentSpec, q: Array, sides: Sequence[Side]) -> dict[str, Array]:
    body, present = NumpyBody(spec), [hand.side for hand in spec.hands]
    wrists = np.array([body.wrists(row) for row in q])
    return {
        f"{side}_wrist": np.array([_row(pose) for pose in wrists[:, present.index(side)]])
        for side in sides
        if side in present
    }


def _stack(joints: Sequence[JointSpec], q: dict[str, Array]) -> Array:
    return np.stack([q[joint.name] for joint in joints], axis=1)


def _encode_joints(joints: Sequence[JointSpec], q: dict[str, Array], wire: WireSpec | None) -> Array:
    """Values in the spec's order, or as they stand on a wire: ``native = (q - offset) / (sign * scale)``."""
    if wire is None:
        return _stack(joints, q)
    return np.stack([(q[item.joint] - item.offset) / (item.sign * item.scale) for item in wire.joints], axis=1)


def _poses(seed: int) -> list[PoseSpec]:
    random = np.random.default_rng(seed)
    turns = random.normal(size=(ROWS, 4))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    return [
        PoseSpec(xyz_m=tuple(xyz), quat_wxyz=tuple(quat))
        for xyz, quat in zip(random.uniform(-0.5, 0.5, (ROWS, 3)).tolist(), turns.tolist(), strict=True)
    ]


def _encode_wrists(poses: Sequence[PoseSpec], encoding: str) -> Array:
    if encoding == "xyz_rot6d":
        return np.array([_row(matrix(pose)) for pose in poses])
    order = (0, 1, 2, 3) if encoding == "xyz_wxyz" else (1, 2, 3, 0)
    return np.array([[*pose.xyz_m, *(pose.quat_wxyz[n] for n in order)] for pose in poses])


def _row(pose: Array) -> Array:
    """Position and the first two rows of R."""
    return np.concatenate([pose[:3, 3], pose[0, :3], pose[1, :3]])
