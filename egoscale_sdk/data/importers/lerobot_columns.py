"""What the columns of a LeRobot dataset are: what an embodiment's ``recordings`` say, or our own export's file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from egoscale_sdk.data.importers.lerobot_meta import Info, LeRobotEpisode
from egoscale_sdk.data.importers.lerobot_table import LeRobotTable
from egoscale_sdk.data.importers.robot_rows import RobotRows, RowReader
from egoscale_sdk.data.lerobot_own import (
    ACTION,
    ACTION_VALID,
    CALIBRATION,
    CAPTIONS,
    CONFIDENCE,
    LABELS,
    MAP_ID,
    RAW_PREFIX,
    SEEN,
    STATE,
    STATE_VALID,
    OwnMeta,
    picture_feature,
)
from egoscale_sdk.errors import DataError, DeclarationError
from egoscale_sdk.interfaces import LanguageSpan
from egoscale_sdk.specs import EmbodimentSpec, RecordingLayout, RowLayout, action_fingerprint

_CAPTIONS = TypeAdapter(list[tuple[str, int, int, str]])
_RECORDS = TypeAdapter(dict[str, Any])


class Columns(Protocol):
    """The meaning of the columns."""

    cameras: Mapping[str, str]
    """Our name of the camera for features that have one."""
    mounts: Mapping[str, str]
    """Where a camera is, by our name of it."""

    def declares(self) -> dict[str, Any]:
        """Fields of the declaration."""

    def read(self, table: LeRobotTable) -> dict[str, Any]:
        """Fields of an `Episode` that stand in its rows."""

    def seen(self, table: LeRobotTable, camera: str) -> NDArray[np.bool_]:
        """Which rows ``(T,)`` have a picture of a camera."""

    def told(self, episode: LeRobotEpisode) -> dict[str, Any]:
        """Fields of an `Episode` that stand in the metadata."""

    def calibration(self, episode: LeRobotEpisode, camera: str) -> dict[str, Any]:
        """Calibration of a camera, as far as it is known."""


class SpecColumns:
    """Columns as the embodiment's `RecordingLayout` says."""

    def __init__(self, info: Info, spec: EmbodimentSpec, layout: RecordingLayout, where: str) -> None:
        self.layout = layout
        self.cameras: Mapping[str, str] = layout.cameras
        self.mounts: Mapping[str, str] = {camera.name: camera.mount for camera in spec.cameras}
        self._state = RowReader(spec, layout.state, f"{where}: {layout.state_key}") if layout.state else None
        self._action = RowReader(spec, layout.action, f"{where}: {layout.action_key}")
        _need_features(info, (layout.state_key, layout.action_key), where)

    def declares(self) -> dict[str, Any]:
        """Fields of the declaration."""
        arms = self._action.has_arms
        return {
            "action_source": self.layout.action_source,
            "lead_s": self.layout.lead_s,
            "has_state": self._state is not None,
            "raw": ("arm_action", "arm_state") if arms and self._state else ("arm_action",) if arms else (),
            "assumptions": self.layout.assumptions,
        }

    def read(self, table: LeRobotTable) -> dict[str, Any]:
        """Fields of an `Episode` that stand in its rows."""
        action = self._action.read(table.numbers(self.layout.action_key))
        state = self._state.read(table.numbers(self.layout.state_key)) if self._state else None
        return {
            "action": action.rows,
            "valid": action.valid,
            "state": state.rows if state else None,
            "state_valid": state.valid if state else None,
            "raw": _raw(action, state),
        }

    def seen(self, table: LeRobotTable, camera: str) -> NDArray[np.bool_]:
        """Every row has a picture."""
        return np.ones(table.rows, bool)

    def told(self, episode: LeRobotEpisode) -> dict[str, Any]:
        """Tell nothing."""
        return {}

    def calibration(self, episode: LeRobotEpisode, camera: str) -> dict[str, Any]:
        """Tell nothing."""
        return {}


