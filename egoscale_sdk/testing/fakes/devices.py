"""The good driver and the good sensor: what a vendor writes, over devices that are simulated."""

from __future__ import annotations

import numpy as np

from egoscale_sdk.drivers import WiredDriver, simulated_devices
from egoscale_sdk.errors import SafetyError, SpecError
from egoscale_sdk.interfaces import Sample, Sensor
from egoscale_sdk.specs import CameraSpec, EmbodimentSpec, TactileSpec

PORTS = ("simulated",)


class FakeDriver(WiredDriver):
    """Both hands on their buses, and the head camera."""

    def __init__(self, spec: EmbodimentSpec, *, port: str = "simulated") -> None:
        _check_port(port)
        cameras = {camera.name: FakeSensor(camera) for camera in spec.cameras}
        super().__init__(spec, simulated_devices(spec), cameras=cameras)


class FakeSensor(Sensor):
    """A camera or a skin that sees something else each time; every reading takes one period of its own clock."""

    def __init__(self, spec: CameraSpec | TactileSpec, *, port: str = "simulated") -> None:
        _check_port(port)
        self.spec = spec
        self._count, self._is_open = 0, False

    def open(self) -> None:
        """Be ready."""
        self._is_open = True

    def read(self) -> Sample:
        """Return the next sample."""
        if not self._is_open:
            raise SafetyError("is not open", where=f"sensor {self.spec.name}")
        self._count += 1
        return Sample(round(1e9 * self._count / self.spec.rate_hz), self._data())

    def close(self) -> None:
        """Do nothing more."""
        self._is_open = False

    def _data(self) -> np.ndarray:
        if isinstance(self.spec, CameraSpec):
            return np.full((self.spec.height_px, self.spec.width_px, 3), self._count % 256, np.uint8)
        return np.full(self.spec.shape, 0.1 * self._count, np.float32)


def _check_port(port: str) -> None:
    if port not in PORTS:
        raise SpecError(f"there is no port {port!r}", allowed=PORTS)
