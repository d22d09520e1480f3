"""The tables of a session: stamped rows in CSV, parquet or NPZ files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.keypoint_table import load_npz
from egoscale_sdk.data.importers.lerobot_table import LeRobotTable
from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.data.importers.trajectory import check_rigid
from egoscale_sdk.errors import DataError, did_you_mean, require_extra
from egoscale_sdk.geometry import Floats, make_pose, rotation_from_quaternion

EXTRA = "mocap"
SUFFIXES = (".csv", ".parquet", ".npz")
_FROZEN_S = 0.15
_FROZEN_ROWS = 3
_REACH_M = 20.0


@dataclass(frozen=True)
class StampedTable:
    """Named columns ``(N, ...)`` float64 over stamps ``time_s (N,)`` of the device's own clock; NaN is a dropout."""

    path: Path
    time_s: Floats
    columns: dict[str, NDArray[Any]]

    def column(self, name: str) -> Floats:
        """Return a column.

        Raises:
            DataError: there is none of that name.
        """
        if name not in self.columns:
            hint = did_you_mean(name, self.columns)
            raise DataError(f"has no column {name!r}", where=str(self.path), allowed=list(self.columns)[:40], hint=hint)
        return self.columns[name]

    def stack(self, names: list[str]) -> Floats:
        """Return columns side by side ``(N, len(names))``."""
        return np.stack([self.column(name) for name in names], axis=-1)

    def flags(self) -> NDArray[np.bool_]:
        """Which rows ``(N,)`` the column ``valid`` says are good; all without one."""
        if "valid" not in self.columns:
            return np.ones(len(self.time_s), bool)
        return np.asarray(np.nan_to_num(self.columns["valid"]) > 0)


