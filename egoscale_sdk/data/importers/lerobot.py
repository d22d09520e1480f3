"""The importer ``lerobot``: datasets of any robot whose embodiment says how it is recorded, and our own exports."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from egoscale_sdk.data.declare import declare
from egoscale_sdk.data.images import Size
from egoscale_sdk.data.importers.images import (
    as_jpeg,
    camera_stream,
    image_size,
    video_jpegs,
    video_jpegs_at,
    video_size,
)
from egoscale_sdk.data.importers.lerobot_columns import Columns, OwnColumns, SpecColumns
from egoscale_sdk.data.importers.lerobot_meta import (
    LeRobotEpisode,
    LeRobotFolder,
    lerobot_info,
    open_lerobot,
    parse_json,
    read_text,
)
from egoscale_sdk.data.importers.lerobot_table import LeRobotTable
from egoscale_sdk.data.importers.people import check_times, nanoseconds
from egoscale_sdk.data.importers.sources import FileRecording, ImportOptions, source_key
from egoscale_sdk.data.importers.spool import JpegSpool
from egoscale_sdk.data.lerobot_own import OWN_FILE, OwnMeta
from egoscale_sdk.errors import DataError, did_you_mean, require_extra
from egoscale_sdk.ids import parse_id
from egoscale_sdk.interfaces import Episode, Importer, LanguageSpan, Recording
from egoscale_sdk.interfaces.importer import ImageStream
from egoscale_sdk.specs import CameraStream, DatasetDeclaration, EmbodimentSpec, Provider, RecordingLayout

EXTRA = "lerobot"
_GUIDE = "to declare one, give a plugin's embodiment.toml a [[recordings]] table of this robot_type: docs/importers.md"


class LeRobotOptions(ImportOptions):
    """Flags of ``egoscale import lerobot``."""

    robot_type: str | None = Field(default=None, description="Read the columns as those of this robot_type.")
    skip_images: bool = Field(default=False, description="Import without pictures, e.g. where videos are missing.")


class LeRobotImporter(Importer):
    """Reads LeRobot datasets; the installed embodiments' ``recordings`` say what the columns of a robot_type are."""

    name = "lerobot"
    options = LeRobotOptions

    def embodiment_for(self, source: str, installed: Sequence[EmbodimentSpec]) -> str:
        """Return the embodiment that our export names, or whose ``recordings`` name exactly this robot_type."""
        root, info = lerobot_info(source)
        own = _own_meta(root)
        if own is not None:
            return own.embodiment
        found = [spec for spec in installed if _layouts(spec, info.robot_type)]
        if len({parse_id(spec.id).stem for spec in found}) == 1:
            return max(found, key=lambda spec: parse_id(spec.id).version or 0).id
        known = {layout.robot_type: spec.id for spec in found or installed for layout in spec.recordings}
        what = "is of several embodiments" if found else "is of no installed embodiment"
        raise DataError(
            f"robot_type {info.robot_type!r} {what}",
            where=f"{root}/meta/info.json:robot_type",
            allowed=[f"{robot_type} ({id})" for robot_type, id in known.items()],
            hint=f"{did_you_mean(info.robot_type or '', known) or 'name one with --embodiment ID'}; {_GUIDE}",
        )

    def open(self, source: str, spec: EmbodimentSpec, provider: Provider, options: LeRobotOptions) -> Recording:
        """Open a LeRobot dataset as recorded from ``spec``; see `Importer`."""
        require_extra("pyarrow", EXTRA, "reading LeRobot datasets")
        folder = open_lerobot(source)
        reader = _EpisodeReader(folder, spec, _columns(folder, spec, options.robot_type), options)
        readers = {reader.key(episode): partial(reader.read, episode) for episode in folder.episodes}
        return FileRecording(reader.declare(folder, spec, provider), readers)


