"""One take of a session on the master clock: its rows' times, its devices resampled to them, its pictures."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.images import as_jpeg, video_frames, video_jpegs
from egoscale_sdk.data.importers.mocap_clock import Clock, session_clocks
from egoscale_sdk.data.importers.mocap_session import METRES, CameraSpec, GloveSpec, Session, TableSpec, TakeSpec
from egoscale_sdk.data.importers.mocap_table import EXTRA, StampedTable, read_joint_frames, read_poses, read_table
from egoscale_sdk.data.importers.placement import span
from egoscale_sdk.data.importers.sources import ImportOptions, task_span
from egoscale_sdk.data.importers.spool import JpegSpool
from egoscale_sdk.data.importers.trajectory import poses_at, values_at
from egoscale_sdk.data.writer import IMAGE_MAX_AGE_NS
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats, inverse_pose, make_pose
from egoscale_sdk.hands import layout_named, to_canonical, wrist_frame
from egoscale_sdk.hands.layouts import CMC
from egoscale_sdk.interfaces import ImageStream, LanguageSpan

Stamps = NDArray[np.int64]
JPEG = (".jpg", ".jpeg")


class Take:
    """A take with its devices; every table is read when it is asked for."""

    def __init__(self, session: Session, take: TakeSpec) -> None:
        self.session, self.spec, self.take = session, session.spec, take

    @cached_property
    def time_ns(self) -> Stamps:
        """Rows at the session's rate, while all cameras run; without a camera while all tables do.

        Raises:
            DataError: the cameras (or tables) have no time in common, or the take lies outside of it.
        """
        streams = self._camera_stamps or {name: time_ns for name, (time_ns, _) in self._table_stamps().items()}
        start = max(int(time_ns[0]) for time_ns in streams.values())
        stop = min(int(time_ns[-1]) for time_ns in streams.values())
        asked = [None if s is None else round(s * 1e9) for s in (self.take.start_s, self.take.stop_s)]
        first = start if asked[0] is None else max(start, asked[0])
        last = stop if asked[1] is None else min(stop, asked[1])
        if last < first:
            spans = ", ".join(f"{name} {span(time_ns)}" for name, time_ns in list(streams.items())[:6])
            what = f"take {self.take.name!r} lies outside of what was recorded on the master clock: {spans}"
            raise DataError(what, where=self.session.where, hint="check offset_s of the clocks, start_s and stop_s")
        period = 1e9 / self.spec.rate_hz
        return first + np.round(np.arange(int((last - first) / period) + 1) * period).astype(np.int64)

    def poses(self, target: str, role: str = "measured") -> Floats | None:
        """Poses ``(T, 4, 4)`` of a wrist or of the head camera in the session's world; NaN where unknown.

        None where nothing tracks it. ``T_world_target = T_world_tracker @ T_tracker_target``.
        """
        tracker = self.spec.tracker(target, role)
        if tracker is None:
            return None
        path = self.session.path(tracker.file, "trackers")
        time_s, poses = read_poses(path, METRES[tracker.unit])
        stamps = self._on_master(time_s, tracker, path)
        return poses_at(stamps, poses @ tracker.T_tracker_target.matrix(), self.time_ns, tracker.max_gap_s)

    def hand(self, side: str) -> tuple[Floats, bool] | None:
        """Canonical joints ``T_wrist_joint (T, 21, 4, 4)``, metres, NaN where unknown; None without a glove.

        The second value is whether the rotations are known.
        """
        glove = self.spec.glove(side)
        if glove is None:
            return None
        path = self.session.path(glove.file, "gloves")
        time_s, frames, turned = read_joint_frames(path, layout_named(glove.layout).joints, METRES[glove.unit])
        hands, valid = _in_wrist(frames, glove)
        if not valid.any():
            raise DataError("no palm can be made of its joints", where=str(path))
        stamps = self._on_master(time_s[valid], glove, path)
        return poses_at(stamps, hands[valid], self.time_ns, glove.max_gap_s), turned

    def joints(self, role: str, names: list[str]) -> tuple[Floats, Path]:
        """Joint values ``(T, len(names))`` in radians or metres, NaN where unknown, and the file."""
        table_spec = next(table for table in self.spec.joints if table.role == role)
        path = self.session.path(table_spec.file, "joints")
        table = read_table(path)
        values = table.stack(names) if names else np.empty((len(table.time_s), 0))
        good = np.isfinite(values).all(1) & table.flags()
        if not good.any():
            raise DataError("has no row in which every joint is known", where=str(path))
        stamps = self._on_master(table.time_s[good], table_spec, path)
        return values_at(stamps, values[good], self.time_ns, table_spec.max_gap_s), path

    def pictures(self, options: ImportOptions) -> dict[str, ImageStream]:
        """Return what every camera saw during the take, each picture with its own stamp on the master clock."""
        return {camera.name: self._pictures(camera, options) for camera in self.spec.cameras}

    def language(self) -> list[LanguageSpan]:
        """Return the instruction, and captions over rows."""
        found = task_span(self.session.task(self.take), len(self.time_ns))
        for caption in self.take.captions:
            edges = np.array([caption.start_s, caption.stop_s]) * 1e9
            start, stop = (int(n) for n in np.searchsorted(self.time_ns, edges))
            if start < stop:
                found.append(LanguageSpan(caption.text, start, stop, caption.kind))
        return found

    @cached_property
    def _clocks(self) -> dict[str, Clock]:
        return session_clocks(self.session)

    @cached_property
    def _camera_stamps(self) -> dict[str, Stamps]:
        return {camera.name: self._stamps(camera.times, camera.clock, "cameras")[0] for camera in self.spec.cameras}

    def _table_stamps(self) -> dict[str, tuple[Stamps, StampedTable]]:
        fields: dict[str, tuple[TableSpec, ...]] = {
            "trackers": self.spec.trackers,
            "gloves": self.spec.gloves,
            "joints": self.spec.joints,
        }
        named = [(field, table) for field, tables in fields.items() for table in tables]
        return {table.file: self._stamps(table.file, table.clock, field) for field, table in named}

    def _stamps(self, file: str, clock: str | None, field: str) -> tuple[Stamps, StampedTable]:
        path = self.session.path(file, field)
        table = read_table(path)
        return self._clocks[clock or self.spec.master].to_master(table.time_s, str(path)), table

    def _on_master(self, time_s: Floats, table: TableSpec, path: Path) -> Stamps:
        stamps = self._clocks[table.clock or self.spec.master].to_master(time_s, str(path))
        if stamps[-1] < self.time_ns[0] or stamps[0] > self.time_ns[-1]:
            what = f"clocks do not match: it has {span(stamps)}, take {self.take.name!r} {span(self.time_ns)}"
            hint = "check the clock's offset_s, or its events in the table of sync"
            raise DataError(f"{what} on the master clock", where=str(path), hint=hint)
        return stamps

    def _pictures(self, camera: CameraSpec, options: ImportOptions) -> ImageStream:
        stamps = self._camera_stamps[camera.name]
        first, last = np.searchsorted(stamps, [self.time_ns[0] - IMAGE_MAX_AGE_NS, self.time_ns[-1] + 1])
        wanted = range(int(first), int(last))
        if camera.video is not None:
            path = self.session.path(camera.video, "cameras")
            frames = video_frames(path, EXTRA)
            if frames not in (0, len(stamps)):
                raise DataError(f"has {frames} frames for {len(stamps)} stamps", where=str(path))
            jpegs = video_jpegs(path, EXTRA, options.image_size, wanted)
        else:
            path = self.session.path(camera.images or "", "cameras")
            files = picture_files(path)
            if len(files) != len(stamps):
                raise DataError(f"has {len(files)} JPEG files for {len(stamps)} stamps", where=str(path))
            jpegs = JpegSpool(as_jpeg(files[n].read_bytes(), options.image_size, str(files[n])) for n in wanted)
        if len(jpegs) != len(wanted):
            raise DataError(f"has {first + len(jpegs)} frames for {len(stamps)} stamps: truncated?", where=str(path))
        return ImageStream(jpegs, stamps[wanted.start : wanted.stop], _calibration(camera))


def picture_files(folder: Path) -> list[Path]:
    """JPEG files of a folder, in the order of their names."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in JPEG) if folder.is_dir() else []


