"""One file of keypoints with what stands beside it and the flags: what it declares, and the episode that it becomes."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.exchange import KeypointFrame
from egoscale_sdk.data.importers.images import as_jpeg, camera_stream, image_size, video_jpegs, video_size
from egoscale_sdk.data.importers.keypoint_csv import read_csv
from egoscale_sdk.data.importers.keypoint_options import KeypointsOptions
from egoscale_sdk.data.importers.keypoint_table import Bools, EpisodeFacts, KeypointTable, parse_facts, read_npz
from egoscale_sdk.data.importers.people import Context, HandTrack, people_episode, row_rate, without_frozen
from egoscale_sdk.data.importers.placement import Placement, find_trajectory, place
from egoscale_sdk.data.importers.sources import source_key, task_span
from egoscale_sdk.data.importers.spool import JpegSpool
from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats, quaternion_from_rotation, rotation_from_quaternion
from egoscale_sdk.hands import layout_named, to_canonical
from egoscale_sdk.hands.layouts import Layout
from egoscale_sdk.interfaces import Episode, ImageStream, LanguageSpan
from egoscale_sdk.specs import SIDES, CameraStream

EXTRA = "keypoints"
_CENTRED_M = 1e-6


class KeypointSource:
    """A file ``<stem>.npz`` or ``<stem>.csv``; arrays are read at once, pictures only for the episode."""

    def __init__(self, file: Path, options: KeypointsOptions, camera: str) -> None:
        self.file, self.options, self.camera = file, options, camera
        beside = _facts_beside(file)
        self.table = self._read(options.layout or beside.layout)
        self.facts = _merged(self.table.facts, beside)
        self.layout = self._layout()
        self.points, estimated = to_canonical(self.table.points, self.layout)
        self.estimates_thumb = bool(estimated.any())
        self.time_ns = self._times()
        self.fps = row_rate(self.time_ns, f"{file}:time")
        self.seen = self._seen()

    @cached_property
    def frame(self) -> KeypointFrame:
        """The frame as told; untold it is the wrist's if every wrist is the origin, else the camera's."""
        told = self.options.frame or self.facts.frame
        wrists = self.points[:, :, 0][self.seen]
        centred = len(wrists) > 0 and float(np.abs(wrists).max()) < _CENTRED_M
        return told or ("wrist" if centred else "camera")

    @cached_property
    def placement(self) -> Placement:
        """Poses of the keypoints' frame and of the camera."""
        file = self.options.trajectory or _beside(self.file, ".trajectory.txt")
        trajectory = find_trajectory(file, self.table.camera_pose, self.facts.scale, str(self.file))
        return place(self.frame, self.time_ns, trajectory, self.options, str(self.file))

    @cached_property
    def video(self) -> Path | None:
        """The video, if there is one: of the flag, named in the file, or ``<stem>.mp4``."""
        name = self.facts.video
        if name is not None and Path(name).name != name:
            raise DataError(f"video {name!r} must be a file name in the same folder", where=str(self.file))
        named = None if name is None else self.file.with_name(name)
        return self.options.video or named or _beside(self.file, ".mp4")

    def cameras(self) -> tuple[CameraStream, ...]:
        """The camera with its stored size, if there are pictures."""
        native = self._native_size()
        return () if native is None else (camera_stream(self.camera, native, self.options.image_size),)

    def assumptions(self) -> tuple[str, ...]:
        """What was taken for true, in words."""
        notes = {
            f"layout {self.layout.name} has no thumb CMC: keypoint 1 is estimated": self.estimates_thumb,
            "no pose of the camera in a world is known: wrists are masked": self.placement.frame_pose is None,
            "the camera is said to stand still (--camera static): its frame is the world": (
                self.options.camera == "static"
            ),
            f"the camera trajectory was multiplied by {self.options.scale} (--scale)": self.options.scale is not None,
        }
        return tuple(note for note, holds in notes.items() if holds)

    def episode(self) -> Episode:
        """Make the episode.

        Raises:
            DataError: the hands, the stamps or the pictures are not usable.
        """
        track = HandTrack(
            key=source_key(self.file),
            where=str(self.file),
            time_ns=self.time_ns,
            keypoints=self.points,
            seen=self.seen,
            conf=self._confidence(),
            frame_pose=self.placement.frame_pose,
            camera_pose=self.placement.camera_pose,
            map_id=self.table.map_id,
        )
        if self.table.seen is None:  # nobody says when a hand is lost
            track = without_frozen(track)
        text = self.facts.task or self.options.task
        captions = [LanguageSpan(c.text, c.start, c.stop, c.kind) for c in self.facts.captions]
        context = Context(
            images=self._images(),
            language=task_span(text, len(self.time_ns)) + captions,
            labels=dict(self.facts.labels) | ({"task": text} if text else {}),
            raw=self._rotations(),
        )
        return people_episode(track, context)

    def _read(self, layout: str | None) -> KeypointTable:
        return read_csv(self.file, layout) if self.file.suffix.lower() == ".csv" else read_npz(self.file)

    def _layout(self) -> Layout:
        name = self.options.layout or self.facts.layout
        if name is None:
            raise DataError("does not say its joint order", where=str(self.file), hint="add --layout mediapipe")
        return layout_named(name)

    def _times(self) -> NDArray[np.int64]:
        if self.table.time_ns is not None:
            return self.table.time_ns
        rate = self.options.rate_hz or self.facts.rate_hz
        if rate is None:
            raise DataError("has no time stamps", where=str(self.file), hint="add --rate-hz ROWS_PER_SECOND")
        return np.round(np.arange(len(self.points)) * (1e9 / rate)).astype(np.int64)

    def _seen(self) -> Bools:
        """Which hands are there: finite, not all zero, of confidence above 0, not said to be invalid, asked for."""
        points = self.table.points
        seen = np.asarray(np.isfinite(points).all(axis=(-2, -1)) & (points != 0).any(axis=(-2, -1)), bool)
        if self.table.conf is not None:
            seen &= np.nan_to_num(self.table.conf) > 0
        if self.table.seen is not None:
            seen &= self.table.seen
        side = self.options.side or self.facts.side
        if self.table.one_hand and side not in SIDES:
            raise DataError("has one hand and does not say which", where=str(self.file), hint="add --side left|right")
        seen &= np.array([side in (None, "both", own) for own in SIDES])
        return seen

    def _confidence(self) -> Floats:
        if self.table.conf is None:
            return np.ones(self.seen.shape)
        conf = np.nan_to_num(self.table.conf)
        if (conf > 1 + 1e-6).any():
            raise DataError(f"goes up to {conf.max():.4g}", where=f"{self.file}:confidence", allowed=["0 to 1"])
        return conf

    def _native_size(self) -> tuple[int, int] | None:
        if self.table.jpegs:
            return image_size(self.table.jpegs[0], f"{self.file}:jpegs")
        return None if self.video is None else video_size(self.video, EXTRA)

    def _images(self) -> dict[str, ImageStream]:
        size = self.options.image_size
        if self.table.jpegs:
            jpegs = JpegSpool(as_jpeg(jpeg, size, f"{self.file}:jpegs") for jpeg in self.table.jpegs)
        elif self.video is not None:
            jpegs = video_jpegs(self.video, EXTRA, size)
        else:
            return {}
        stamps = self.time_ns if self.table.image_time_ns is None else self.table.image_time_ns
        if len(stamps) != len(jpegs):
            raise DataError(f"{len(jpegs)} images for {len(stamps)} time stamps", where=str(self.video or self.file))
        return {self.camera: ImageStream(jpegs, stamps, self._calibration())}

    def _calibration(self) -> dict[str, Any]:
        """Intrinsics with the resolution they refer to, the native one."""
        native = self._native_size()
        if self.facts.intrinsics is None or native is None:
            return {}
        matrix = [list(row) for row in self.facts.intrinsics]
        return {"model": "pinhole", "intrinsics": matrix, "height_px": native[0], "width_px": native[1]}

    def _rotations(self) -> dict[str, NDArray[np.float32]]:
        """Rotations of the joints in the world, canonical order; the identity where none is known."""
        pose = self.placement.frame_pose
        if self.table.rotations is None or pose is None:
            return {}
        if self.layout.left_handed:
            raise DataError("rotations of left-handed axes are not read", where=f"{self.file}:keypoint_quat_wxyz")
        known = np.asarray(np.isfinite(pose).all(axis=(-2, -1)))
        source = self.table.rotations[:, :, self.layout.index()]
        usable = (np.linalg.norm(source, axis=-1) > 0.5) & (self.seen & known[:, None])[..., None]
        usable &= ~self.layout.estimated
        unit = np.where(usable[..., None], source, [1.0, 0.0, 0.0, 0.0])
        frame = np.where(known[:, None, None], pose, np.eye(4))[:, None, None, :3, :3]
        turned = quaternion_from_rotation(frame @ rotation_from_quaternion(unit))
        return {"keypoint_quat_wxyz": np.where(usable[..., None], turned, [1, 0, 0, 0]).astype(np.float32)}


def _beside(file: Path, ending: str) -> Path | None:
    path = file.with_name(file.stem + ending)
    return path if path.is_file() else None


def _facts_beside(file: Path) -> EpisodeFacts:
    """Read ``<stem>.json``, if there is one."""
    path = _beside(file, ".json")
    if path is None:
        return EpisodeFacts()
    try:
        return parse_facts(json.loads(path.read_text("utf-8")), str(path))
    except ValueError as error:
        raise DataError(f"is not valid JSON: {one_line(error)}", where=str(path)) from None


def _merged(own: EpisodeFacts, beside: EpisodeFacts) -> EpisodeFacts:
    """What the side file says, and the file itself where it says something; labels one by one."""
    said = {name: getattr(own, name) for name in own.model_fields_set if getattr(own, name)}
    return beside.model_copy(update={**said, "labels": {**beside.labels, **own.labels}})
