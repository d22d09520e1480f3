"""A driver on the bench: connected, told what to do, and timed in control periods instead of seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import MissingExtraError
from egoscale_sdk.geometry import blend_poses, make_pose, rotation_angle, rotation_from_rpy
from egoscale_sdk.interfaces import Driver, RobotCommand, RobotState
from egoscale_sdk.specs import JointSpec, Side
from egoscale_sdk.testing.check import NotApplicable, Violation
from egoscale_sdk.testing.subject import Subject

Hands = dict[Side, NDArray[np.float64]]
Wrists = dict[Side, NDArray[np.float64]]
_SETTLE_S = 2.0
_NEAR = 0.002
_FREE_TURN = 2.0  # rad that stand for the range of a joint without limits
_WRIST_M, _WRIST_RAD = 0.005, 0.03
_WRIST_MPS, _WRIST_RADPS = 0.2, 1.0
# Metres in the base frame and roll, pitch, yaw in the wrist's own: no two axes and no two sides alike.
_WRIST_MOVES: dict[Side, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "left": ((-0.02, 0.03, 0.045), (0.1, -0.15, 0.2)),
    "right": ((-0.03, -0.015, 0.06), (-0.2, 0.1, 0.15)),
}


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

    def moved_wrists(self) -> Wrists:
        """Return the first wrists, each moved and turned in its own way; as they were unless they are commanded."""
        found = self.home().wrists
        if self.spec.action.wrist != "commanded":
            return found
        moves = {side: (np.array(xyz), rotation_from_rpy(rpy)) for side, (xyz, rpy) in _WRIST_MOVES.items()}
        return {
            side: np.asarray(make_pose(wrist[:3, :3] @ moves[side][1], wrist[:3, 3] + moves[side][0]), np.float64)
            for side, wrist in found.items()
        }

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
        start = self.read()
        steps = max(2, int(np.ceil(self._duration_s(start, goal) * self.rate_hz)))
        for share in np.arange(1, steps + 1) / steps:
            hands = {side: self.within(side, q + share * (goal.hands[side] - q)) for side, q in start.hands.items()}
            wrists = {
                side: np.asarray(blend_poses(wrist, goal.wrists[side], share), np.float64)
                for side, wrist in start.wrists.items()
            }
            state = self.tick(RobotCommand(wrists, hands))
        for _ in range(round(_SETTLE_S * self.rate_hz)):
            if self.farthest(state.hands, goal.hands)[0] < _NEAR and wrist_gap(state.wrists, goal.wrists)[0] < 0.5:
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

    def _duration_s(self, start: RobotState, goal: RobotCommand) -> float:
        longest = 0.0
        for side, joints in self.joints.items():
            speeds = np.array([joint.velocity or joint_range(joint) for joint in joints])
            hand_s = (2 * np.abs(goal.hands[side] - start.hands[side]) / speeds).max()
            off_m, off_rad = _apart(start.wrists[side], goal.wrists[side])
            longest = max(longest, float(hand_s), off_m / _WRIST_MPS, off_rad / _WRIST_RADPS)
        return longest


def wrist_gap(a: Mapping[Side, NDArray[np.float64]], b: Wrists) -> tuple[float, str]:
    """Return how far the wrists are apart, as a share of 5 mm and 0.03 rad, and which one is the farthest, how far."""
    worst = (0.0, "no wrist differs")
    for side, wrist in b.items():
        off_m, off_rad = _apart(a[side], wrist)
        share = max(off_m / _WRIST_M, off_rad / _WRIST_RAD)
        if share > worst[0]:
            worst = (share, f"the {side} wrist is {1e3 * off_m:.1f} mm and {np.rad2deg(off_rad):.1f} deg")
    return worst


def _apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float]:
    """Return how far two poses are apart, in metres and in rad."""
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3])), float(rotation_angle(a[:3, :3], b[:3, :3]))


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
