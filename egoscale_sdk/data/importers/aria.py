"""The importer ``aria``: a VRS with on-device hand tracking, or a folder of machine perception services (MPS)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field

from egoscale_sdk.data.declare import declare
from egoscale_sdk.data.importers.aria_mps import HandsFile, MpsFiles, device_poses, find_files, is_mps, read_hands
from egoscale_sdk.data.importers.aria_vrs import VrsFile
from egoscale_sdk.data.importers.images import camera_stream
from egoscale_sdk.data.importers.people import (
    RAW,
    Context,
    HandTrack,
    people_episode,
    row_rate,
    without_frozen,
    wrist_episode,
)
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
from egoscale_sdk.geometry import Floats
from egoscale_sdk.hands import to_canonical
from egoscale_sdk.interfaces import Episode, Importer, Recording
from egoscale_sdk.specs import EmbodimentSpec, Provider

_LAYOUT = "aria"
_THUMB = "Aria tracks no thumb CMC: keypoint 1 is estimated"
_ODOMETRY = "the world is the frame of the device's odometry, which drifts"
_NO_POSE = "there is no trajectory: wrists are masked"
_NO_NORMALS = "the wrist file has no normals, so no orientation: wrists are masked"
_TRIAD = "wrists are turned by the tracker's wrist normal and palm point (docs/importers.md, Aria)"


class AriaOptions(HumanOptions):
    """Flags of ``egoscale import aria``."""

    hands: HandsFile = Field(default="auto", description="Which file of an MPS folder to read; landmarks if there.")
    vrs: Path | None = Field(default=None, description="VRS of an MPS folder, for its colour pictures.")


class AriaImporter(Importer):
    """Reads Project Aria recordings; rows are hand samples, on the device's clock."""

    name = "aria"
    options = AriaOptions

    def embodiment_for(self, source: str, installed: Sequence[EmbodimentSpec]) -> str:
        """Aria glasses are worn by people."""
        if not is_mps(source):
            files_of(source, (".vrs",))
        return HUMAN

    def open(self, source: str, spec: EmbodimentSpec, provider: Provider, options: AriaOptions) -> Recording:
        """Open a VRS file, a folder of them, or an MPS folder; see `Importer`."""
        require_people(spec, self.name)
        opened = _open_mps if is_mps(source) else _open_vrs
        return opened(source, spec, provider, options)


def _open_vrs(source: str, spec: EmbodimentSpec, provider: Provider, options: AriaOptions) -> Recording:
    files, camera = files_of(source, (".vrs",)), head_camera(spec)
    first = first_readable(files, VrsFile)
    declaration = declare(
        spec,
        provider,
        fps=row_rate(first.hand_times(), str(first.path)),
        cameras=(camera_stream(camera, first.image_size(), options.image_size),),
        raw=RAW,
        importer=AriaImporter.name,
        source=Path(source).name,
        assumptions=(_THUMB, _ODOMETRY),
        licence=options.licence,
    )
    return FileRecording(declaration, {source_key(file): partial(_read_vrs, file, camera, options) for file in files})


def _read_vrs(path: Path, camera: str, options: AriaOptions) -> Episode:
    vrs = VrsFile(path)
    time_ns, landmarks, conf = vrs.hands()
    device, maps = vrs.device_poses(time_ns)
    track = HandTrack(
        key=source_key(path),
        where=str(path),
        time_ns=time_ns,
        keypoints=to_canonical(landmarks, _LAYOUT)[0],
        seen=conf > 0,
        conf=conf,
        frame_pose=device,
        camera_pose=None if device is None else device @ vrs.camera_extrinsics(),
        map_id=maps,
    )
    return people_episode(without_frozen(track), _context(options, len(time_ns), vrs, camera))


def _open_mps(source: str, spec: EmbodimentSpec, provider: Provider, options: AriaOptions) -> Recording:
    files, camera = find_files(source, options.hands), head_camera(spec)
    vrs = None if options.vrs is None else VrsFile(options.vrs)
    hands = read_hands(files)
    device_poses(files, hands.time_ns)  # a clock of another recording is refused before anything is imported
    turned = hands.wrists is not None and bool(np.isfinite(hands.wrists).any())
    notes = {
        _THUMB: files.kind == "landmarks",
        _TRIAD: turned,
        _NO_NORMALS: files.kind == "wrist" and not turned,
        _NO_POSE: files.trajectory is None,
    }
    placed = files.trajectory is not None and (turned or files.kind == "landmarks")
    declaration = declare(
        spec,
        provider,
        fps=row_rate(hands.time_ns, str(files.hands)),
        wrist_source=("tracker" if files.kind == "wrist" else "keypoints") if placed else "none",
        cameras=() if vrs is None else (camera_stream(camera, vrs.image_size(), options.image_size),),
        raw=RAW,
        importer=AriaImporter.name,
        source=Path(source).name,
        assumptions=tuple(note for note, holds in notes.items() if holds),
        licence=options.licence,
    )
    return FileRecording(declaration, {source_key(files.hands): partial(_read_mps, files, camera, options)})


def _read_mps(files: MpsFiles, camera: str, options: AriaOptions) -> Episode:
    hands, vrs = read_hands(files), None if options.vrs is None else VrsFile(options.vrs)
    device, maps = device_poses(files, hands.time_ns)
    rows = len(hands.time_ns)
    track = HandTrack(
        key=source_key(files.hands),
        where=str(files.hands),
        time_ns=hands.time_ns,
        keypoints=_keypoints(hands.landmarks, rows),
        seen=hands.conf > 0,
        conf=hands.conf,
        frame_pose=device,
        camera_pose=None if device is None or vrs is None else device @ vrs.camera_extrinsics(),
        map_id=maps,
    )
    context = _context(options, rows, vrs, camera)
    if hands.wrists is not None:
        return wrist_episode(track, hands.wrists, context)
    return people_episode(without_frozen(track), context)


def _keypoints(landmarks: Floats | None, rows: int) -> Floats:
    return np.zeros((rows, 2, 21, 3)) if landmarks is None else to_canonical(landmarks, _LAYOUT)[0]


def _context(options: AriaOptions, rows: int, vrs: VrsFile | None, camera: str) -> Context:
    return Context(
        images={} if vrs is None else {camera: vrs.images(options.image_size)},
        language=task_span(options.task, rows),
        labels={"task": options.task} if options.task else {},
    )
