"""A device without hardware: its values move towards their targets as fast as the spec lets its joints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.drivers.device import Device
from egoscale_sdk.drivers.line import part_joints, wire_of
from egoscale_sdk.errors import SafetyError
from egoscale_sdk.interfaces import Sample
from egoscale_sdk.specs import EmbodimentSpec

_AT_ONCE = 1e6  # rad/s or m/s of a joint whose speed limit is not known


class SimulatedDevice(Device):
    """Keeps the order, units and range of a wire table, and the speed limits of the joints behind it.

    It starts in the open pose (an arm at zero, or the nearest limit), and stays where it is while it is closed.

    Args:
        spec: The embodiment.
        device: Which of its wires, by the device's name.
        clock: Gives the time in nanoseconds, e.g. ``time.monotonic_ns``. Without one, every `write` takes one control
            period: then nothing depends on how fast the computer is.
    """

    def __init__(self, spec: EmbodimentSpec, device: str, *, clock: Callable[[], int] | None = None) -> None:
        self._wire = wire_of(spec, device)
        joints, neutral = part_joints(spec, self._wire.part)
        columns = self._wire.columns([joint.name for joint in joints])
        self._speed = np.array([joints[n].velocity or _AT_ONCE for n in columns])
        self._q = self._target = self._reachable(self._wire.encode(neutral[columns]))
        self._period_ns = round(1e9 / spec.control.rate_hz)
        self._clock = clock
        self._time_ns = 0 if clock is None else clock()
        self._is_open = False

    def open(self) -> None:
        """Be ready."""
        self._is_open = True

    def read(self) -> Sample:
        """Return where it is now."""
        self._move_until(self._now_ns())
        return Sample(self._time_ns, self._wire.encode(self._q))

    def write(self, native: NDArray[np.float64]) -> None:
        """Set targets; those beyond the device's range are taken to its end."""
        self._move_until(self._now_ns())
        self._target = self._reachable(native)
        if self._clock is None:
            self._move_until(self._time_ns + self._period_ns)

    def close(self) -> None:
        """Stop moving."""
        self._target, self._is_open = self._q, False

    def _reachable(self, native: NDArray[np.float64]) -> NDArray[np.float64]:
        """Joint values of native ones, within the device's range."""
        return self._wire.decode(np.clip(native, *self._wire.native_range))

    def _now_ns(self) -> int:
        if not self._is_open:
            raise SafetyError("is not open", where=f"device {self._wire.device}")
        return self._time_ns if self._clock is None else self._clock()

    def _move_until(self, time_ns: int) -> None:
        reach = self._speed * 1e-9 * (time_ns - self._time_ns)
        self._q = self._q + np.clip(self._target - self._q, -reach, reach)
        self._time_ns = time_ns


def simulated_devices(spec: EmbodimentSpec, *, clock: Callable[[], int] | None = None) -> dict[str, SimulatedDevice]:
    """Return a simulated device for every wire table of a spec, by the device's name; see `SimulatedDevice`."""
    return {wire.device: SimulatedDevice(spec, wire.device, clock=clock) for wire in spec.wires}
