"""The metadata of a LeRobot dataset, read with care: other people's JSON and path templates."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from egoscale_sdk.data.importers.sources import existing
from egoscale_sdk.errors import DataError

VERSIONS = ("v2.0", "v2.1", "v3.0")
_FIELD = re.compile(r"\{(\w+)(?::0?(\d{1,2})d)?\}")


class Lenient(BaseModel):
    """What a file of others says; fields that we do not use are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


_Model = TypeVar("_Model", bound=BaseModel)


class Feature(Lenient):
    """A column: ``video`` and ``image`` are pictures, the rest are numbers of ``shape`` per row."""

    dtype: str
    shape: tuple[int, ...] = ()


class Info(Lenient):
    """``meta/info.json``, as far as it is used."""

    codebase_version: str
    robot_type: str | None = None
    fps: float = Field(gt=0, allow_inf_nan=False)
    chunks_size: int = Field(gt=0, default=1000)
    data_path: str
    video_path: str | None = None
    features: dict[str, Feature]

    @property
    def pictures(self) -> tuple[str, ...]:
        """Names of the features that are pictures."""
        return tuple(name for name, feature in self.features.items() if feature.dtype in ("video", "image"))

    @property
    def videos(self) -> tuple[str, ...]:
        """Names of the features that are videos."""
        return tuple(name for name, feature in self.features.items() if feature.dtype == "video")


@dataclass(frozen=True)
class Clip:
    """A video, or from ``start_s`` on what of it belongs to an episode."""

    path: Path
    start_s: float | None = None


@dataclass(frozen=True)
class LeRobotEpisode:
    """Where an episode is.

    Attributes:
        index: Its number.
        length: Rows that the metadata promise.
        data: Parquet file with its rows.
        rows: Which rows of that file; None: all.
        clips: Video of each camera that has one.
        texts: What the metadata tell of it beyond LeRobot's own.
        digest: Of what is in it, so that a key stays the same while its file grows; None: the file's.
    """

    index: int
    length: int
    data: Path
    rows: tuple[int, int] | None = None
    clips: Mapping[str, Clip] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    digest: str | None = None


class _EpisodeLine(Lenient):
    """One line of ``meta/episodes.jsonl``."""

    episode_index: int = Field(ge=0)
    length: int = Field(gt=0)


class _Task(Lenient):
    task_index: int
    task: str


@dataclass(frozen=True)
class LeRobotFolder:
    """A LeRobot dataset on disk."""

    root: Path
    info: Info
    episodes: tuple[LeRobotEpisode, ...]
    tasks: dict[int, str]


def open_lerobot(source: str) -> LeRobotFolder:
    """Read the metadata of a LeRobot dataset, or of the only one below ``source``.

    Raises:
        DataError: there is none or more than one, a file is missing or malformed, or its version is not read.
    """
    root, info = lerobot_info(source)
    if info.codebase_version == "v3.0":
        from egoscale_sdk.data.importers.lerobot_v3 import read_episodes, read_tasks

        episodes, tasks = read_episodes(root, info), read_tasks(root)
    else:
        lines = parse_lines(_EpisodeLine, root / "meta" / "episodes.jsonl")
        episodes = tuple(_own_file(root, info, line) for line in lines)
        tasks = {line.task_index: line.task for line in parse_lines(_Task, root / "meta" / "tasks.jsonl")}
    if not episodes:
        raise DataError("lists no episodes", where=f"{root}/meta")
    return LeRobotFolder(root, info, episodes, tasks)


def lerobot_info(source: str) -> tuple[Path, Info]:
    """Find the folder of a LeRobot dataset and read its ``meta/info.json``.

    Raises:
        DataError: there is none or more than one, the file is malformed, or its version is not read.
    """
    root = _find_root(existing(source))
    info = parse_json(Info, read_text(root / "meta" / "info.json"), f"{root}/meta/info.json")
    if info.codebase_version not in VERSIONS:
        raise DataError(
            f"LeRobot version {info.codebase_version!r} is not read",
            where=f"{root}/meta/info.json:codebase_version",
            allowed=VERSIONS,
            hint="convert it with LeRobot's own tools",
        )
    return root, info


def fill_path(root: Path, template: str, values: Mapping[str, Any]) -> Path:
    """Fill in a path template of ``meta/info.json``.

    Raises:
        DataError: it asks for a value that there is not, or leaves the folder.
    """
    path = root / _FIELD.sub(lambda match: _filled(match, values), template)
    if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root)):  # links are the user's own
        raise DataError(f"path {template!r} leaves the folder", where=f"{root}/meta/info.json")
    return path


def video_template(root: Path, info: Info) -> str:
    """Return the path template of videos.

    Raises:
        DataError: there is none although a feature is a video.
    """
    if info.video_path is None:
        raise DataError("is missing although a feature is a video", where=f"{root}/meta/info.json:video_path")
    return info.video_path


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        DataError: it is missing or no text.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise DataError("file is missing or unreadable", where=str(path)) from None


def parse_lines(model: type[_Model], path: Path) -> list[_Model]:
    """Read one JSON value per line."""
    lines = read_text(path).splitlines()
    return [parse_json(model, line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]


def parse_json(model: type[_Model], text: str, where: str) -> _Model:
    """Read a JSON text as ``model``.

    Raises:
        DataError: it is no JSON, or not what is expected; names the field.
    """
    try:
        return model.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise DataError(f"is not valid JSON, perhaps truncated: {error.msg}", where=where) from None
    except ValidationError as error:
        first = error.errors()[0]
        field_name = ".".join(str(part) for part in first["loc"])
        raise DataError(first["msg"], where=f"{where}:{field_name}") from None


def _own_file(root: Path, info: Info, line: _EpisodeLine) -> LeRobotEpisode:
    """Place an episode of version 2, which has files of its own."""
    number = line.episode_index
    values = {"episode_chunk": number // info.chunks_size, "episode_index": number}
    clips = {
        name: Clip(fill_path(root, video_template(root, info), values | {"video_key": name})) for name in info.videos
    }
    return LeRobotEpisode(number, line.length, fill_path(root, info.data_path, values), clips=clips)


def _find_root(path: Path) -> Path:
    if (path / "meta" / "info.json").is_file():
        return path
    found = sorted(file.parent.parent for file in path.rglob("meta/info.json")) if path.is_dir() else []
    if len(found) != 1:
        what = f"holds {len(found)} LeRobot datasets" if found else "is no LeRobot dataset (no meta/info.json)"
        raise DataError(what, where=str(path), allowed=[str(root) for root in found])
    return found[0]


def _filled(match: re.Match[str], values: Mapping[str, Any]) -> str:
    if match[1] not in values:
        raise DataError(f"path template has {match[0]!r}", where="meta/info.json", allowed=values)
    value = values[match[1]]
    return f"{value:0{int(match[2])}d}" if match[2] and isinstance(value, int) else str(value)