def _in_wrist(frames: Floats, glove: GloveSpec) -> tuple[Floats, NDArray[np.bool_]]:
    """Canonical joints ``(N, 21, 4, 4)`` in the wrist frame that they define, and which define one.

    An estimated thumb CMC has the rotation of the joint after it.
    """
    keypoints, _ = to_canonical(frames[..., :3, 3], glove.layout)
    index = np.array(layout_named(glove.layout).index())
    index[CMC] = index[CMC] if index[CMC] >= 0 else index[CMC + 1]
    wrist, valid = wrist_frame(keypoints, glove.side)
    joints = make_pose(frames[:, index, :3, :3], keypoints)
    return inverse_pose(wrist)[:, None] @ joints, valid


def _calibration(camera: CameraSpec) -> dict[str, Any]:
    """Calibration as a dataset keeps it, with the resolution that the intrinsics refer to."""
    if camera.intrinsics is None:
        return {}
    found: dict[str, Any] = {"model": camera.model, "intrinsics": [list(row) for row in camera.intrinsics]}
    found |= {"height_px": camera.height_px, "width_px": camera.width_px}
    found |= {"distortion": list(camera.distortion)} if camera.distortion else {}
    if camera.T_mount_camera is not None:
        found["T_mount_camera"] = camera.T_mount_camera.matrix().tolist()
    return found
