"""The importer ``lerobot``: datasets of v2.0 and v2.1 of any robot whose embodiment says how it is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from egoscale_sdk.data.declare import declare
from egoscale_sdk.data.images import Size
from egoscale_sdk.data.importers.images import as_jpeg, camera_stream, image_size, video_jpegs, video_size
from egoscale_sdk.data.importers.lerobot_meta import EpisodeInfo, LeRobotFolder, open_lerobot
from egoscale_sdk.data.importers.lerobot_table import LeRobotTable
from egoscale_sdk.data.importers.people import check_times, nanoseconds
from egoscale_sdk.data.importers.robot_rows import RobotRows, RowReader
from egoscale_sdk.data.importers.sources import FileRecording, ImportOptions, source_key
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
        """Return the embodiment whose ``recordings`` name exactly this robot_type; see `Importer`."""
        folder = open_lerobot(source)
        found = [spec for spec in installed if _layouts(spec, folder.info.robot_type)]
        if len({parse_id(spec.id).stem for spec in found}) == 1:
            return max(found, key=lambda spec: parse_id(spec.id).version or 0).id
        known = {layout.robot_type: spec.id for spec in found or installed for layout in spec.recordings}
        what = "is of several embodiments" if found else "is of no installed embodiment"
        raise DataError(
            f"robot_type {folder.info.robot_type!r} {what}",
            where=f"{folder.root}/meta/info.json:robot_type",
            allowed=[f"{robot_type} ({id})" for robot_type, id in known.items()],
            hint=f"{did_you_mean(folder.info.robot_type or '', known) or 'name one with --embodiment ID'}; {_GUIDE}",
        )

    def open(self, source: str, spec: EmbodimentSpec, provider: Provider, options: LeRobotOptions) -> Recording:
        """Open a LeRobot dataset as recorded from ``spec``; see `Importer`."""
        require_extra("pyarrow", EXTRA, "reading LeRobot datasets")
        folder = open_lerobot(source)
        robot = _Robot(folder, spec, _layout(folder, spec, options.robot_type), options)
        readers = {_key(folder, episode): partial(robot.episode, episode) for episode in folder.episodes}
        return FileRecording(robot.declaration(provider), readers)


class _Robot:
    """A dataset with what its columns mean."""

    def __init__(
        self, folder: LeRobotFolder, spec: EmbodimentSpec, layout: RecordingLayout, options: LeRobotOptions
    ) -> None:
        self.folder, self.spec, self.layout, self.options = folder, spec, layout, options
        self.state = RowReader(spec, layout.state, f"{folder.root}: {layout.state_key}") if layout.state else None
        self.action = RowReader(spec, layout.action, f"{folder.root}: {layout.action_key}")
        for key in (layout.state_key, layout.action_key):
            if key not in folder.info.features:
                raise DataError(
                    f"has no feature {key!r}", where=f"{folder.root}/meta/info.json", allowed=folder.info.features
                )
        self.cameras, self.absent = self._find_cameras()

    def declaration(self, provider: Provider) -> DatasetDeclaration:
        """Declare what this recording becomes."""
        arms = self.action.has_arms
        notes = [f"{feature} is declared but has no pictures" for feature in self.absent]
        return declare(
            self.spec,
            provider,
            fps=self.folder.info.fps,
            action_source=self.layout.action_source,
            lead_s=self.layout.lead_s,
            has_state=self.state is not None,
            cameras=tuple(self._stream(feature, name) for feature, name in self.cameras.items()),
            raw=("arm_action", "arm_state") if arms and self.state else ("arm_action",) if arms else (),
            importer=LeRobotImporter.name,
            source=f"{self.folder.root.name} (robot_type {self.folder.info.robot_type})",
            assumptions=(*self.layout.assumptions, *notes),
            licence=self.options.licence,
        )

    def episode(self, info: EpisodeInfo) -> Episode:
        """Read one episode.

        Raises:
            DataError: a file is missing or truncated, or holds what it should not.
        """
        table = LeRobotTable(self.folder.data_file(info.episode_index))
        if table.rows != info.length:
            what = f"has {table.rows} rows, meta/episodes.jsonl says {info.length}: truncated?"
            raise DataError(what, where=str(table.path))
        time_ns = nanoseconds(table.scalars("timestamp"), f"{table.path}:timestamp")
        check_times(time_ns, f"{table.path}:timestamp")
        action = self.action.read(table.numbers(self.layout.action_key))
        state = self.state.read(table.numbers(self.layout.state_key)) if self.state else None
        spans = self._language(table)
        return Episode(
            key=_key(self.folder, info),
            time_ns=time_ns,
            action=action.rows,
            valid=action.valid,
            state=state.rows if state else None,
            state_valid=state.valid if state else None,
            raw=_raw(action, state),
            images={
                name: self._images(feature, info.episode_index, table, time_ns)
                for feature, name in self.cameras.items()
            },
            language=spans,
            labels={"task": spans[0].text} if spans else {},
        )

    def _find_cameras(self) -> tuple[dict[str, str], list[str]]:
        """Picture features by our name of the camera, and those that no episode has any picture of."""
        if self.options.skip_images:
            return {}, []
        found: dict[str, str] = {}
        absent: list[str] = []
        for feature in self.folder.info.pictures:
            if feature in self.layout.cameras or self._has_pictures(feature):
                found[feature] = self._camera_name(feature, found)
            else:
                absent.append(feature)
        return found, absent

    def _camera_name(self, feature: str, taken: dict[str, str]) -> str:
        name = self.layout.cameras.get(feature, feature.rpartition(".")[2])
        if name in taken.values():
            raise DataError(
                f"two features would be camera {name!r}",
                where=f"{self.folder.root}/meta/info.json:features.{feature}",
                hint="name them in the embodiment's [[recordings]]: docs/importers.md",
            )
        return name

    def _has_pictures(self, feature: str) -> bool:
        if self.folder.info.features[feature].dtype == "image":
            return True
        return any(self.folder.video_file(e.episode_index, feature).is_file() for e in self.folder.episodes)

    def _stream(self, feature: str, name: str) -> CameraStream:
        mount = next((camera.mount for camera in self.spec.cameras if camera.name == name), "unknown")
        return camera_stream(name, self._native_size(feature), self.options.image_size, mount)

    def _native_size(self, feature: str) -> Size:
        """Size of the first picture that can be read; the size in info.json is not always true."""
        complaint = DataError(f"no episode has a picture of {feature}", where=str(self.folder.root))
        for number, episode in enumerate(self.folder.episodes):
            try:
                if self.folder.info.features[feature].dtype == "video":
                    return video_size(self.folder.video_file(episode.episode_index, feature), EXTRA)
                path = self.folder.data_file(episode.episode_index)
                return image_size(LeRobotTable(path).pictures(feature)[0], f"{path}:{feature}")
            except DataError as error:
                complaint = error if number == 0 else complaint
        raise complaint

    def _images(self, feature: str, episode: int, table: LeRobotTable, time_ns: NDArray[np.int64]) -> ImageStream:
        size = self.options.image_size
        if self.folder.info.features[feature].dtype == "video":
            path = self.folder.video_file(episode, feature)
            jpegs = video_jpegs(path, EXTRA, size)
        else:
            path = table.path
            jpegs = [as_jpeg(data, size, f"{path}:{feature}") for data in table.pictures(feature)]
        if len(jpegs) != len(time_ns):
            raise DataError(f"has {len(jpegs)} frames for {len(time_ns)} rows: truncated?", where=str(path))
        return ImageStream(jpegs, time_ns)

    def _language(self, table: LeRobotTable) -> list[LanguageSpan]:
        """One caption for every stretch of rows with the same task."""
        if "task_index" not in self.folder.info.features:
            return []
        index = table.scalars("task_index")
        starts = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), table.rows]
        spans = []
        for start, stop in pairwise(starts):
            if index[start] not in self.folder.tasks:
                raise DataError(f"task_index {index[start]:g} is not in meta/tasks.jsonl", where=str(table.path))
            spans.append(LanguageSpan(self.folder.tasks[index[start]], start, stop))
        return spans


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


def _key(folder: LeRobotFolder, episode: EpisodeInfo) -> str:
    """Key of an episode; a missing file is named, and complained of when it is read."""
    file = folder.data_file(episode.episode_index)
    name = f"{folder.root.resolve().name}/{file.stem}"
    return source_key(file, name) if file.is_file() else name


def _raw(action: RobotRows, state: RobotRows | None) -> dict[str, NDArray[np.float32]]:
    arms = {"arm_action": action.arms, "arm_state": state.arms if state else None}
    return {name: values for name, values in arms.items() if values is not None}