class _EpisodeReader:
    """Reads the episodes of a dataset; holds no list of them, so that one can be read anywhere."""

    def __init__(self, folder: LeRobotFolder, spec: EmbodimentSpec, columns: Columns, options: LeRobotOptions) -> None:
        self.root, self.info, self.tasks = folder.root, folder.info, folder.tasks
        self.columns, self.options = columns, options
        self.cameras, self.absent = self._find_cameras(folder)

    def declare(self, folder: LeRobotFolder, spec: EmbodimentSpec, provider: Provider) -> DatasetDeclaration:
        """Declare what this recording becomes."""
        fields = self.columns.declares()
        notes = [f"{feature} is declared but has no pictures" for feature in self.absent]
        return declare(
            spec,
            provider,
            fps=self.info.fps,
            cameras=tuple(self._stream(folder, feature, name) for feature, name in self.cameras.items()),
            importer=LeRobotImporter.name,
            source=f"{self.root.name} (robot_type {self.info.robot_type})",
            licence=self.options.licence,
            **(fields | {"assumptions": (*fields["assumptions"], *notes)}),
        )

    def key(self, episode: LeRobotEpisode) -> str:
        """Key of an episode; a missing file is named, and complained of when it is read."""
        name = f"{self.root.resolve().name}/episode_{episode.index:06d}"
        if episode.digest is not None:
            return f"{name}#{episode.digest}"
        return source_key(episode.data, name) if episode.data.is_file() else name

    def read(self, episode: LeRobotEpisode) -> Episode:
        """Read one episode.

        Raises:
            DataError: a file is missing or truncated, or holds what it should not.
        """
        table = self._table(episode)
        time_ns = nanoseconds(table.scalars("timestamp"), f"{table.path}:timestamp")
        check_times(time_ns, f"{table.path}:timestamp")
        spans = self._language(table)
        words: dict[str, Any] = {"language": spans, "labels": {"task": spans[0].text} if spans else {}}
        return Episode(
            key=self.key(episode),
            time_ns=time_ns,
            images={
                name: self._images(feature, name, episode, table, time_ns) for feature, name in self.cameras.items()
            },
            **(self.columns.read(table) | words | self.columns.told(episode)),
        )

    def _table(self, episode: LeRobotEpisode) -> LeRobotTable:
        table = LeRobotTable(episode.data, episode.rows)
        if table.rows != episode.length:
            what = f"has {table.rows} rows, the metadata of episode {episode.index} says {episode.length}: truncated?"
            raise DataError(what, where=str(table.path))
        if episode.rows is not None and (table.scalars("episode_index") != episode.index).any():
            what = f"rows {episode.rows[0]} to {episode.rows[1]} are not of episode {episode.index}"
            raise DataError(what, where=f"{table.path}:episode_index")
        return table

    def _find_cameras(self, folder: LeRobotFolder) -> tuple[dict[str, str], list[str]]:
        """Picture features by our name of the camera, and those that no episode has any picture of."""
        if self.options.skip_images:
            return {}, []
        found: dict[str, str] = {}
        absent: list[str] = []
        for feature in self.info.pictures:
            if feature in self.columns.cameras or self._has_pictures(folder, feature):
                found[feature] = self._camera_name(feature, found)
            else:
                absent.append(feature)
        return found, absent

    def _camera_name(self, feature: str, taken: dict[str, str]) -> str:
        name = self.columns.cameras.get(feature, feature.rpartition(".")[2])
        if name in taken.values():
            raise DataError(
                f"two features would be camera {name!r}",
                where=f"{self.root}/meta/info.json:features.{feature}",
                hint="name them in the embodiment's [[recordings]]: docs/importers.md",
            )
        return name

    def _has_pictures(self, folder: LeRobotFolder, feature: str) -> bool:
        if feature not in self.info.videos:
            return True
        return any(episode.clips[feature].path.is_file() for episode in folder.episodes)

    def _stream(self, folder: LeRobotFolder, feature: str, name: str) -> CameraStream:
        native = self._native_size(folder, feature)
        return camera_stream(name, native, self.options.image_size, self.columns.mounts.get(name, "unknown"))

    def _native_size(self, folder: LeRobotFolder, feature: str) -> Size:
        """Size of the first picture that can be read; the size in info.json is not always true."""
        complaint = DataError(f"no episode has a picture of {feature}", where=str(self.root))
        for number, episode in enumerate(folder.episodes):
            try:
                if feature in self.info.videos:
                    return video_size(episode.clips[feature].path, EXTRA)
                first = episode.rows[0] if episode.rows else 0
                picture = LeRobotTable(episode.data, (first, first + 1)).pictures(feature)[0]
                return image_size(picture, f"{episode.data}:{feature}")
            except DataError as error:
                complaint = error if number == 0 else complaint
        raise complaint

    def _images(
        self, feature: str, name: str, episode: LeRobotEpisode, table: LeRobotTable, time_ns: NDArray[np.int64]
    ) -> ImageStream:
        seen = self.columns.seen(table, name)
        if feature in self.info.videos:
            jpegs = self._video(feature, episode, time_ns, seen)
        else:
            cells, where = table.pictures(feature), f"{table.path}:{feature}"
            jpegs = JpegSpool(
                as_jpeg(cell, self.options.image_size, where) for cell, use in zip(cells, seen, strict=True) if use
            )
        return ImageStream(jpegs, time_ns[seen], self.columns.calibration(episode, name))

    def _video(
        self, feature: str, episode: LeRobotEpisode, time_ns: NDArray[np.int64], seen: NDArray[np.bool_]
    ) -> JpegSpool:
        clip, size = episode.clips[feature], self.options.image_size
        if clip.start_s is not None:
            return video_jpegs_at(clip.path, EXTRA, clip.start_s + time_ns[seen] / 1e9, size)
        jpegs = video_jpegs(clip.path, EXTRA, size)
        if len(jpegs) != len(time_ns):
            raise DataError(f"has {len(jpegs)} frames for {len(time_ns)} rows: truncated?", where=str(clip.path))
        return jpegs

    def _language(self, table: LeRobotTable) -> list[LanguageSpan]:
        """One caption for every stretch of rows with the same task."""
        if "task_index" not in self.info.features:
            return []
        index = table.scalars("task_index")
        starts = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), table.rows]
        spans = []
        for start, stop in pairwise(starts):
            if index[start] not in self.tasks:
                raise DataError(f"task_index {index[start]:g} is not among meta/tasks", where=str(table.path))
            spans.append(LanguageSpan(self.tasks[index[start]], start, stop))
        return spans


