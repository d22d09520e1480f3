"""A folder of Project Aria machine perception services: hand tracking and the closed-loop trajectory as CSV."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.placement import span
from egoscale_sdk.data.importers.sources import existing
from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.data.importers.trajectory import poses_at
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats, make_pose, quat_xyzw_to_wxyz, rotation_from_quaternion
from egoscale_sdk.specs import SIDES

HandsFile = Literal["auto", "landmarks", "wrist"]
_PATTERNS = {"landmarks": "hand_tracking_results*.csv", "wrist": "wrist_and_palm_poses*.csv"}
_TRAJECTORY = "closed_loop_trajectory.csv"

# Of an open hand in the canonical wrist frame, right side (the left has y negated): the tracker's wrist normal, and
# the direction from wrist to palm centre. Both stand still in the wrist: with them the frame is that of the formula to
# 0.4 degrees in 18 hands of a Gen 2 recording and 6 of a Gen 1 sample.
WRIST_NORMAL = np.array([0.9927, -0.1179, 0.0269])
PALM_DIRECTION = np.array([0.2181, 0.0059, 0.9759])


@dataclass(frozen=True)
class MpsFiles:
    """The files of one recording; ``kind`` says what ``hands`` holds."""

    hands: Path
    kind: Literal["landmarks", "wrist"]
    trajectory: Path | None


@dataclass(frozen=True)
class MpsHands:
    """Hands in the device frame, left and right; ``conf`` is -1 for an absent hand.

    ``landmarks (T, 2, 21, 3)`` in Aria's order, or ``wrists (T, 2, 4, 4)`` canonical, NaN where the file has no
    orientation.
    """

    time_ns: NDArray[np.int64]
    conf: Floats
    landmarks: Floats | None = None
    wrists: Floats | None = None


def is_mps(source: str) -> bool:
    """Tell whether a source is an MPS hand file, or a folder with one."""
    path = Path(source)
    if path.is_file():
        return path.suffix.lower() == ".csv"
    return any(next(path.rglob(pattern), None) for pattern in _PATTERNS.values())


def find_files(source: str, hands: HandsFile) -> MpsFiles:
    """Find the hand file and the trajectory; of several versions of a file the last by name.

    Raises:
        DataError: there is no hand file, or several recordings.
    """
    path = existing(source)
    if path.is_file():
        kind = next((kind for kind, pattern in _PATTERNS.items() if path.match(pattern)), None)
        if kind is None:
            raise DataError("is no MPS hand file", where=str(path), allowed=_PATTERNS.values())
        root = path.parent.parent if path.parent.name == "hand_tracking" else path.parent
        return MpsFiles(path, "landmarks" if kind == "landmarks" else "wrist", _only(root, _TRAJECTORY))
    for kind in ("landmarks", "wrist") if hands == "auto" else (hands,):
        found = sorted(path.rglob(_PATTERNS[kind]))
        if len({file.parent for file in found}) > 1:
            where = [str(file) for file in found]
            raise DataError("holds several recordings; name one", where=str(path), allowed=where)
        if found:
            return MpsFiles(found[-1], "landmarks" if kind == "landmarks" else "wrist", _only(path, _TRAJECTORY))
    raise DataError("has no MPS hand file", where=str(path), allowed=_PATTERNS.values())


def read_hands(files: MpsFiles) -> MpsHands:
    """Read the hand file by its column names; a confidence of 0 or less, or a wrist at zero, is an absent hand.

    Raises:
        DataError: truncated, or a column is missing.
    """
    table = _Columns(files.hands)
    time_ns = np.round(table.read(["tracking_timestamp_us"])[:, 0] * 1e3).astype(np.int64)
    conf = table.read([f"{side}_tracking_confidence" for side in SIDES])
    if files.kind == "landmarks":
        names = [f"t{axis}_{side}_landmark_{n}_device" for side in SIDES for n in range(21) for axis in "xyz"]
        landmarks = table.read(names).reshape(-1, 2, 21, 3)
        return MpsHands(time_ns, _absent(conf, landmarks[:, :, 5]), landmarks=landmarks)
    wrist = table.points("t{axis}_{side}_wrist_device")
    palm = table.points("t{axis}_{side}_palm_device")
    normal = "n{axis}_{side}_wrist_device"
    if not table.has(normal):
        return MpsHands(time_ns, _absent(conf, wrist), wrists=np.full((*conf.shape, 4, 4), np.nan))
    return MpsHands(time_ns, _absent(conf, wrist), wrists=wrist_poses(wrist, palm, table.points(normal)))


def wrist_poses(wrist: Floats, palm: Floats, normal: Floats) -> Floats:
    """Canonical wrist frames ``(T, 2, 4, 4)`` of wrist and palm points and the tracker's wrist normal, ``(T, 2, 3)``.

    The two directions fix the rotation: it turns `PALM_DIRECTION` to the one towards the palm and `WRIST_NORMAL` into
    its plane with the normal. NaN where they are degenerate.
    """
    mirror = np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]])  # left, right
    seen = _basis(palm - wrist, normal)
    own = _basis(mirror * PALM_DIRECTION, mirror * WRIST_NORMAL)
    return make_pose(seen @ np.swapaxes(own, -1, -2), wrist)


def read_trajectory(path: Path) -> tuple[NDArray[np.int64], Floats, NDArray[np.int32]]:
    """Read stamps, T_world_device ``(N, 4, 4)`` and the number of the map (``graph_uid``) of a closed-loop trajectory.

    Raises:
        DataError: truncated, a column is missing, or stamps do not increase.
    """
    table = _Columns(path)
    time_ns = np.round(table.read(["tracking_timestamp_us"])[:, 0] * 1e3).astype(np.int64)
    if (np.diff(time_ns) <= 0).any():
        raise DataError("time stamps do not increase", where=f"{path}:tracking_timestamp_us")
    translation = table.read([f"t{axis}_world_device" for axis in "xyz"])
    quaternion = table.read([f"q{axis}_world_device" for axis in "xyzw"])
    if (np.abs(np.linalg.norm(quaternion, axis=1) - 1) > 0.01).any():
        raise DataError("quaternions are not of unit length", where=f"{path}:qw_world_device")
    _, maps = np.unique(table.text("graph_uid"), return_inverse=True)
    poses = make_pose(rotation_from_quaternion(quat_xyzw_to_wxyz(quaternion)), translation)
    return time_ns, poses, maps.astype(np.int32)


def device_poses(files: MpsFiles, time_ns: NDArray[np.int64]) -> tuple[Floats | None, NDArray[np.int32]]:
    """Return T_world_device at ``time_ns``, NaN outside the trajectory (None if there is none), and the map.

    Raises:
        DataError: fewer than half of the hand samples fall into the trajectory: another recording's clock.
    """
    if files.trajectory is None:
        return None, np.zeros(len(time_ns), np.int32)
    stamps, poses, maps = read_trajectory(files.trajectory)
    if ((time_ns >= stamps[0]) & (time_ns <= stamps[-1])).mean() < 0.5:
        raise DataError(
            f"clocks do not match: hands are stamped {span(time_ns)}, "
            f"{files.trajectory.name} reaches from {span(stamps)}; they are of different recordings",
            where=str(files.hands),
            hint="name a hand file of the same recording, or import the wrist file with --hands wrist",
        )
    nearest = np.clip(np.searchsorted(stamps, time_ns), 0, len(stamps) - 1)
    return poses_at(stamps, poses, time_ns), maps[nearest]


class _Columns:
    """A CSV whose columns are found by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open(newline="", encoding="utf-8") as file:
                self._header = next(csv.reader(file), [])
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"is no readable CSV: {one_line(error)}", where=str(path)) from None

    def has(self, template: str) -> bool:
        """Tell whether the columns of ``template`` are there."""
        return all(name in self._header for name in _names(template))

    def points(self, template: str) -> Floats:
        """Read points of both hands, ``(T, 2, 3)``."""
        return self.read(_names(template)).reshape(-1, 2, 3)

    def read(self, names: list[str]) -> Floats:
        """Read columns as numbers, ``(T, len(names))``."""
        try:
            values = np.loadtxt(self.path, delimiter=",", skiprows=1, usecols=self._find(names), ndmin=2)
        except ValueError as error:
            raise DataError(f"is damaged or truncated: {one_line(error)}", where=str(self.path)) from None
        if not len(values) or not np.isfinite(values).all():
            raise DataError("has no rows, or numbers that are not finite", where=f"{self.path}:{names[0]}")
        return values

    def text(self, name: str) -> NDArray[np.str_]:
        """Read a column as text."""
        values: NDArray[np.str_] = np.loadtxt(
            self.path, delimiter=",", skiprows=1, usecols=self._find([name]), dtype=str, ndmin=1
        )
        return values

    def _find(self, names: list[str]) -> list[int]:
        missing = [name for name in names if name not in self._header]
        if missing:
            raise DataError(f"column {missing[0]!r} is missing", where=str(self.path), allowed=self._header[:12])
        return [self._header.index(name) for name in names]


def _names(template: str) -> list[str]:
    return [template.format(axis=axis, side=side) for side in SIDES for axis in "xyz"]


def _absent(conf: Floats, wrist: Floats) -> Floats:
    return np.where((conf > 0) & (wrist != 0).any(axis=-1), conf, -1.0)


def _basis(first: Floats, second: Floats) -> Floats:
    """Right-handed orthonormal bases ``(*b, 3, 3)``: first along ``first``, second in its plane with ``second``."""
    with np.errstate(invalid="ignore", divide="ignore"):  # zeros of an absent hand become NaN
        a = first / np.linalg.norm(first, axis=-1, keepdims=True)
        b = second - (second * a).sum(-1, keepdims=True) * a
        b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    return np.stack([a, b, np.cross(a, b)], axis=-1)


def _only(root: Path, name: str) -> Path | None:
    found = sorted(root.rglob(name))
    if len(found) > 1:
        raise DataError(f"holds several {name}", where=str(root), allowed=[str(file) for file in found])
    return found[0] if found else None
