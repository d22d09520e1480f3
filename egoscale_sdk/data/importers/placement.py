"""Where keypoints are: poses of their frame and of the camera in a world that stands still, or none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.exchange import KeypointFrame
from egoscale_sdk.data.importers.keypoint_options import KeypointsOptions
from egoscale_sdk.data.importers.trajectory import Trajectory, check_rigid, poses_at, read_trajectory
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats


@dataclass(frozen=True)
class Placement:
    """Poses ``(T, 4, 4)`` of the keypoints' frame and of the camera in the world; NaN where, None if never, known."""

    frame_pose: Floats | None
    camera_pose: Floats | None


def place(
    frame: KeypointFrame,
    time_ns: NDArray[np.int64],
    trajectory: Trajectory | None,
    options: KeypointsOptions,
    where: str,
) -> Placement:
    """Find the poses that the flags and the trajectory allow; a camera without a pose is not taken to stand still.

    Raises:
        DataError: the scale or the clock of the trajectory is not that of the hands, or the flags contradict.
    """
    still = np.broadcast_to(np.eye(4), (len(time_ns), 4, 4))
    if options.camera == "static":
        if frame == "wrist" or trajectory is not None:
            what = "keypoints are centred on the wrist" if frame == "wrist" else "there is a camera trajectory"
            raise DataError(f"--camera static, but {what}", where=where, hint="leave out --camera static")
        camera: Floats | None = still
    else:
        camera = None if trajectory is None else _camera_pose(frame, time_ns, trajectory, options, where)
    if frame == "wrist" or options.mask_wrists:
        return Placement(None, camera)
    return Placement(still if frame == "world" else camera, camera)


def find_trajectory(file: Path | None, poses: Floats | None, scale: str | None, where: str) -> Trajectory | None:
    """Return the trajectory of a text file, or the one that came with the keypoints; with what is known of its scale.

    Raises:
        DataError: it is malformed.
    """
    if file is not None:
        found = read_trajectory(file)
        return Trajectory(found.time_ns, found.poses, found.scale or scale or "")
    if poses is None:
        return None
    check_rigid(poses, f"{where}:T_world_camera")
    return Trajectory(None, poses, scale or "")


def _camera_pose(
    frame: KeypointFrame, time_ns: NDArray[np.int64], trajectory: Trajectory, options: KeypointsOptions, where: str
) -> Floats:
    trajectory = _metric(frame, trajectory, options, where)
    if trajectory.time_ns is not None:
        return _interpolated(trajectory.time_ns, trajectory.poses, time_ns, where)
    if len(trajectory.poses) != len(time_ns):
        raise DataError(f"trajectory has {len(trajectory.poses)} poses for {len(time_ns)} rows", where=where)
    return trajectory.poses


def _metric(frame: KeypointFrame, trajectory: Trajectory, options: KeypointsOptions, where: str) -> Trajectory:
    if options.scale is not None:
        if frame == "world":
            raise DataError("keypoints in the world cannot be rescaled", where=where, hint="leave out --scale")
        return trajectory.scaled(options.scale)
    if (options.scale_status or trajectory.scale or "unknown") == "unknown" and not options.mask_wrists:
        raise DataError(
            "the scale of the camera trajectory is unknown, so wrist motions have no length",
            where=where,
            hint="add --scale METRES_PER_UNIT, or --scale-status metric if it is in metres, or --mask-wrists",
        )
    return trajectory


def _interpolated(stamps: NDArray[np.int64], poses: Floats, time_ns: NDArray[np.int64], where: str) -> Floats:
    found = poses_at(stamps, poses, time_ns)
    if not np.isfinite(found).any():
        raise DataError(
            f"clocks do not match: keypoints {span(time_ns)}, trajectory {span(stamps)}",
            where=where,
            hint="give files of one recording, on one clock",
        )
    return found


def span(time_ns: NDArray[np.int64]) -> str:
    """Say from when to when stamps reach."""
    return f"{time_ns[0] / 1e9:.3f} to {time_ns[-1] / 1e9:.3f} s"
