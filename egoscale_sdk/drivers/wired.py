"""A driver of any embodiment, over devices that speak the spec's wire tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.drivers.device import Device
from egoscale_sdk.drivers.line import lines_of
from egoscale_sdk.errors import SafetyError, SpecError
from egoscale_sdk.interfaces import Driver, RobotCommand, RobotState, Sensor, check_command
from egoscale_sdk.specs import SIDES, EmbodimentSpec, Side

if TYPE_CHECKING:
    from egoscale_sdk.kinematics import SpecEmbodiment

InverseKinematics = Callable[[Side, NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


class WiredDriver(Driver):
    """Converts between the spec and the wire, checks every command, and opens and closes everything together.

    A hand on a commanded wrist has nothing that measures the wrist: it is where it was last commanded, at first at
    the origin of the base frame. With ``action.wrist = "arm_fk"`` the wrists come from the arms' joints by forward
    kinematics, and go to them by ``inverse_kinematics``.

    Args:
        spec: The embodiment.
        devices: Each device by its name in the spec's wire tables. The sides are those whose hand has a device.
        cameras: An unopened `Sensor` for each camera, by its name in the spec.
        inverse_kinematics: From a side, a wrist pose ``T_base_wrist (4, 4)`` and the measured arm joints ``(n,)`` to
            arm joints ``(n,)``; needed where wrists are moved by arms.

    Raises:
        SpecError: a device has no wire table, a joint has no device or two, or inverse kinematics are missing.
    """

    def __init__(
        self,
        spec: EmbodimentSpec,
        devices: Mapping[str, Device],
        *,
        cameras: Mapping[str, Sensor] | None = None,
        inverse_kinematics: InverseKinematics | None = None,
    ) -> None:
        self.spec = spec
        self._lines = lines_of(spec, devices)
        parts: set[str] = {line.wire.part for line in self._lines}
        self.sides = tuple(side for side in SIDES if f"{side}_hand" in parts)
        self._cameras, self._inverse_kinematics = dict(cameras or {}), inverse_kinematics
        self._has_arms = spec.action.wrist == "arm_fk"
        self._wrists = {side: np.eye(4) for side in self.sides}
        self._measured: dict[str, NDArray[np.float64]] = {}
        self._body: SpecEmbodiment | None = None
        self._connection: ExitStack | None = None
        self._check_parts(parts)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras that were given."""
        return tuple(self._cameras)

    def connect(self) -> None:
        """Open every device and camera; if one fails, the others are closed again.

        Raises:
            SafetyError: it is connected already.
        """
        if self._connection is not None:
            raise SafetyError("is connected already", where=self._name, hint="call stop() first")
        self._measured = {}
        with ExitStack() as stack:
            opened: list[Device | Sensor] = [*(line.device for line in self._lines), *self._cameras.values()]
            for item in opened:
                stack.callback(item.close)
                item.open()
            for line in self._lines:
                stack.callback(line.hold)
            self._connection = stack.pop_all()

    def read(self) -> RobotState:
        """Return the measured state; its time is that of the oldest reading, pictures are read when looked at.

        Raises:
            SafetyError: it is not connected, or a device gave values that are not finite or not as many as its wire's.
        """
        time_ns, parts = self._measure()
        hands = {side: parts[f"{side}_hand"] for side in self.sides}
        return RobotState(time_ns, self._measured_wrists(parts), hands, _Pictures(self._cameras))

    def write(self, command: RobotCommand) -> None:
        """Send targets to every device; a command that is refused moves nothing.

        Raises:
            SafetyError: it is not connected; a value is missing, not finite, beyond its joint's limits (by more than
                rounding) or beyond its device's range.
        """
        self._require_connection()
        check_command(command, self.spec, self.sides)
        targets = self._arm_targets(command) | {f"{side}_hand": command.hands[side] for side in self.sides}
        natives = [line.encode(targets[line.wire.part]) for line in self._lines]
        for line, native in zip(self._lines, natives, strict=True):
            line.device.write(native)
        self._wrists = {side: np.array(command.wrists[side], np.float64) for side in self.sides}

    def stop(self) -> None:
        """Hold every device where it is, then close all; what fails meanwhile is raised when all are closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _measure(self) -> tuple[int, dict[str, NDArray[np.float64]]]:
        """Read every device: the oldest time stamp, and the joint vectors of the parts."""
        self._require_connection()
        readings = [line.read() for line in self._lines]
        parts: dict[str, NDArray[np.float64]] = {line.wire.part: np.zeros(len(line.joints)) for line in self._lines}
        for line, (_, q) in zip(self._lines, readings, strict=True):
            parts[line.wire.part][line.columns] = q
        self._measured = parts
        return min(time_ns for time_ns, _ in readings), parts

    def _measured_wrists(self, parts: Mapping[str, NDArray[np.float64]]) -> dict[Side, NDArray[np.float64]]:
        if not self._has_arms:
            return {side: wrist.copy() for side, wrist in self._wrists.items()}
        from egoscale_sdk.kinematics import SpecEmbodiment, wrists_of_arms

        self._body = self._body or SpecEmbodiment(self.spec)
        return wrists_of_arms(self._body, {side: parts[f"{side}_arm"] for side in self.sides})

    def _arm_targets(self, command: RobotCommand) -> dict[str, NDArray[np.float64]]:
        if self._inverse_kinematics is None or not self._has_arms:
            return {}
        parts = self._measured or self._measure()[1]  # what the loop has just read is new enough to start from
        solve = self._inverse_kinematics
        return {f"{side}_arm": solve(side, command.wrists[side], parts[f"{side}_arm"]) for side in self.sides}

    def _check_parts(self, parts: set[str]) -> None:
        arms = {f"{side}_arm" for side in self.sides} if self._has_arms else set()
        hands = {f"{side}_hand" for side in self.sides}
        if not hands or parts != hands | arms:
            wanted = sorted(hands | arms) or ["left_hand", "right_hand"]
            raise SpecError(f"devices for {sorted(parts)} do not make a robot", where=self._name, allowed=wanted)
        if arms and self._inverse_kinematics is None:
            raise SpecError("moves its wrists by arms: give inverse_kinematics", where=self._name)

    def _require_connection(self) -> None:
        if self._connection is None:
            raise SafetyError("is not connected", where=self._name, hint="call connect() first")

    @property
    def _name(self) -> str:
        return f"{type(self).__name__} of {self.spec.id}"


class _Pictures(Mapping[str, NDArray[np.uint8]]):
    """The newest picture of each camera at the moment it is first looked at."""

    def __init__(self, cameras: Mapping[str, Sensor]) -> None:
        self._sensors = cameras
        self._seen: dict[str, NDArray[np.uint8]] = {}

    def __getitem__(self, camera: str) -> NDArray[np.uint8]:
        if camera not in self._seen:
            self._seen[camera] = self._sensors[camera].read().data
        return self._seen[camera]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sensors)

    def __len__(self) -> int:
        return len(self._sensors)
