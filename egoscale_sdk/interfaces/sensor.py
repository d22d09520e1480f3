"""Sensors and drivers: the only two doors to hardware (or to its simulation)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.specs import EmbodimentSpec, Side
from egoscale_sdk.specs.sensors import CameraSpec, TactileSpec


@dataclass(frozen=True)
class Sample:
    """One reading: int64 nanoseconds on a monotonic clock, and data as the sensor's spec says."""

    time_ns: int
    data: NDArray[Any]


class Sensor(ABC):
    """A sensor whose spec is known before it is connected; ``__init__`` does no input or output."""

    spec: CameraSpec | TactileSpec

    @abstractmethod
    def open(self) -> None:
        """Connect; calling it twice is an error of the caller."""

    @abstractmethod
    def read(self) -> Sample:
        """Return the newest sample; blocks at most one period."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect; may be called at any time, any number of times."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class RobotState:
    """What a driver reads in one tick.

    Attributes:
        time_ns: Monotonic nanoseconds of the measurement.
        wrists: Measured canonical wrist poses in the spec's base frame, per present side, 4x4 in metres.
        hands: Measured hand vectors per side, in the order of the hand space.
        images: RGB uint8 ``(h, w, 3)`` per camera name; a driver may make them when they are first looked at.
    """

    time_ns: int
    wrists: dict[Side, NDArray[np.float64]]
    hands: dict[Side, NDArray[np.float64]]
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


@dataclass(frozen=True)
class RobotCommand:
    """What a driver is told in one tick: absolute targets, already checked against the limits."""

    wrists: dict[Side, NDArray[np.float64]]
    hands: dict[Side, NDArray[np.float64]]


class Driver(ABC):
    """A robot, a simulation or a replay behind one door.

    ``spec`` is known before connecting. ``sides`` are the hands that are really there.
    """

    spec: EmbodimentSpec
    sides: tuple[Side, ...]

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that are really there; by default all of the spec's."""
        return tuple(camera.name for camera in self.spec.cameras)

    @abstractmethod
    def connect(self) -> None:
        """Connect and make ready; may take seconds."""

    @abstractmethod
    def read(self) -> RobotState:
        """Return the newest measured state."""

    @abstractmethod
    def write(self, command: RobotCommand) -> None:
        """Send absolute targets for the next control period; returns when the period may begin."""

    @abstractmethod
    def stop(self) -> None:
        """Hold, then disconnect; may be called at any time, any number of times."""
