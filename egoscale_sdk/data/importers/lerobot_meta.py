"""The metadata of a LeRobot dataset, v2.0 and v2.1, read with care: other people's JSON and path templates."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from egoscale_sdk.data.importers.sources import existing
from egoscale_sdk.errors import DataError

VERSIONS = ("v2.0", "v2.1")
_FIELD = re.compile(r"\{(\w+)(?::0?(\d{1,2})d)?\}")


class _Lenient(BaseModel):
    """What a file of others says; fields that we do not use are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


_Model = TypeVar("_Model", bound=_Lenient)


class Feature(_Lenient):
    """A column: ``video`` and ``image`` are pictures, the rest are numbers of ``shape`` per row."""

    dtype: str
    shape: tuple[int, ...] = ()


class Info(_Lenient):
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


class EpisodeInfo(_Lenient):
    """One line of ``meta/episodes.jsonl``."""

    episode_index: int = Field(ge=0)
    length: int = Field(gt=0)


class _Task(_Lenient):
    task_index: int
    task: str


@dataclass(frozen=True)
class LeRobotFolder:
    """A LeRobot dataset on disk."""

    root: Path
    info: Info
    episodes: tuple[EpisodeInfo, ...]
    tasks: dict[int, str]

    def data_file(self, episode: int) -> Path:
        """Path of an episode's parquet file."""
        return self._path(self.info.data_path, episode, "")

    def video_file(self, episode: int, feature: str) -> Path:
        """Path of an episode's video of one camera."""
        if self.info.video_path is None:
            raise DataError("is missing although a feature is a video", where=f"{self.root}/meta/info.json:video_path")
        return self._path(self.info.video_path, episode, feature)

    def _path(self, template: str, episode: int, feature: str) -> Path:
        values: dict[str, Any] = {
            "episode_chunk": episode // self.info.chunks_size,
            "episode_index": episode,
            "video_key": feature,
        }
        path = self.root / _FIELD.sub(lambda match: _filled(match, values), template)
        if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(self.root)):  # links are the user's own
            raise DataError(f"path {template!r} leaves the folder", where=f"{self.root}/meta/info.json")
        return path


def open_lerobot(source: str) -> LeRobotFolder:
    """Read the metadata of a LeRobot dataset, or of the only one below ``source``.

    Raises:
        DataError: there is none or more than one, a file is missing or malformed, or its version is not read.
    """
    root = _find_root(existing(source))
    info = _parse(Info, _read(root / "meta" / "info.json"), f"{root}/meta/info.json")
    if info.codebase_version not in VERSIONS:
        raise DataError(
            f"LeRobot version {info.codebase_version!r} is not read",
            where=f"{root}/meta/info.json:codebase_version",
            allowed=VERSIONS,
            hint="convert it with LeRobot's own tools",
        )
    episodes = tuple(_parse_lines(EpisodeInfo, root / "meta" / "episodes.jsonl"))
    if not episodes:
        raise DataError("lists no episodes", where=f"{root}/meta/episodes.jsonl")
    tasks = {line.task_index: line.task for line in _parse_lines(_Task, root / "meta" / "tasks.jsonl")}
    return LeRobotFolder(root, info, episodes, tasks)


def _find_root(path: Path) -> Path:
    if (path / "meta" / "info.json").is_file():
        return path
    found = sorted(file.parent.parent for file in path.rglob("meta/info.json")) if path.is_dir() else []
    if len(found) != 1:
        what = f"holds {len(found)} LeRobot datasets" if found else "is no LeRobot dataset (no meta/info.json)"
        raise DataError(what, where=str(path), allowed=[str(root) for root in found])
    return found[0]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise DataError("file is missing or unreadable", where=str(path)) from None


def _parse_lines(model: type[_Model], path: Path) -> list[_Model]:
    lines = _read(path).splitlines()
    return [_parse(model, line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]


def _parse(model: type[_Model], text: str, where: str) -> _Model:
    try:
        return model.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise DataError(f"is not valid JSON, perhaps truncated: {error.msg}", where=where) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(first["msg"], where=f"{where}:{field}") from None


def _filled(match: re.Match[str], values: dict[str, Any]) -> str:
    if match[1] not in values:
        raise DataError(f"path template has {match[0]!r}", where="meta/info.json", allowed=values)
    value = values[match[1]]
    return f"{value:0{int(match[2])}d}" if match[2] and isinstance(value, int) else str(value)