def read_table(path: Path) -> StampedTable:
    """Read a table with a column ``time_s`` or ``time_ns``.

    Raises:
        DataError: another kind of file, damaged, no stamps, or stamps that are not finite or do not increase.
        MissingExtraError: pyarrow is not installed.
    """
    readers = {".csv": _csv, ".parquet": _parquet, ".npz": load_npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError("is no table", where=str(path), allowed=SUFFIXES)
    columns = {name: _floats(values, f"{path}:{name}") for name, values in reader(path).items()}
    if "time_ns" in columns:
        time_s = columns.pop("time_ns") / 1e9
    elif "time_s" in columns:
        time_s = columns.pop("time_s")
    else:
        raise DataError("has no stamps", where=str(path), allowed=["time_s", "time_ns"])
    _check_stamps(time_s, path)
    for name, values in columns.items():
        if len(values) != len(time_s):
            raise DataError(f"has {len(values)} rows for {len(time_s)} stamps", where=f"{path}:{name}")
    return StampedTable(path, time_s, columns)


def read_poses(path: Path, metres: float) -> tuple[Floats, Floats]:
    """Read tracker poses: stamps ``(N,)`` and ``T (N, 4, 4)`` of the rows that are good.

    Columns ``x y z qw qx qy qz``. Dropped are rows with NaN, with ``valid`` 0, without a rotation, and a tracker's
    last pose repeated for 0.15 s or longer.

    Raises:
        DataError: `read_table` refuses it, nothing is good, or positions are kilometres from the origin.
    """
    table = read_table(path)
    xyz, quat = table.stack(["x", "y", "z"]) * metres, table.stack(["qw", "qx", "qy", "qz"])
    norm = np.linalg.norm(quat, axis=1)
    good = np.isfinite(xyz).all(1) & np.isfinite(norm) & (norm > 0.5) & table.flags()
    good &= ~_frozen(np.concatenate([xyz, quat], axis=1), table.time_s)
    if not good.any():
        raise DataError("has no valid pose", where=str(path))
    if (np.abs(norm[good] - 1) > 0.05).any():
        raise DataError("quaternions are not of unit length", where=f"{path}:qw")
    far = float(np.median(np.abs(xyz[good]).max(1)))
    if far > _REACH_M:
        raise DataError(f"positions lie {far:.4g} m from the origin: is the unit right?", where=f"{path}:x")
    return table.time_s[good], make_pose(rotation_from_quaternion(quat[good] / norm[good, None]), xyz[good])


def read_joint_frames(path: Path, joints: tuple[str, ...], metres: float) -> tuple[Floats, Floats, bool]:
    """Read a glove: stamps ``(N,)`` and ``T (N, len(joints), 4, 4)`` in metres of the rows that are good.

    The third value is whether rotations are known; where they are not they are the identity.

    NPZ: ``transforms (N, J, 4, 4)``, or ``positions (N, J, 3)`` and ``quat_wxyz (N, J, 4)``; CSV and parquet:
    ``<joint>_x, _y, _z`` and ``_qw, _qx, _qy, _qz``, of which the quaternions may be missing.

    Raises:
        DataError: `read_table` refuses it, it has another number of transforms, they are no rigid ones, or nothing
            is good.
    """
    table, count, turned = read_table(path), len(joints), True
    if "transforms" in table.columns:
        frames = _shaped(table, "transforms", (count, 4, 4))
    elif "positions" in table.columns:
        turned = "quat_wxyz" in table.columns
        frames = _frames(
            _shaped(table, "positions", (count, 3)), _shaped(table, "quat_wxyz", (count, 4)) if turned else None
        )
    else:
        turned = f"{joints[0]}_qw" in table.columns
        points = table.stack([f"{joint}_{axis}" for joint in joints for axis in "xyz"]).reshape(-1, count, 3)
        names = [f"{joint}_q{part}" for joint in joints for part in "wxyz"]
        frames = _frames(points, table.stack(names).reshape(-1, count, 4) if turned else None)
    flat = frames.reshape(len(frames), -1)
    good = np.isfinite(flat).all(1) & (frames[..., :3, 3] != 0).any((1, 2)) & table.flags()
    good &= ~_frozen(flat, table.time_s)
    if not good.any():
        raise DataError("has no valid hand", where=str(path))
    found = frames[good].copy()
    check_rigid(found, str(path))
    found[..., :3, 3] *= metres
    return table.time_s[good], found, turned


def _frames(points: Floats, quat_wxyz: Floats | None) -> Floats:
    """Transforms of joints; NaN where a quaternion has no length."""
    if quat_wxyz is None:
        return make_pose(np.broadcast_to(np.eye(3), (*points.shape, 3)), points)
    norm = np.linalg.norm(quat_wxyz, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return make_pose(rotation_from_quaternion(np.where(norm > 0.5, quat_wxyz / norm, np.nan)), points)


def _shaped(table: StampedTable, name: str, shape: tuple[int, ...]) -> Floats:
    values = table.columns[name]
    if values.shape[1:] != shape:
        count = values.shape[1] if values.ndim > 1 else 0
        what = f"has {count} transforms of shape {values.shape[2:]}; the layout has {shape[0]} of {shape[1:]}"
        raise DataError(what, where=f"{table.path}:{name}")
    return values


def _frozen(values: Floats, time_s: Floats) -> NDArray[np.bool_]:
    """Rows that repeat the one before exactly, in runs of three rows and 0.15 s: a tracker that lost its target."""
    out = np.zeros(len(values), bool)
    same = np.zeros(len(values), bool)
    same[1:] = (values[1:] == values[:-1]).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        out[start:stop] = stop - start >= _FROZEN_ROWS and time_s[stop - 1] - time_s[start - 1] >= _FROZEN_S
    return out


def _check_stamps(time_s: Floats, path: Path) -> None:
    if time_s.ndim != 1 or len(time_s) == 0:
        raise DataError("has no rows" if time_s.ndim == 1 else "stamps must be one a row", where=str(path))
    if not np.isfinite(time_s).all():
        raise DataError(f"stamp of row {int(np.argmin(np.isfinite(time_s)))} is not finite", where=str(path))
    late = np.flatnonzero(np.diff(time_s) <= 0)
    if late.size:
        what = f"stamps do not increase at row {late[0] + 1} ({late.size} such rows)"
        raise DataError(what, where=str(path), hint="a clock that jumps is no clock: cut the file there")


def _floats(values: NDArray[Any], where: str) -> NDArray[Any]:
    if values.dtype.kind not in "bfiu":
        raise DataError(f"holds {values.dtype}, not numbers", where=where)
    return values.astype(np.float64)


def _csv(path: Path) -> dict[str, NDArray[Any]]:
    require_extra("pyarrow", EXTRA, "reading CSV tables")
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(null_values=["", "nan", "NaN"]))
        names = list(table.column_names)  # decoded here
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"is no readable CSV: {one_line(error)}", where=str(path)) from None
    if len(set(names)) != len(names):
        raise DataError("has two columns of one name", where=str(path))
    if table.num_rows == 0:
        raise DataError("has no rows", where=str(path))
    empty = {name for name in names if pa.types.is_null(table.schema.field(name).type)}
    blank = np.full(table.num_rows, np.nan)
    return {name: blank if name in empty else table.column(name).to_numpy() for name in names}


def _parquet(path: Path) -> dict[str, NDArray[Any]]:
    require_extra("pyarrow", EXTRA, "reading parquet tables")
    table = LeRobotTable(path)
    return {name: table.numbers(name) for name in table.names}
