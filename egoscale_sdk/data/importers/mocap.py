"""The importer ``mocap``: sessions of wrist trackers, gloves and cameras, or of a robot, each on its own clock."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import Field

from egoscale_sdk.data.declare import declare
from egoscale_sdk.data.images import Size
from egoscale_sdk.data.importers.images import camera_stream, image_size, video_size
from egoscale_sdk.data.importers.mocap_episode import human_episode, robot_episode, robot_raw
from egoscale_sdk.data.importers.mocap_session import CameraSpec, Session, TakeSpec, find_sessions
from egoscale_sdk.data.importers.mocap_table import EXTRA
from egoscale_sdk.data.importers.mocap_take import Take, picture_files
from egoscale_sdk.data.importers.people import RAW, Context
from egoscale_sdk.data.importers.sources import FileRecording, ImportOptions, first_readable, require_people
from egoscale_sdk.errors import DataError
from egoscale_sdk.hands import layout_named
from egoscale_sdk.ids import parse_id
from egoscale_sdk.interfaces import Episode, Importer, Recording
from egoscale_sdk.specs import CameraStream, DatasetDeclaration, EmbodimentSpec, Provider


class MocapOptions(ImportOptions):
    """Flags of ``egoscale import mocap``."""

    skip_images: bool = Field(default=False, description="Import without pictures.")


class MocapImporter(Importer):
    """Reads folders with a ``session.toml`` (`docs/mocap_session.md`); every take is an episode.

    People and robots of one task go into two datasets, whose episodes are matched by the label ``aligned_group``.
    """

    name = "mocap"
    options = MocapOptions

    def embodiment_for(self, source: str, installed: Sequence[EmbodimentSpec]) -> str:
        """Return the embodiment that the sessions name; people and robots together must be told apart by the user."""
        named = sorted({session.spec.embodiment for session in find_sessions(source)})
        if len(named) > 1:
            raise DataError(
                f"holds sessions of {len(named)} embodiments, and a dataset is of one",
                where=source,
                allowed=named,
                hint=f"import one after the other: add --embodiment {named[0]}",
            )
        return named[0]

    def open(self, source: str, spec: EmbodimentSpec, provider: Provider, options: MocapOptions) -> Recording:
        """Open the sessions of one embodiment at or below a folder; see `Importer`."""
        sessions = _sessions_of(find_sessions(source), spec, source)
        _check_alike(sessions)
        declaration = first_readable(
            [session.folder for session in sessions], partial(_declare, sessions, spec, provider, options)
        )
        declaration = declaration.model_copy(update={"source": Path(source).name})
        readers = {}
        for session in sessions:
            stem, digest = session.folder.resolve().name, session.digest()
            for take in session.spec.takes:
                key = f"{stem}/{take.name}#{digest}"
                readers[key] = partial(_read, session, take, spec, options, key)
        return FileRecording(declaration, readers)


def _sessions_of(sessions: list[Session], spec: EmbodimentSpec, source: str) -> list[Session]:
    """Sessions of an embodiment, of whatever version."""
    stem = parse_id(spec.id).stem
    found = [session for session in sessions if parse_id(session.spec.embodiment).stem == stem]
    if not found:
        named = sorted({session.spec.embodiment for session in sessions})
        raise DataError(f"holds no session of {spec.id}", where=source, allowed=named)
    for session in found:
        if session.spec.kind != spec.kind:
            raise DataError(
                f"says {session.spec.kind!r}, but {spec.id} is {spec.kind!r}", where=f"{session.where}:kind"
            )
    if spec.kind == "human":
        require_people(spec, MocapImporter.name)
    return found


def _check_alike(sessions: list[Session]) -> None:
    """Rows of one dataset have one rate and one lead."""
    first = sessions[0].spec
    for session in sessions[1:]:
        for name in ("rate_hz", "lead_s"):
            theirs, ours = getattr(session.spec, name), getattr(first, name)
            if theirs != ours:
                what = f"is {theirs:g}, the first session ({sessions[0].folder.name}) has {ours:g}"
                raise DataError(what, where=f"{session.where}:{name}", hint="import it into a dataset of its own")


def _declare(
    sessions: list[Session], spec: EmbodimentSpec, provider: Provider, options: MocapOptions, folder: Path
) -> DatasetDeclaration:
    session = next(session for session in sessions if session.folder == folder)
    people = spec.kind == "human"
    tracked = any(tracker.target.endswith("wrist") for tracker in session.spec.trackers)
    notes = {
        "wrists are where the trackers' mountings (T_tracker_target) say": tracked,
        "no tracker is on a wrist: wrists are masked": people and not tracked,
        "keypoint 1 (thumb CMC) is estimated": any(layout_named(g.layout).estimated.any() for g in session.spec.gloves),
        "joints and targets are interpolated to rows at one rate": not people,
    }
    return declare(
        spec,
        provider,
        fps=session.spec.rate_hz,
        lead_s=session.spec.lead_s,
        cameras=()
        if options.skip_images
        else tuple(_stream(session, camera, options) for camera in session.spec.cameras),
        raw=(*RAW, "keypoint_quat_wxyz") if people else robot_raw(spec),
        importer=MocapImporter.name,
        assumptions=tuple(note for note, holds in notes.items() if holds),
        licence=options.licence,
        **({"wrist_source": "tracker" if tracked else "none"} if people else {}),
    )


def _stream(session: Session, camera: CameraSpec, options: MocapOptions) -> CameraStream:
    return camera_stream(camera.name, _native_size(session, camera), options.image_size, camera.mount)


def _native_size(session: Session, camera: CameraSpec) -> Size:
    if camera.video is not None:
        return video_size(session.path(camera.video, "cameras"), EXTRA)
    folder = session.path(camera.images or "", "cameras")
    files = picture_files(folder)
    if not files:
        raise DataError("has no JPEG file", where=str(folder))
    return image_size(files[0].read_bytes(), str(files[0]))


def _read(session: Session, take: TakeSpec, spec: EmbodimentSpec, options: MocapOptions, key: str) -> Episode:
    opened = Take(session, take)
    context = Context(
        images={} if options.skip_images else opened.pictures(options),
        language=opened.language(),
        labels=session.labels(take),
    )
    if spec.kind == "human":
        return human_episode(opened, key, context)
    return robot_episode(opened, key, spec, context)
