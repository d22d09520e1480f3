"""From what a hand tracker saw to an episode of people: checks, masks, absolute rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats, rotation_angle, vec9_from_pose
from egoscale_sdk.hands import HandRows, check_chirality, check_hand_scale, hand_rows, plausible_hands
from egoscale_sdk.interfaces import Episode, ImageStream, LanguageSpan
from egoscale_sdk.specs import SIDES, WRIST_DIM

Bools = NDArray[np.bool_]

GAP_S = 0.5
GAP_PERIODS = 4.0
FROZEN_ROWS = 3
JUMP_M_S = 10.0
JUMP_RAD_S = 30.0
MAX_STAMP_S = 9.2e9
RAW = ("keypoints", "camera_pose", "camera_valid")
"""Raw arrays of every episode of people."""


@dataclass(frozen=True)
class HandTrack:
    """Both hands over time, index 0 left and 1 right, in the tracker's own frame.

    Attributes:
        key: Key of the episode.
        where: File, for messages.
        time_ns: ``(T,)`` int64.
        keypoints: ``(T, 2, 21, 3)`` canonical order, metres; anything where a hand was not seen.
        seen: ``(T, 2)`` which hands were tracked.
        conf: ``(T, 2)`` in [0, 1].
        frame_pose: ``(T, 4, 4)`` pose of the tracker's frame in the world, NaN where unknown; None: never known.
        camera_pose: ``(T, 4, 4)`` T_world_camera of the optical camera, NaN where unknown; None: never known.
        map_id: ``(T,)`` map of the SLAM, if the source tells.
    """

    key: str
    where: str
    time_ns: NDArray[np.int64]
    keypoints: Floats
    seen: Bools
    conf: Floats
    frame_pose: Floats | None = None
    camera_pose: Floats | None = None
    map_id: NDArray[np.int32] | None = None


@dataclass(frozen=True)
class Context:
    """What goes with a track: pictures, words and further arrays."""

    images: dict[str, ImageStream] = field(default_factory=dict)
    language: list[LanguageSpan] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def without_frozen(track: HandTrack) -> HandTrack:
    """Mark a hand as unseen while a tracker repeats its last value: three or more rows without any change.

    Trackers report a lost hand so without a flag; a living hand always moves by some bit.
    """
    seen = track.seen.copy()
    for hand in range(2):
        same = np.zeros(len(seen), bool)
        same[1:] = (track.keypoints[1:, hand] == track.keypoints[:-1, hand]).all((-2, -1))
        seen[:, hand] &= ~_in_long_runs(same & seen[:, hand], FROZEN_ROWS)
    return replace(track, seen=seen)


def people_episode(track: HandTrack, context: Context) -> Episode:
    """Make the episode: absolute wrists in the world, keypoints in the wrist frame, a mask for what is unknown.

    Raises:
        DataError: stamps do not increase, hands are not in metres, or fingers bend backwards.
    """
    _check_track(track)
    present = track.seen & plausible_hands(track.keypoints)
    rows = hand_rows(np.where(present[..., None, None], track.keypoints, 0), present, track.frame_pose)
    conf = np.where(present, np.clip(track.conf, 0, 1), 0).astype(np.float32)
    return Episode(
        key=track.key,
        time_ns=track.time_ns,
        action=rows.action,
        valid=rows.valid,
        conf=np.concatenate([conf, conf], axis=1),
        raw={"keypoints": _raw_keypoints(rows), **camera_arrays(track.camera_pose, len(present)), **context.raw},
        map_id=map_ids(track.time_ns, track.frame_pose, track.map_id),
        images=context.images,
        language=context.language,
        labels=context.labels,
    )


def wrist_episode(track: HandTrack, wrists: Floats, context: Context) -> Episode:
    """Make an episode of a tracker that gives wrist poses only; hand columns are masked.

    Args:
        track: Its keypoints are not looked at.
        wrists: ``(T, 2, 4, 4)`` canonical wrist frames in the tracker's frame, NaN where unknown.
        context: Pictures, words, further arrays.
    """
    check_times(track.time_ns, f"{track.where}:time")
    rows = len(track.time_ns)
    frame = np.full((rows, 4, 4), np.nan) if track.frame_pose is None else track.frame_pose
    world = frame[:, None] @ wrists
    known = np.asarray(track.seen & np.isfinite(world).all(axis=(-2, -1)))
    columns = np.where(known[..., None], vec9_from_pose(np.where(known[..., None, None], world, np.eye(4))), 0)
    blank = np.zeros((rows, 2), np.uint8)
    conf = np.where(known, np.clip(track.conf, 0, 1), 0)
    return Episode(
        key=track.key,
        time_ns=track.time_ns,
        action=np.concatenate([columns.reshape(rows, -1), np.zeros((rows, 126))], axis=1).astype(np.float32),
        valid=np.concatenate([known.astype(np.uint8), blank], axis=1),
        conf=np.concatenate([conf, blank], axis=1).astype(np.float32),
        raw={
            "keypoints": np.zeros((rows, 2, 21, 3), np.float32),
            **camera_arrays(track.camera_pose, rows),
            **context.raw,
        },
        map_id=map_ids(track.time_ns, track.frame_pose, track.map_id),
        images=context.images,
        language=context.language,
        labels=context.labels,
    )


def camera_arrays(camera_pose: Floats | None, rows: int) -> dict[str, NDArray[np.float32]]:
    """Raw arrays of a camera trajectory ``(T, 4, 4)``; where it is unknown (None, NaN) the identity, flagged 0."""
    if camera_pose is None:
        camera_pose = np.full((rows, 4, 4), np.nan)
    known = np.asarray(np.isfinite(camera_pose).all(axis=(-2, -1)))
    pose = np.where(known[:, None, None], camera_pose, np.eye(4))
    return {"camera_pose": pose.astype(np.float32), "camera_valid": np.asarray(known, np.float32)}


def map_ids(
    time_ns: NDArray[np.int64], pose: Floats | None, given: NDArray[np.int32] | None = None
) -> NDArray[np.int32]:
    """Number the stretches that no window may cross: gaps in time, jumps of the pose, maps of the source.

    A gap is longer than 0.5 s and than four periods; a jump is faster than 10 m/s or 30 rad/s.
    """
    seconds = np.diff(time_ns) / 1e9
    period = float(np.median(seconds)) if len(seconds) else 0.0
    breaks = seconds > max(GAP_S, GAP_PERIODS * period)
    if pose is not None:
        step = np.linalg.norm(np.diff(pose[:, :3, 3], axis=0), axis=-1)
        turn = rotation_angle(pose[:-1, :3, :3], pose[1:, :3, :3])
        with np.errstate(invalid="ignore"):  # an unknown pose is NaN and no jump
            breaks |= (step > JUMP_M_S * seconds) | (turn > np.minimum(JUMP_RAD_S * seconds, np.pi))
    if given is not None:
        breaks |= np.diff(given) != 0
    return np.concatenate([[0], np.cumsum(breaks)]).astype(np.int32)


def check_times(time_ns: NDArray[np.int64], where: str) -> None:
    """Refuse stamps that do not strictly increase.

    Raises:
        DataError: there are none, or one is not later than the one before; names the row.
    """
    if len(time_ns) == 0:
        raise DataError("has no rows", where=where)
    late = np.flatnonzero(np.diff(time_ns) <= 0)
    if late.size:
        row = int(late[0]) + 1
        raise DataError(f"time stamps do not increase at row {row} ({late.size} such rows)", where=where)


def row_rate(time_ns: NDArray[np.int64], where: str, otherwise: float = 30.0) -> float:
    """Rows per second, the median; of a single row ``otherwise``.

    Raises:
        DataError: stamps do not increase.
    """
    check_times(time_ns, where)
    return 1e9 / float(np.median(np.diff(time_ns))) if len(time_ns) > 1 else otherwise


def nanoseconds(seconds: Floats, where: str) -> NDArray[np.int64]:
    """Turn stamps in seconds into whole nanoseconds.

    Raises:
        DataError: one is not finite, or too large for int64.
    """
    bad = np.flatnonzero(~(np.abs(seconds) < MAX_STAMP_S))
    if bad.size:
        raise DataError(f"stamp {bad[0]} is {seconds[bad[0]]:g}, which is no time in seconds", where=where)
    return np.round(seconds * 1e9).astype(np.int64)


def _raw_keypoints(rows: HandRows) -> NDArray[np.float32]:
    """Keypoints ``(T, 2, 21, 3)`` in the world; of a hand whose place is unknown, in its own wrist frame."""
    placed = rows.valid[:, :2, None, None] > 0
    hands = slice(2 * WRIST_DIM, None)
    return np.where(placed, rows.keypoints, rows.action[:, hands].reshape(rows.keypoints.shape))


def _check_track(track: HandTrack) -> None:
    check_times(track.time_ns, f"{track.where}:time")
    for hand, side in enumerate(SIDES):
        points = track.keypoints[track.seen[:, hand], hand]
        check_hand_scale(points, f"{track.where}:{side} hand")
        check_chirality(points, side, f"{track.where}:{side} hand")


def _in_long_runs(flags: Bools, length: int) -> Bools:
    """Keep the True values that stand in runs of at least ``length``."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    kept = np.zeros(len(flags), bool)
    for start, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        kept[start:stop] = stop - start >= length
    return kept
