"""``session.toml``: the devices of a recording session, their clocks and mountings, and the takes in it.

`docs/mocap_session.md` documents every field.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from egoscale_sdk.data.importers.keypoint_table import Row3
from egoscale_sdk.data.importers.sources import existing
from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.errors import DataError, did_you_mean
from egoscale_sdk.specs import Side, Strict
from egoscale_sdk.specs.base import Name, PoseSpec

NAME = "session.toml"
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
Length = Literal["m", "cm", "mm"]
Seconds = Annotated[float, Field(gt=0, le=3600)]
TakeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$", max_length=128)]
"""Unlike other names it may begin with a digit: takes are numbered."""
Target = Literal["left_wrist", "right_wrist", "head"]
_MAX_TAKES = 10_000
_HEAD_BYTES = 2**14


class ClockSpec(Strict):
    """A device's clock: ``t_master = offset_s + (1 + drift_ppm * 1e-6) * t``, given or found from sync events."""

    name: Name
    offset_s: float = 0.0
    drift_ppm: float = Field(default=0.0, ge=-1e5, le=1e5)
    sync: bool = False


class TableSpec(Strict):
    """A file of stamped rows."""

    file: str
    clock: Name | None = None
    max_gap_s: Seconds = 0.1


class TrackerSpec(TableSpec):
    """Poses of a tracker in the session's world.

    ``T_tracker_target`` is the mounting: the pose of the canonical wrist frame, or of the head camera's optical
    frame, in the tracker's own axes. ``role``: ``commanded`` are the wrist targets that a robot was given.
    """

    target: Target
    unit: Length = "m"
    T_tracker_target: PoseSpec
    role: Literal["measured", "commanded"] = "measured"


class GloveSpec(TableSpec):
    """Joint transforms of one hand, in the glove's own axes."""

    side: Side
    layout: str = "manus"
    unit: Length = "m"


class JointsSpec(TableSpec):
    """Joint values of a robot, one column per joint of the embodiment by its name."""

    role: Literal["measured", "commanded"]
    unit: Literal["rad", "deg"] = "rad"


class CameraSpec(Strict):
    """A camera: a video, or a folder of JPEG files in the order of their names; ``times`` has a stamp for each."""

    name: Name
    mount: Literal["head", "left_wrist", "right_wrist", "torso", "world"]
    video: str | None = None
    images: str | None = None
    times: str
    clock: Name | None = None
    model: str = "pinhole"
    intrinsics: tuple[Row3, Row3, Row3] | None = None
    distortion: tuple[float, ...] = ()
    height_px: int | None = Field(default=None, gt=0)
    width_px: int | None = Field(default=None, gt=0)
    T_mount_camera: PoseSpec | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.video is None) == (self.images is None):
            raise ValueError("give either video or images")
        return self


class CaptionSpec(Strict):
    """A caption from ``start_s`` to ``stop_s`` of the master clock."""

    text: str
    start_s: float
    stop_s: float
    kind: str = "task"


class TakeSpec(Strict):
    """A stretch of the session that is one episode; times are of the master clock."""

    name: TakeName
    start_s: float | None = None
    stop_s: float | None = None
    task: str | None = None
    labels: dict[str, JsonValue] = {}
    captions: tuple[CaptionSpec, ...] = ()


