"""A device and its place in the embodiment: from joint vectors of a part to native values and back, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.drivers.device import Device
from egoscale_sdk.errors import SafetyError, SpecError, did_you_mean
from egoscale_sdk.interfaces import check_joints, check_within
from egoscale_sdk.specs import SIDES, EmbodimentSpec, JointSpec, Side, WireSpec

_ROUNDING = 1e-6  # of a native range


@dataclass(frozen=True)
class Line:
    """One device, its wire table, and the joints of its part in the spec's order."""

    device: Device
    wire: WireSpec
    joints: tuple[JointSpec, ...]

    @property
    def columns(self) -> NDArray[np.intp]:
        """Where the wire's joints stand in the vector of the part."""
        return self.wire.columns([joint.name for joint in self.joints])

    def read(self) -> tuple[int, NDArray[np.float64]]:
        """Return the time stamp and joint values, rad or m in the order of the wire.

        Raises:
            SafetyError: the device gave another number of values than its wire has, or one that is not finite.
        """
        sample = self.device.read()
        check_joints(sample.data, self._own, f"the reading of device {self.wire.device!r}")
        return sample.time_ns, self.wire.decode(sample.data)

    def encode(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the native values of a part's joint vector.

        Raises:
            SafetyError: a value is not finite, or beyond the joint's limits or the device's range; names it.
        """
        what = f"the command of {self.wire.part}"
        check_joints(q, self.joints, what)
        check_within(q, self.joints, what)
        native = self.wire.encode([joint.clamp(q[n]) for n, joint in zip(self.columns, self._own, strict=True)])
        lower, upper = self.wire.native_range
        slack = _ROUNDING * np.where(np.isfinite(upper - lower), upper - lower, 1.0)
        for n in np.flatnonzero((native < lower - slack) | (native > upper + slack)):
            joint = self.wire.joints[n]
            raise SafetyError(
                f"device {self.wire.device!r} cannot move joint {joint.joint!r} to {native[n]:.6g} {joint.native_unit}",
                allowed=[f"{lower[n]:g} to {upper[n]:g} {joint.native_unit}"],
            )
        return np.clip(native, lower, upper)

    def hold(self) -> None:
        """Make where the device is its target, or the end of its range that it is beyond.

        Raises:
            SafetyError: as `read`; nothing is sent then.
        """
        _, q = self.read()
        self.device.write(np.clip(self.wire.encode(q), *self.wire.native_range))

    @property
    def _own(self) -> list[JointSpec]:
        return [self.joints[n] for n in self.columns]


def wire_of(spec: EmbodimentSpec, device: str) -> WireSpec:
    """Return the wire table of a device; raises SpecError, with the closest name, if there is none."""
    wires = {wire.device: wire for wire in spec.wires}
    if device not in wires:
        what = f"has no wire table of device {device!r}"
        raise SpecError(what, where=spec.id, allowed=wires, hint=did_you_mean(device, wires))
    return wires[device]


def part_joints(spec: EmbodimentSpec, part: str) -> tuple[tuple[JointSpec, ...], NDArray[np.float64]]:
    """Return the joints of a hand or an arm, and its neutral pose: a hand open, an arm at zero, within limits."""
    side = next(side for side in SIDES if part.startswith(side))
    arm = spec.arm(side)
    joints, pose = (arm.joints if arm else (), ()) if part.endswith("_arm") else _hand(spec, side)
    wanted = pose or (0.0,) * len(joints)
    return joints, np.array([joint.clamp(value) for joint, value in zip(joints, wanted, strict=True)])


def lines_of(spec: EmbodimentSpec, devices: Mapping[str, Device]) -> tuple[Line, ...]:
    """Return a line for each device, left before right, in the order of the spec.

    Raises:
        SpecError: a device has no wire table, a joint has two devices, or one of a part's joints has none.
    """
    wires = {name: wire_of(spec, name) for name in devices}
    lines = [Line(devices[name], wire, part_joints(spec, wire.part)[0]) for name, wire in wires.items()]
    for part in {line.wire.part for line in lines}:
        _check_cover(spec, [line for line in lines if line.wire.part == part])
    return tuple(lines)


def _check_cover(spec: EmbodimentSpec, lines: Sequence[Line]) -> None:
    moved = Counter(joint.joint for line in lines for joint in line.wire.joints)
    for joint in lines[0].joints:
        if moved[joint.name] != 1:
            what = f"joint {joint.name!r} of {lines[0].wire.part} is moved by {moved[joint.name]} devices, not by one"
            raise SpecError(what, where=f"{spec.id}: wires")


def _hand(spec: EmbodimentSpec, side: Side) -> tuple[tuple[JointSpec, ...], tuple[float, ...]]:
    hand = spec.hand(side)
    return hand.actuated, hand.open_pose
