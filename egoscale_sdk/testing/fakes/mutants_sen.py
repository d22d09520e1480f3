"""One fault each, for the checks of the family SEN."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import numpy as np

from egoscale_sdk.interfaces import Sample, Sensor
from egoscale_sdk.specs import CameraSpec, TactileSpec
from egoscale_sdk.testing.fakes.devices import FakeSensor
from egoscale_sdk.testing.fakes.good import good, good_spec
from egoscale_sdk.testing.subject import Subject


class _OpensTooEarly(FakeSensor):
    def __init__(self, spec: CameraSpec | TactileSpec) -> None:
        super().__init__(spec)
        os.close(os.open(os.devnull, os.O_RDONLY))


class _LiesOnItsSide(FakeSensor):
    def read(self) -> Sample:
        sample = super().read()
        return Sample(sample.time_ns, np.swapaxes(sample.data, 0, 1))


class _CountsSeconds(FakeSensor):
    """Its stamps are whole seconds: many samples share one."""

    def read(self) -> Sample:
        sample = super().read()
        return Sample(sample.time_ns // 10**9, sample.data)


class _ClosesOnce(FakeSensor):
    def close(self) -> None:
        if not self._is_open:
            raise RuntimeError("the device is not open")
        super().close()


class _RemembersTheLast(FakeSensor):
    """Gives the last sample again while it is closed."""

    _last: Sample | None = None

    def read(self) -> Sample:
        if self._is_open or self._last is None:
            self._last = super().read()
        return self._last


class _ReusesItsBuffer(FakeSensor):
    _buffer: np.ndarray | None = None

    def read(self) -> Sample:
        sample = super().read()
        if self._buffer is None:
            self._buffer = sample.data
        self._buffer[:] = sample.data
        return Sample(sample.time_ns, self._buffer)


def _sensed_by(sensor: Callable[[CameraSpec | TactileSpec], Sensor]) -> Callable[[], Subject]:
    return lambda: good(sensors={spec.name: partial(sensor, spec) for spec in good_spec().sensors})


MUTANTS: dict[str, Callable[[], Subject]] = {
    "SEN001": _sensed_by(_OpensTooEarly),
    "SEN002": _sensed_by(_LiesOnItsSide),
    "SEN003": _sensed_by(_CountsSeconds),
    "SEN004": _sensed_by(_ClosesOnce),
    "SEN005": _sensed_by(_RemembersTheLast),
    "SEN006": _sensed_by(_ReusesItsBuffer),
}
