"""A driver on the bench: connected, told what to do, and timed in control periods instead of seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import MissingExtraError
from egoscale_sdk.interfaces import Driver, RobotCommand, RobotState
from egoscale_sdk.specs import JointSpec, Side
from egoscale_sdk.testing.check import NotApplicable, Violation
from egoscale_sdk.testing.subject import Subject

Hands = dict[Side, NDArray[np.float64]]
_SETTLE_S = 2.0
_NEAR = 0.002
_FREE_TURN = 2.0  # rad that stand for the range of a joint without limits


class Bench:
    """A connected driver, and the pose in which it was found."""

    def __init__(self, name: str, driver: Driver) -> None:
        self.driver, self.spec, self.name = driver, driver.spec, f"driver {name!r}"
        self.rate_hz = self.spec.control.rate_hz
        self.joints = {side: self.spec.hand(side).actuated for side in driver.sides}
        self.limits = {side: _limits(joints) for side, joints in self.joints.items()}
        self.ranges = {side: np.array([joint_range(joint) for joint in self.joints[side]]) for side in driver.sides}
        self.found = self.read()
        self._time_ns = self.found.time_ns

    def read(self) -> RobotState:
        """Return what the driver reads; raises `Violation` unless that has every side, each of its shape, finite."""
        state = self.driver.read()
        for side, joints in self.joints.items():
            demand(side in state.hands and side in state.wrists, f"{self.name}: no {side} hand or wrist in the reading")
            for what, array, shape in (
                (f"{side} hand", np.asarray(state.hands[side]), (len(joints),)),
                (f"{side} wrist", np.asarray(state.wrists[side]), (4, 4)),
            ):
                found = f"{self.name}: the {what} is {array.dtype} {array.shape}"
                demand(array.dtype == np.float64 and array.shape == shape, f"{found}, not float64 {shape}")
                demand(bool(np.isfinite(array).all()), f"{self.name}: the {what} is not finite")
        return state

    def home(self) -> RobotCommand:
        """Command what was measured at first, within the limits."""
        return RobotCommand(
            dict(self.found.wrists), {side: self.within(side, q) for side, q in self.found.hands.items()}
        )

    def within(self, side: Side, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a hand vector within its limits."""
        lower, upper = self.limits[side]
        inside: NDArray[np.float64] = np.clip(q, lower, upper)
        return inside

    def inward(self, share: float) -> Hands:
        """Return the hands' first pose, every joint a share of its range farther into the side with more room."""
        return {side: q + share * self.room(side) for side, q in self.home().hands.items()}

    def room(self, side: Side) -> NDArray[np.float64]:
        """Return the range of every joint of a hand, negative where there is more room below than above."""
        q = self.home().hands[side]
        middle = [0.0 if j.lower is None or j.upper is None else (j.lower + j.upper) / 2 for j in self.joints[side]]
        room: NDArray[np.float64] = np.where(q > middle, -1.0, 1.0) * self.ranges[side]
        return room

    def tick(self, command: RobotCommand) -> RobotState:
        """Let one control period pass with a command in force.

        A simulation that keeps its own time has done so when `Driver.write` returns; one that runs by the clock is
        given the time that it still needs.
        """
        self.driver.write(command)
        state = self.read()
        if state.time_ns - self._time_ns < 0.5e9 / self.rate_hz:
            time.sleep(1 / self.rate_hz)
            state = self.read()
        self._time_ns = state.time_ns
        return state

    def reach(self, goal: RobotCommand) -> RobotState:
        """Move from where it is to a goal at half speed, and stay until it is there, or for as long as is patient."""
        start = self.read().hands
        steps = max(2, int(np.ceil(self._duration_s(start, goal.hands) * self.rate_hz)))
        for share in np.arange(1, steps + 1) / steps:
            hands = {side: self.within(side, start[side] + share * (q - start[side])) for side, q in goal.hands.items()}
            state = self.tick(RobotCommand(goal.wrists, hands))
        for _ in range(round(_SETTLE_S * self.rate_hz)):
            if self.farthest(state.hands, goal.hands)[0] < _NEAR:
                break
            state = self.tick(goal)
        return state

    def farthest(self, a: Hands, b: Hands) -> tuple[float, str]:
        """Return the largest difference of two poses as a share of the joint's range, and which joint it is."""
        worst = (0.0, "no joint differs")
        for side, joints in self.joints.items():
            shares = np.abs(a[side] - b[side]) / self.ranges[side]
            n = int(np.argmax(shares))
            if shares[n] > worst[0]:
                joint = joints[n]
                text = f"joint {joint.name!r} is at {a[side][n]:.4g} {joint.unit}, not at {b[side][n]:.4g}"
                worst = (float(shares[n]), text)
        return worst

    def _duration_s(self, start: Hands, goal: Hands) -> float:
        speeds = {side: np.array([j.velocity or joint_range(j) for j in js]) for side, js in self.joints.items()}
        return max(float((2 * np.abs(goal[side] - start[side]) / speeds[side]).max()) for side in self.joints)


def _limits(joints: Sequence[JointSpec]) -> NDArray[np.float64]:
    """Return lower and upper limits, ``(2, J)`` rad or m, infinite where there are none."""
    pairs = [
        (-np.inf if joint.lower is None else joint.lower, np.inf if joint.upper is None else joint.upper)
        for joint in joints
    ]
    return np.array(pairs).T


def joint_range(joint: JointSpec) -> float:
    """Return the distance between the limits, rad or m; of a joint that has none (or one value), a convention."""
    if joint.lower is None or joint.upper is None:
        return _FREE_TURN
    return (joint.upper - joint.lower) or _FREE_TURN


@contextmanager
def on_the_bench(name: str, make: Callable[[], Driver]) -> Iterator[Bench]:
    """Connect a driver, and stop it in any case."""
    driver = make()
    driver.connect()
    try:
        yield Bench(name, driver)
    except BaseException:
        with suppress(Exception):  # what went wrong first is what counts
            driver.stop()
        raise
    driver.stop()


def on_every_driver(subject: Subject, judge: Callable[[Bench], str]) -> str:
    """Judge every driver of a subject on the bench; return the figures of all.

    Raises:
        NotApplicable: none of them can run here, for want of an optional package.
    """
    notes, reasons = [], []
    for name, make in subject.drivers.items():
        try:
            with on_the_bench(name, make) as bench:
                notes.append(f"{name}: {judge(bench)}")
        except MissingExtraError as error:
            reasons.append(str(error))
    if not notes:
        raise NotApplicable("; ".join(reasons) or "no driver serves it")
    return "; ".join(notes)


def demand(holds: bool, what: str) -> None:
    """Raise `Violation` unless something holds."""
    if not holds:
        raise Violation(what)