def _own_meta(root: Path) -> OwnMeta | None:
    """Read what an export of ours says of itself; None of other people's datasets."""
    file = root / OWN_FILE
    return parse_json(OwnMeta, read_text(file), str(file)) if file.is_file() else None


def _columns(folder: LeRobotFolder, spec: EmbodimentSpec, robot_type: str | None) -> Columns:
    own = _own_meta(folder.root) if robot_type is None else None
    if own is not None:
        return OwnColumns(folder.info, spec, own, str(folder.root / OWN_FILE))
    return SpecColumns(folder.info, spec, _layout(folder, spec, robot_type), str(folder.root))


def _layouts(spec: EmbodimentSpec, robot_type: str | None) -> list[RecordingLayout]:
    return [layout for layout in spec.recordings if layout.format == "lerobot" and layout.robot_type == robot_type]


def _layout(folder: LeRobotFolder, spec: EmbodimentSpec, robot_type: str | None) -> RecordingLayout:
    wanted = robot_type or folder.info.robot_type
    found = _layouts(spec, wanted)
    if not found:
        known = [layout.robot_type for layout in spec.recordings]
        hint = f"if the columns are the same, add --robot-type {known[0]}" if known else _GUIDE
        raise DataError(
            f"{spec.id} does not say how recordings of robot_type {wanted!r} are laid out",
            where=f"{folder.root}/meta/info.json:robot_type",
            allowed=known,
            hint=hint,
        )
    return found[0]
