"""One fault each, for the checks of the family DRV."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from egoscale_sdk.errors import SafetyError
from egoscale_sdk.interfaces import RobotCommand, RobotState
from egoscale_sdk.specs import EmbodimentSpec
from egoscale_sdk.testing.fakes.devices import FakeDriver
from egoscale_sdk.testing.fakes.good import good, good_spec, with_spec
from egoscale_sdk.testing.subject import Subject


class _OpensTooEarly(FakeDriver):
    def __init__(self, spec: EmbodimentSpec) -> None:
        super().__init__(spec)
        os.close(os.open(os.devnull, os.O_RDONLY))


class _ReadsDegrees(FakeDriver):
    def read(self) -> RobotState:
        state = super().read()
        return RobotState(state.time_ns, state.wrists, {side: np.rad2deg(q) for side, q in state.hands.items()})


class _FallsShort(FakeDriver):
    """Its commands are a tenth too small, as with a wrong gear ratio."""

    def write(self, command: RobotCommand) -> None:
        super().write(RobotCommand(command.wrists, {side: 0.9 * q for side, q in command.hands.items()}))


class _MixesJointsUp(FakeDriver):
    """Sends two joints in each other's place."""

    def write(self, command: RobotCommand) -> None:
        order = [0, 1, 2, 3, 6, 5, 4, 7]
        super().write(RobotCommand(command.wrists, {side: q[order] for side, q in command.hands.items()}))


class _StopsOnce(FakeDriver):
    def stop(self) -> None:
        if self._connection is None:
            raise RuntimeError("the port is not open")
        super().stop()


class _ClipsSilently(FakeDriver):
    def write(self, command: RobotCommand) -> None:
        hands = {}
        for side, q in command.hands.items():
            joints = self.spec.hand(side).actuated
            hands[side] = np.array([joint.clamp(value) for joint, value in zip(joints, q, strict=True)])
        super().write(RobotCommand(command.wrists, hands))


class _Sags(FakeDriver):
    """What holds the first joint gives way a little with each command."""

    _sunk = 0.0

    def read(self) -> RobotState:
        state = super().read()
        for q in state.hands.values():
            q[0] -= self._sunk
        return state

    def write(self, command: RobotCommand) -> None:
        super().write(command)
        self._sunk += 0.002


class _ShowsFloats(FakeDriver):
    def read(self) -> RobotState:
        state = super().read()
        pictures = {name: (image / 255).astype(np.float32) for name, image in state.images.items()}
        return RobotState(state.time_ns, state.wrists, state.hands, pictures)  # type: ignore[arg-type]


class _KeepsOneBuffer(FakeDriver):
    def __init__(self, spec: EmbodimentSpec) -> None:
        super().__init__(spec)
        self._buffers = {side: np.zeros(len(spec.hand(side).actuated)) for side in self.sides}

    def read(self) -> RobotState:
        state = super().read()
        for side, q in state.hands.items():
            self._buffers[side][:] = q
        return RobotState(state.time_ns, state.wrists, dict(self._buffers), state.images)


class _MistrustsLimits(FakeDriver):
    """Refuses the last two percent of every range."""

    def write(self, command: RobotCommand) -> None:
        for side, q in command.hands.items():
            for joint, value in zip(self.spec.hand(side).actuated, q, strict=True):
                if joint.lower is not None and joint.upper is not None:
                    margin = 0.02 * (joint.upper - joint.lower)
                    if not joint.lower - margin < value < joint.upper - margin:
                        raise SafetyError(f"{joint.name} is too near to its limit")
        super().write(command)


class _OpensWhenStopped(FakeDriver):
    def stop(self) -> None:
        if self._connection is not None:
            opened = {side: np.array(self.spec.hand(side).open_pose) for side in self.sides}
            for _ in range(100):
                self.write(RobotCommand(self.read().wrists, opened))
        super().stop()


def _driven_by(driver: Callable[[EmbodimentSpec], FakeDriver]) -> Callable[[], Subject]:
    return lambda: good(drivers={"fake/fake": lambda: driver(good_spec())})


def _narrow_wire() -> Subject:
    """Return a subject whose first bus ends before its joint does."""
    first, *others = good_spec().wires
    joint = first.joints[0].model_copy(update={"native_upper": 60.0})
    return with_spec(wires=(first.model_copy(update={"joints": (joint, *first.joints[1:])}), *others))


MUTANTS: dict[str, Callable[[], Subject]] = {
    "DRV001": _driven_by(_OpensTooEarly),
    "DRV002": _driven_by(_ReadsDegrees),
    "DRV003": _driven_by(_FallsShort),
    "DRV004": _driven_by(_MixesJointsUp),
    "DRV005": _driven_by(_StopsOnce),
    "DRV006": _driven_by(_ClipsSilently),
    "DRV007": _driven_by(_Sags),
    "DRV008": _driven_by(_ShowsFloats),
    "DRV009": _narrow_wire,
    "DRV010": _driven_by(_KeepsOneBuffer),
    "DRV011": _driven_by(_MistrustsLimits),
    "DRV013": _driven_by(_OpensWhenStopped),
}