class OwnColumns:
    """Columns of an export of ours: rows as they are stored in a dataset."""

    def __init__(self, info: Info, spec: EmbodimentSpec, own: OwnMeta, where: str) -> None:
        if own.action_fingerprint != action_fingerprint(spec):
            raise DeclarationError(
                f"was exported from actions of {own.embodiment} that mean something else than those of {spec.id} here",
                where=f"{where}:action_fingerprint",
                hint="install the plugin of that time, or name another with --embodiment ID",
            )
        self._own, self._layout, self._where = own, RowLayout.of(spec.hand_spaces), where
        self.cameras: Mapping[str, str] = {picture_feature(camera.name): camera.name for camera in own.cameras}
        self.mounts: Mapping[str, str] = {camera.name: camera.mount for camera in own.cameras}
        state = (STATE, STATE_VALID) if own.has_state else ()
        raw = (RAW_PREFIX + name for name in own.raw)
        _need_features(info, (ACTION, ACTION_VALID, CONFIDENCE, MAP_ID, *state, *raw), where)

    def declares(self) -> dict[str, Any]:
        """Fields of the declaration."""
        names = ("action_source", "lead_s", "has_state", "base_frame", "wrist_source", "assumptions")
        return {name: getattr(self._own, name) for name in names} | {"raw": tuple(self._own.raw)}

    def read(self, table: LeRobotTable) -> dict[str, Any]:
        """Fields of an `Episode` that stand in its rows."""
        groups = len(self._layout.groups)
        fields: dict[str, Any] = {
            "action": self._numbers(table, ACTION, (self._layout.dim,)),
            "valid": self._numbers(table, ACTION_VALID, (groups,)).astype(np.uint8),
            "conf": self._numbers(table, CONFIDENCE, (groups,)),
            "map_id": table.scalars(MAP_ID).astype(np.int32),
            "raw": {name: self._numbers(table, RAW_PREFIX + name, shape) for name, shape in self._own.raw.items()},
        }
        if self._own.has_state:
            fields["state"] = self._numbers(table, STATE, (self._layout.dim,))
            fields["state_valid"] = self._numbers(table, STATE_VALID, (groups,)).astype(np.uint8)
        return fields

    def seen(self, table: LeRobotTable, camera: str) -> NDArray[np.bool_]:
        """Which rows have a picture."""
        names = [stream.name for stream in self._own.cameras]
        return self._numbers(table, SEEN, (len(names),))[:, names.index(camera)] > 0

    def told(self, episode: LeRobotEpisode) -> dict[str, Any]:
        """Captions and labels."""
        captions = self._json(_CAPTIONS, episode, CAPTIONS, "[]")
        return {
            "language": [LanguageSpan(*caption) for caption in captions],
            "labels": self._json(_RECORDS, episode, LABELS, "{}"),
        }

    def calibration(self, episode: LeRobotEpisode, camera: str) -> dict[str, Any]:
        """Calibration as it was exported."""
        found = self._json(_RECORDS, episode, CALIBRATION, "{}").get(camera, {})
        return found if isinstance(found, dict) else {}

    def _numbers(self, table: LeRobotTable, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        values = table.numbers(name)
        if values.size != table.rows * int(np.prod(shape)):
            raise DataError(f"has shape {values.shape[1:]}, expected is {shape}", where=f"{table.path}:{name}")
        return values.reshape(table.rows, *shape).astype(np.float32)

    def _json(self, kind: TypeAdapter[Any], episode: LeRobotEpisode, name: str, default: str) -> Any:
        try:
            return kind.validate_python(json.loads(episode.texts.get(name, default)))
        except (ValueError, ValidationError):
            where = f"{self._where}: meta/episodes:{name} of episode {episode.index}"
            raise DataError("is not what an export writes", where=where) from None


def _need_features(info: Info, names: tuple[str, ...], where: str) -> None:
    for name in names:
        if name not in info.features:
            raise DataError(f"has no feature {name!r}", where=where, allowed=info.features)


def _raw(action: RobotRows, state: RobotRows | None) -> dict[str, NDArray[np.float32]]:
    arms = {"arm_action": action.arms, "arm_state": state.arms if state else None}
    return {name: values for name, values in arms.items() if values is not None}
