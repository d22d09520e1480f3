"""Drivers made from a spec's wire tables: a vendor writes a `Device`, the SDK does the rest.

class AcmeDriver(WiredDriver):
    def __init__(self, spec, *, port="simulated"):
        if port == "simulated":
            devices = simulated_devices(spec)
        else:
            devices = {wire.device: AcmeBus(port, wire.device) for wire in spec.wires}
        super().__init__(spec, devices)
"""

from egoscale_sdk.drivers.device import Device
from egoscale_sdk.drivers.simulated import SimulatedDevice, simulated_devices
from egoscale_sdk.drivers.wired import InverseKinematics, WiredDriver
from egoscale_sdk.interfaces import Sample

__all__ = ["Device", "InverseKinematics", "Sample", "SimulatedDevice", "WiredDriver", "simulated_devices"]