class SessionSpec(Strict):
    """``session.toml``."""

    format: Literal["egoscale-mocap/1"]
    kind: Literal["human", "robot"]
    embodiment: str = "human/hands"
    rate_hz: float = Field(default=30.0, gt=0, le=1000)
    master: Name
    clocks: tuple[ClockSpec, ...] = ()
    sync: str | None = None
    task: str = ""
    labels: dict[str, JsonValue] = {}
    lead_s: float = 0.0
    trackers: tuple[TrackerSpec, ...] = ()
    gloves: tuple[GloveSpec, ...] = ()
    joints: tuple[JointsSpec, ...] = ()
    cameras: tuple[CameraSpec, ...] = ()
    takes: tuple[TakeSpec, ...] = Field(default=(TakeSpec(name="take"),), min_length=1, max_length=_MAX_TAKES)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {self.master, *(clock.name for clock in self.clocks)}
        devices: tuple[TableSpec | CameraSpec, ...] = (*self.trackers, *self.gloves, *self.joints, *self.cameras)
        for device in devices:
            if device.clock is not None and device.clock not in known:
                hint = did_you_mean(device.clock, known)
                raise ValueError(f"clock {device.clock!r} is not among {sorted(known)}; {hint}".rstrip("; "))
        for what, names in self._names().items():
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"two {what} are {twice!r}")
        if any(clock.sync for clock in self.clocks) and self.sync is None:
            raise ValueError("a clock has sync = true, but there is no table of events: sync = 'sync.csv'")
        self._check_kind()
        return self

    def _names(self) -> dict[str, list[str]]:
        return {
            "clocks": [self.master, *(clock.name for clock in self.clocks)],
            "trackers": [f"{tracker.role} {tracker.target}" for tracker in self.trackers],
            "gloves": [glove.side for glove in self.gloves],
            "tables of joints": [table.role for table in self.joints],
            "cameras": [camera.name for camera in self.cameras],
            "takes": [take.name for take in self.takes],
        }

    def _check_kind(self) -> None:
        if self.kind == "human":
            if self.joints or any(tracker.role == "commanded" for tracker in self.trackers):
                raise ValueError("joints and commanded trackers are of robots; kind is 'human'")
            if not self.gloves and not self.trackers:
                raise ValueError("has neither gloves nor trackers")
        elif {table.role for table in self.joints} != {"measured", "commanded"}:
            raise ValueError("a robot needs two tables of joints, role = 'measured' and role = 'commanded'")

    def tracker(self, target: str, role: str = "measured") -> TrackerSpec | None:
        """Return the tracker of a target, or None."""
        found = (tracker for tracker in self.trackers if (tracker.target, tracker.role) == (target, role))
        return next(found, None)

    def glove(self, side: str) -> GloveSpec | None:
        """Return the glove of a side, or None."""
        return next((glove for glove in self.gloves if glove.side == side), None)


@dataclass(frozen=True)
class Session:
    """A session's folder with what its ``session.toml`` says; small, whatever the length of the recording."""

    folder: Path
    spec: SessionSpec

    @property
    def where(self) -> str:
        """The file, for messages."""
        return str(self.folder / NAME)

    def path(self, name: str, field: str) -> Path:
        """Return a file or folder of the session.

        Raises:
            DataError: it is missing, or outside the session's folder.
        """
        path = self.folder / name
        if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(self.folder)):
            raise DataError(f"path {name!r} leaves the folder", where=f"{self.where}:{field}")
        if not path.exists():
            raise DataError(f"{name!r} is missing", where=f"{self.where}:{field}")
        return path

    def digest(self) -> str:
        """Digest of ``session.toml`` and of the sizes and beginnings of the files that it names."""
        spec = self.spec
        tables = (*spec.trackers, *spec.gloves, *spec.joints)
        names = [table.file for table in tables] + [camera.video or camera.times for camera in spec.cameras]
        parts = [(self.folder / NAME).read_bytes(), *(_beginning(self.folder / name) for name in names)]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:12]

    def labels(self, take: TakeSpec) -> dict[str, Any]:
        """Labels of a take: its own, and those of the session."""
        task = self.task(take)
        return {**self.spec.labels, **take.labels, **({"task": task} if task else {})}

    def task(self, take: TakeSpec) -> str:
        """Return the instruction of a take."""
        return self.spec.task if take.task is None else take.task


def find_sessions(source: str) -> list[Session]:
    """Read every session at or below ``source``, sorted by folder.

    Raises:
        DataError: there is none, or a ``session.toml`` is malformed; names file:field.
    """
    path = existing(source)
    files = [path] if path.is_file() else sorted(path.rglob(NAME))
    if not files:
        raise DataError(f"holds no {NAME}", where=source, hint="the layout of a session: docs/mocap_session.md")
    return [Session(file.parent, _read(file)) for file in files]


def _read(file: Path) -> SessionSpec:
    try:
        return SessionSpec.model_validate(tomllib.loads(file.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(first["msg"].removeprefix("Value error, "), where=f"{file}:{field}".rstrip(":")) from None
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise DataError(f"is no readable TOML: {one_line(error)}", where=str(file)) from None


def _beginning(path: Path) -> bytes:
    """Size and first bytes of a file; nothing of one that is missing, which is complained of when it is read."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return path.stat().st_size.to_bytes(8, "big") + file.read(_HEAD_BYTES)
