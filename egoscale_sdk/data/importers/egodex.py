"""The importer ``egodex``: HDF5 with joint transforms, and an MP4 with one frame per pose."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from egoscale_sdk.data.declare import declare
from egoscale_sdk.data.importers.egodex_file import FPS, EgoDexFile
from egoscale_sdk.data.importers.images import camera_stream, video_jpegs, video_rate, video_size
from egoscale_sdk.data.importers.people import RAW, Context, HandTrack, people_episode, without_frozen
from egoscale_sdk.data.importers.sources import (
    HUMAN,
    FileRecording,
    HumanOptions,
    files_of,
    first_readable,
    head_camera,
    require_people,
    source_key,
    task_span,
)
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats, quaternion_from_rotation
from egoscale_sdk.hands import layout_named
from egoscale_sdk.interfaces import Episode, ImageStream, Importer, Recording
from egoscale_sdk.specs import CameraStream, DatasetDeclaration, EmbodimentSpec, Provider

EXTRA = "egodex"
_LICENCE = "CC BY-NC-ND (EgoDex)"
_ASSUMPTIONS = (
    "no time stamps are stored: pose i belongs to frame i of the video",
    "where a file has no confidences they are taken to be 1",
    "camera poses are camera-to-world with optical axes (x right, y down, z forward)",
)


class EgoDexOptions(HumanOptions):
    """Flags of ``egoscale import egodex``."""

    skip_images: bool = Field(default=False, description="Import without pictures, e.g. where videos are missing.")


class EgoDexImporter(Importer):
    """Reads EgoDex: ``<task>/<n>.hdf5`` with ``<n>.mp4`` beside it, in the world of each recording's ARKit session."""

    name = "egodex"
    options = EgoDexOptions

    def embodiment_for(self, source: str, installed: Sequence[EmbodimentSpec]) -> str:
        """EgoDex is of people."""
        files_of(source, (".hdf5",))
        return HUMAN

    def open(self, source: str, spec: EmbodimentSpec, provider: Provider, options: EgoDexOptions) -> Recording:
        """Open a file, or a folder of any depth; see `Importer`."""
        require_people(spec, self.name)
        files = files_of(source, (".hdf5",))
        declaration = first_readable(files, partial(_declare, spec=spec, provider=provider, options=options))
        declaration = declaration.model_copy(update={"source": Path(source).name})
        camera = head_camera(spec)
        return FileRecording(declaration, {source_key(file): partial(_read, file, camera, options) for file in files})


def _declare(file: Path, spec: EmbodimentSpec, provider: Provider, options: EgoDexOptions) -> DatasetDeclaration:
    EgoDexFile(file).close()
    cameras: tuple[CameraStream, ...] = ()
    if not options.skip_images:
        cameras = (camera_stream(head_camera(spec), video_size(_video(file), EXTRA), options.image_size),)
    return declare(
        spec,
        provider,
        fps=FPS,
        cameras=cameras,
        raw=(*RAW, "keypoint_quat_wxyz"),
        importer=EgoDexImporter.name,
        assumptions=_ASSUMPTIONS,
        licence=options.licence or _LICENCE,
    )


def _read(path: Path, camera: str, options: EgoDexOptions) -> Episode:
    layout = layout_named("egodex")
    with EgoDexFile(path) as file:
        joints = [joint for joint in layout.canonical if joint is not None]
        transforms, conf = file.hands(joints)
        pose, matrix, words = file.camera_pose(), file.intrinsics(), file.words()
    points = transforms[..., :3, 3]
    seen = (conf > 0).all(axis=-1) & np.isfinite(transforms).all(axis=(-3, -2, -1)) & (points != 0).any(axis=(-2, -1))
    _check_in_front(points, seen, pose, path)
    track = HandTrack(
        key=source_key(path),
        where=str(path),
        time_ns=_times(path, len(pose), options),
        keypoints=points,
        seen=seen,
        conf=conf.mean(axis=-1),
        frame_pose=np.broadcast_to(np.eye(4), pose.shape),
        camera_pose=pose,
    )
    text = words.instruction or options.task
    context = Context(
        images={} if options.skip_images else {camera: _images(path, track.time_ns, matrix, options)},
        language=task_span(text, len(pose)),
        labels=({"task": text} if text else {}) | words.labels,
        raw={"keypoint_quat_wxyz": _quaternions(transforms, seen)},
    )
    return people_episode(without_frozen(track), context)


def _times(path: Path, rows: int, options: EgoDexOptions) -> NDArray[np.int64]:
    rate = FPS if options.skip_images else video_rate(_video(path), EXTRA)
    return np.round(np.arange(rows) * (1e9 / rate)).astype(np.int64)


def _images(path: Path, time_ns: NDArray[np.int64], intrinsics: Floats | None, options: EgoDexOptions) -> ImageStream:
    video = _video(path)
    jpegs = video_jpegs(video, EXTRA, options.image_size)
    if len(jpegs) != len(time_ns):
        raise DataError(f"has {len(jpegs)} frames for {len(time_ns)} poses: truncated?", where=str(video))
    calibration: dict[str, Any] = {}
    if intrinsics is not None:
        height, width = video_size(video, EXTRA)
        calibration = {"model": "pinhole", "intrinsics": intrinsics.tolist(), "height_px": height, "width_px": width}
    return ImageStream(jpegs, time_ns, calibration)


def _video(path: Path) -> Path:
    video = path.with_suffix(".mp4")
    if not video.is_file():
        raise DataError("video file is missing", where=str(video), hint="add --skip-images to do without pictures")
    return video


def _check_in_front(points: Floats, seen: NDArray[np.bool_], camera: Floats, path: Path) -> None:
    """Refuse a camera that looks away from the hands: then its axes are not the optical ones.

    Raises:
        DataError: the seen wrists lie behind the camera (median).
    """
    offset = points[:, :, 0] - camera[:, None, :3, 3]
    depth = (offset * camera[:, None, :3, 2]).sum(axis=-1)[seen]  # along the optical axis
    if depth.size and np.median(depth) < 0:
        raise DataError(
            f"hands are {-np.median(depth):.2f} m behind the camera: its axes are not x right, y down, z forward",
            where=f"{path}:/transforms/camera",
        )


def _quaternions(transforms: Floats, seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    rotation = np.where(seen[..., None, None, None], transforms[..., :3, :3], np.eye(3))
    return quaternion_from_rotation(rotation).astype(np.float32)
