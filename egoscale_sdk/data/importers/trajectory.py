"""Camera trajectories as text: TUM lines or 4x4 matrices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.people import nanoseconds
from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats, interpolate_poses, make_pose, quat_xyzw_to_wxyz, rotation_from_quaternion

SCALES = ("metric", "unknown")
_SCALE = re.compile(r"#\s*scale\s*[:=]\s*(\w+)", re.IGNORECASE)
_FORMS = "8 numbers a line: t tx ty tz qx qy qz qw (TUM); 16: one 4x4 a row of the hands; 17: t and a 4x4"
_RIGID = 1e-2
MAX_GAP_S = 0.2


@dataclass(frozen=True)
class Trajectory:
    """Poses of a frame in the world, over their own time stamps (None: one pose per row of the hands).

    ``scale`` is ``metric``, ``unknown``, or empty where the file does not say.
    """

    time_ns: NDArray[np.int64] | None
    poses: Floats  # (N, 4, 4)
    scale: str = ""

    def scaled(self, factor: float) -> Trajectory:
        """Return the trajectory with translations multiplied by ``factor``, metric from then on."""
        poses = self.poses.copy()
        poses[:, :3, 3] *= factor
        return Trajectory(self.time_ns, poses, "metric")


def read_trajectory(path: Path) -> Trajectory:
    """Read a trajectory of text; lines that begin with # are comments, ``# scale: metric|unknown`` states the scale.

    Raises:
        DataError: not one of the forms, not finite, not rigid, stamps not increasing; names the line.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"trajectory cannot be read: {one_line(error)}", where=str(path)) from None
    match = _SCALE.search(text)
    scale = match[1].lower() if match else ""
    if scale and scale not in SCALES:
        raise DataError(f"scale {scale!r} is not known", where=str(path), allowed=SCALES)
    rows = [_numbers(line, f"{path}:{number}") for number, line in enumerate(text.splitlines(), 1) if _has_data(line)]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or not widths <= {8, 16, 17}:
        raise DataError(f"has lines of {sorted(widths) or 'no'} numbers", where=str(path), allowed=[_FORMS])
    values = np.array(rows)
    time_ns = None if widths == {16} else nanoseconds(values[:, 0], str(path))
    if time_ns is not None and (np.diff(time_ns) <= 0).any():
        raise DataError("time stamps of the trajectory do not increase", where=str(path))
    poses = _from_tum(values) if widths == {8} else values[:, -16:].reshape(-1, 4, 4)
    check_rigid(poses, str(path))
    return Trajectory(time_ns, poses, scale)


def poses_at(
    times_ns: NDArray[np.int64], poses: Floats, query_ns: NDArray[np.int64], max_gap_s: float = MAX_GAP_S
) -> Floats:
    """Interpolate poses ``(N, *b, 4, 4)`` at ``query_ns``; NaN outside their span and in gaps over ``max_gap_s``."""
    found = interpolate_poses(times_ns, poses, query_ns)
    known = within(times_ns, query_ns, max_gap_s)
    return np.where(known.reshape(-1, *[1] * (poses.ndim - 1)), found, np.nan)


def values_at(
    times_ns: NDArray[np.int64], values: Floats, query_ns: NDArray[np.int64], max_gap_s: float = MAX_GAP_S
) -> Floats:
    """Interpolate ``values (N, ...)`` linearly at ``query_ns``; NaN where `poses_at` has no pose."""
    after = np.clip(np.searchsorted(times_ns, query_ns), 0, len(times_ns) - 1)
    before = np.maximum(after - 1, 0)
    span = np.maximum(times_ns[after] - times_ns[before], 1)
    share = np.clip((query_ns - times_ns[before]) / span, 0, 1).reshape(-1, *[1] * (values.ndim - 1))
    found = (1 - share) * values[before] + share * values[after]
    known = within(times_ns, query_ns, max_gap_s).reshape(share.shape)
    return np.where(known, found, np.nan)


def within(times_ns: NDArray[np.int64], query_ns: NDArray[np.int64], max_gap_s: float) -> NDArray[np.bool_]:
    """Whether each query ``(Q,)`` lies between two stamps that are not too far apart, or on one."""
    after = np.clip(np.searchsorted(times_ns, query_ns), 1, max(len(times_ns) - 1, 1))
    after = np.minimum(after, len(times_ns) - 1)
    gap = times_ns[after] - times_ns[np.maximum(after - 1, 0)]
    exact = np.isin(query_ns, times_ns)
    inside: NDArray[np.bool_] = (query_ns >= times_ns[0]) & (query_ns <= times_ns[-1])
    return inside & (exact | (gap <= max_gap_s * 1e9))


def check_rigid(poses: Floats, where: str) -> None:
    """Refuse matrices that are no rigid transforms (rows of NaN mean unknown and pass).

    Raises:
        DataError: a rotation is not orthonormal and right-handed, or the last row is not 0 0 0 1.
    """
    known = poses[np.isfinite(poses).all(axis=(-2, -1))]
    R = known[:, :3, :3]
    error = np.abs(np.swapaxes(R, -1, -2) @ R - np.eye(3)).max(axis=(-2, -1), initial=0.0)
    bad = (error > _RIGID) | (np.linalg.det(R) < 0) | (np.abs(known[:, 3] - [0, 0, 0, 1]).max(axis=-1) > _RIGID)
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} of {len(known)} poses are no rigid transforms (mirrored, scaled or transposed)",
            where=where,
            hint="write T_world_camera, row by row, last row 0 0 0 1",
        )


def _from_tum(values: Floats) -> Floats:
    rotation = rotation_from_quaternion(quat_xyzw_to_wxyz(values[:, 4:8]))
    return make_pose(rotation, values[:, 1:4])


def _has_data(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _numbers(line: str, where: str) -> list[float]:
    try:
        row = [float(word) for word in line.replace(",", " ").split()]
    except ValueError:
        raise DataError(f"is not a line of numbers: {line[:60]!r}", where=where) from None
    if not np.isfinite(row).all() or (len(row) == 8 and np.linalg.norm(row[4:]) < 0.5):
        raise DataError("has NaN, infinity or a quaternion of no length", where=where)
    return row
