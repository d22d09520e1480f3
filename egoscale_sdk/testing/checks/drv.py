"""Drivers: what they read is true, what they are told is done, and what must not move does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import EgoscaleError
from egoscale_sdk.interfaces import Driver, RobotCommand, RobotState
from egoscale_sdk.specs import Side
from egoscale_sdk.testing.bench import Bench, demand, on_every_driver, wrist_gap
from egoscale_sdk.testing.check import Violation, check
from egoscale_sdk.testing.io_watch import watched
from egoscale_sdk.testing.subject import Subject
from egoscale_sdk.testing.unfit import unfit_commands

Vector = NDArray[np.float64]
_ROUNDING = 1e-6
_RIGID = 1e-4
_OTHER_CLOCK = 10  # times too fast or too slow: a stamp in another unit, however busy the computer is
_STOPS = 5


@check("DRV001", "must", needs={"drivers"}, mend="move what opens files, sockets or threads from __init__ to connect()")
def constructing_touches_nothing(subject: Subject) -> str:
    """Constructing a driver does no input or output, and its spec and sides are known before it connects."""
    for name, make in subject.drivers.items():
        make()  # imports what it needs; that reads files, and is not what is asked
        driver, touched = watched(make)
        demand(not touched, f"driver {name!r}: constructing it does {touched[:1]}")
        _check_identity(name, driver, subject)
    return f"{len(subject.drivers)} drivers"


@check("DRV002", "must", needs={"drivers"}, mend="bring what the device says into the spec's order, units and clock")
def readings_are_well_formed(subject: Subject) -> str:
    """A reading has every side, in the spec's order and units, and a time stamp that goes on and never back."""
    return on_every_driver(subject, _reads_well)


@check("DRV003", "must", needs={"drivers"}, mend="compare offset, sign and scale of the named joint with the device")
def poses_are_reached(subject: Subject) -> str:
    """A commanded pose within the limits is reached and read back, to 5 % of each joint's range."""
    return on_every_driver(subject, lambda bench: _reaches(bench, 0.05))


@check("DRV004", "must", needs={"drivers"}, mend="compare the order and signs of the wire table with the device")
def joints_move_alone(subject: Subject) -> str:
    """A joint that is commanded alone moves alone, in its own direction."""
    return on_every_driver(subject, _moves_alone)


@check("DRV005", "must", needs={"drivers"}, mend="let stop() return at once where there is nothing to stop")
def stopping_is_always_allowed(subject: Subject) -> str:
    """A driver may be stopped at any time, any number of times; then it refuses to work until it connects again."""
    return on_every_driver(subject, _stops)


@check("DRV006", "must", needs={"drivers"}, mend="call check_command and check_limits before anything is sent")
def unfit_commands_are_refused(subject: Subject) -> str:
    """A command that is not finite, too short, lacks a side or leaves the limits is refused and moves nothing."""
    return on_every_driver(subject, _refuses)


@check("DRV007", "must", needs={"drivers"}, mend="make where the hand is its target when the driver connects")
def it_holds_still(subject: Subject) -> str:
    """A hand that is told to stay where it is stays there."""
    return on_every_driver(subject, _holds)


@check("DRV008", "must", needs={"drivers"}, mend="deliver RGB, uint8, (height_px, width_px, 3) as the spec says")
def cameras_deliver_pictures(subject: Subject) -> str:
    """Each named camera delivers RGB pictures, uint8, of one shape: the spec's, where it has the camera."""
    return on_every_driver(subject, _shows)


@check("DRV009", "must", needs={"wires"}, mend="widen native_lower..native_upper, or narrow the joint's limits")
def wires_cover_the_limits(subject: Subject) -> str:
    """The range of every wire covers its joint's limits, and decoding undoes encoding."""
    joints = {joint.name: joint for joint in subject.spec.joints}
    for wire in subject.spec.wires:
        limits = [(joints[item.joint].lower, joints[item.joint].upper) for item in wire.joints]
        for q in np.array([[0.0 if value is None else value for value in row] for row in limits]).T:
            native = wire.encode(q)
            error = float(np.abs(wire.decode(native) - q).max())
            demand(error < _ROUNDING, f"device {wire.device!r}: decoding what was encoded is {error:.3g} off")
            lower, upper = wire.native_range
            for n in np.flatnonzero((native < lower - _slack(lower, upper)) | (native > upper + _slack(lower, upper))):
                item, unit = wire.joints[n], joints[wire.joints[n].joint].unit
                said = f"{lower[n]:g}..{upper[n]:g} {item.native_unit}"
                what = f"the limit {q[n]:g} {unit} of joint {item.joint!r} is {native[n]:.6g} {item.native_unit}"
                raise Violation(f"device {wire.device!r}: {what}, beyond {said}")
    return f"{sum(len(wire.joints) for wire in subject.spec.wires)} joints on {len(subject.spec.wires)} devices"


@check(
    "DRV010", "must", needs={"drivers"}, mend="return copies of the driver's own arrays, and never write to a command"
)
def arrays_are_not_shared(subject: Subject) -> str:
    """A reading does not change when the hand moves on, and a command is not changed by being written."""
    return on_every_driver(subject, _shares_nothing)


@check("DRV011", "must", needs={"drivers"}, mend="allow for rounding where commands are compared with the limits")
def limits_are_accepted(subject: Subject) -> str:
    """A command exactly at a limit is accepted: the control loop gives such commands."""
    return on_every_driver(subject, _accepts_limits)


@check("DRV012", "should", needs={"drivers"}, mend="raise the position gain, or correct offset and scale")
def poses_are_reached_precisely(subject: Subject) -> str:
    """A commanded pose within the limits is reached and read back, to 1 % of each joint's range."""
    return on_every_driver(subject, lambda bench: _reaches(bench, 0.01))


@check(
    "DRV013", "must", needs={"drivers"}, mend="let stop() hold what was measured last, and connect() send nothing else"
)
def stopping_moves_nothing(subject: Subject) -> str:
    """A hand that is stopped stays where it is, and is found there by who connects next."""
    return on_every_driver(subject, _stays_when_stopped)


def _check_identity(name: str, driver: Driver, subject: Subject) -> None:
    present = tuple(hand.side for hand in subject.spec.hands)
    spec_id = getattr(getattr(driver, "spec", None), "id", None)
    demand(spec_id == subject.spec.id, f"driver {name!r}: its spec is {spec_id}, it was made for {subject.spec.id}")
    sides = getattr(driver, "sides", ())
    fitting = sides and tuple(sides) == tuple(side for side in present if side in sides)
    demand(bool(fitting), f"driver {name!r}: sides are {sides!r}, the embodiment has {present}")


def _reads_well(bench: Bench) -> str:
    hold, last_ns, began_ns = bench.home(), bench.found.time_ns, time.monotonic_ns()
    _check_state(bench, bench.found)
    periods = max(10, int(bench.spec.control.stale_after_s * bench.rate_hz))
    for _ in range(periods):
        state = bench.tick(hold)
        _check_state(bench, state)
        demand(state.time_ns >= last_ns, f"{bench.name}: time went back by {last_ns - state.time_ns} ns")
        last_ns = state.time_ns
    passed_ns = last_ns - bench.found.time_ns
    demand(passed_ns > 0, f"{bench.name}: its time stamps did not go on for {periods} control periods")
    found = f"{1e-9 * passed_ns:.3g} s by its clock in {periods} periods of {1 / bench.rate_hz:.3g} s"
    due_ns = 1e9 * periods / bench.rate_hz
    longest_ns = max(due_ns, time.monotonic_ns() - began_ns)  # a driver that runs by the clock cannot be hurried
    is_right = due_ns / _OTHER_CLOCK < passed_ns < longest_ns * _OTHER_CLOCK
    demand(is_right, f"{bench.name}: {found}: its stamps are not nanoseconds")
    return found


def _check_state(bench: Bench, state: RobotState) -> None:
    demand(isinstance(state.time_ns, int | np.int64), f"{bench.name}: time_ns is a {type(state.time_ns).__name__}")
    for side, wrist in ((side, state.wrists[side]) for side in bench.joints):
        turn = wrist[:3, :3]
        is_turn = np.abs(turn @ turn.T - np.eye(3)).max() < _RIGID and np.linalg.det(turn) > 0
        is_pose = is_turn and np.abs(wrist[3] - [0, 0, 0, 1]).max() < _RIGID
        demand(bool(is_pose), f"{bench.name}: the {side} wrist is not a rigid transform")
    share, text = bench.farthest(state.hands, {side: bench.within(side, q) for side, q in state.hands.items()})
    demand(share < 0.02, f"{bench.name}: beyond its limits: {text}")


def _reaches(bench: Bench, tolerance: float) -> str:
    home, worst, farthest = bench.home(), 0.0, (0.0, "")
    for wrists, hands in ((bench.moved_wrists(), bench.inward(0.3)), (home.wrists, home.hands)):
        state = bench.reach(RobotCommand(dict(wrists), hands))
        share, text = bench.farthest(state.hands, hands)
        demand(share <= tolerance, f"{bench.name}: {text} ({share:.1%} of its range off)")
        gap = wrist_gap(state.wrists, wrists)
        demand(gap[0] <= 1, f"{bench.name}: {gap[1]} from where it was told")
        worst, farthest = max(worst, share), max(farthest, gap)
    return f"to {worst:.2%} of a range" + (f", {farthest[1]} off at most" if farthest[0] else "")


def _moves_alone(bench: Bench) -> str:
    """Move one joint after the other by a tenth of its range, and let it stay there."""
    command, others = bench.home(), 0.0
    before = bench.reach(command).hands
    for side, joints in bench.joints.items():
        for n, joint in enumerate(joints):
            step = 0.1 * bench.room(side)[n]
            goal = {other: q.copy() for other, q in command.hands.items()}
            goal[side][n] += step
            command = RobotCommand(command.wrists, goal)
            state = bench.reach(command)
            after = state.hands
            own = float(after[side][n] - before[side][n])
            told = f"{bench.name}: joint {joint.name!r} was told to move by {step:.4g} {joint.unit}"
            demand(own / step > 0.5, f"{told} and moved by {own:.4g} {joint.unit}")
            stay = {other: q.copy() for other, q in after.items()}
            stay[side][n] = before[side][n]
            share, text = bench.farthest(stay, before)
            demand(share < 0.025, f"{told}, but another moved: {text}")
            gap, text = wrist_gap(state.wrists, command.wrists)
            demand(gap <= 1, f"{told}, but {text} from where it was")
            others, before = max(others, share), after
    return f"{sum(map(len, bench.joints.values()))} joints, others by at most {others:.2%} of their range"


def _stops(bench: Bench) -> str:
    driver, hold = bench.driver, bench.home()
    _allowed(bench, "stop() after connect()", driver.stop)
    _allowed(bench, "a second stop()", driver.stop)
    _refused(bench, "read() after stop()", driver.read)
    _refused(bench, "write() after stop()", lambda: driver.write(hold))
    _allowed(bench, "connect() after stop()", driver.connect)
    _allowed(bench, "read() after connecting again", driver.read)
    _allowed(bench, "write() after connecting again", lambda: driver.write(hold))
    _allowed(bench, "stop() after write()", driver.stop)
    return "stopped 3 times, connected twice"


def _stays_when_stopped(bench: Bench) -> str:
    held, worst = bench.reach(RobotCommand(bench.home().wrists, bench.inward(0.3))), 0.0
    for _ in range(_STOPS):  # what moves a little each time is seen in the end
        _allowed(bench, "stop()", bench.driver.stop)
        _allowed(bench, "connect() after stop()", bench.driver.connect)
        state = bench.read()
        if state.time_ns < held.time_ns and bench.farthest(state.hands, bench.found.hands)[0] < 0.02:
            return "a simulation that begins anew, with its clock, when it connects"
        share, text = bench.farthest(state.hands, held.hands)
        demand(share < 0.02, f"{bench.name}: stopped and connected again, {text} ({share:.1%} of its range off)")
        worst = max(worst, share)
    return f"within {worst:.2%} of a range after {_STOPS} stops"


def _allowed(bench: Bench, what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except Exception as error:
        raise Violation(f"{bench.name}: {what} raised {type(error).__name__}: {error}") from error


def _refused(bench: Bench, what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except Exception:  # of whatever kind: a vendor's own library may have raised it
        return
    raise Violation(f"{bench.name}: {what} was not refused")


def _refuses(bench: Bench) -> str:
    home, count = bench.home(), 0
    before = bench.reach(home)
    for what, command in unfit_commands(bench):
        try:
            bench.driver.write(command)
        except (EgoscaleError, ValueError):
            count += 1
        except Exception as error:
            problem = f"{type(error).__name__}, not by an EgoscaleError or a ValueError"
            raise Violation(f"{bench.name}: {what} was refused by {problem}") from error
        else:
            raise Violation(f"{bench.name}: {what} was not refused")
        after = bench.read()
        share, text = bench.farthest(after.hands, before.hands)
        demand(share < 0.005, f"{bench.name}: {what} was refused, but moved something: {text}")
        gap, text = wrist_gap(after.wrists, before.wrists)
        demand(gap <= 1, f"{bench.name}: {what} was refused, but {text} from where it was")
        bench.tick(home)
    return f"{count} unfit commands refused"


def _accepts_limits(bench: Bench) -> str:
    home, count = bench.home(), 0
    for side, joints in bench.joints.items():
        for (_, n), limit in np.ndenumerate(bench.limits[side]):
            if np.isfinite(limit):
                hands = {other: q.copy() for other, q in home.hands.items()}
                hands[side][n] = limit
                what = f"{limit:.6g} {joints[n].unit} for joint {joints[n].name!r}, its limit,"
                _allowed(bench, what, partial(bench.driver.write, RobotCommand(home.wrists, hands)))
                count += 1
    return f"{count} limits"


def _holds(bench: Bench) -> str:
    home, worst = bench.home(), 0.0
    for _ in range(max(20, round(bench.rate_hz))):
        state = bench.tick(home)
        share, text = bench.farthest(state.hands, home.hands)
        demand(share < 0.02, f"{bench.name}: told to stay, {text} ({share:.1%} of its range off)")
        gap, text = wrist_gap(state.wrists, home.wrists)
        demand(gap <= 1, f"{bench.name}: told to stay, {text} from where it was")
        worst = max(worst, share)
    return f"within {worst:.2%} of a range"


def _shows(bench: Bench) -> str:
    cameras = bench.driver.cameras
    if not cameras:
        return "no cameras"
    shapes: dict[str, tuple[int, ...]] = {}
    declared = {camera.name: (camera.height_px, camera.width_px, 3) for camera in bench.spec.cameras}
    for _ in range(3):
        images = bench.tick(bench.home()).images
        demand(set(images) == set(cameras), f"{bench.name}: pictures of {sorted(images)}, cameras are {list(cameras)}")
        for name in cameras:
            image = np.asarray(images[name])
            kind = f"{bench.name}: camera {name!r} delivers {image.dtype} {image.shape}"
            demand(image.dtype == np.uint8, f"{kind}, not uint8")
            demand(image.ndim == 3 and image.shape[2] == 3, f"{kind}, not (height, width, 3)")
            demand(image.shape == declared.get(name, image.shape), f"{kind}, not {declared.get(name)} as the spec says")
            demand(shapes.setdefault(name, image.shape) == image.shape, f"{kind}, and before it {shapes[name]}")
    return ", ".join(f"{name} {shape[1]} x {shape[0]}" for name, shape in shapes.items())


def _shares_nothing(bench: Bench) -> str:
    command = RobotCommand(bench.moved_wrists(), bench.inward(0.1))
    told = {side: (command.wrists[side].copy(), command.hands[side].copy()) for side in command.hands}
    kept = bench.tick(bench.home())
    seen = {side: (kept.wrists[side].copy(), kept.hands[side].copy()) for side in kept.hands}
    bench.tick(command)
    bench.reach(command)
    for side in bench.joints:
        demand(_same(kept, seen, side), f"{bench.name}: the {side} side of a reading changed when the hand moved on")
        demand(_same(command, told, side), f"{bench.name}: the {side} side of a command was changed by writing it")
    return "readings and commands stay as they were"


def _same(whole: RobotState | RobotCommand, copies: dict[Side, tuple[Vector, Vector]], side: Side) -> bool:
    wrist, hand = copies[side]
    return np.array_equal(whole.wrists[side], wrist) and np.array_equal(whole.hands[side], hand)


def _slack(lower: Vector, upper: Vector) -> Vector:
    """One in a thousand of a native range: published limits are rounded."""
    wide = upper - lower
    return 1e-3 * np.where(np.isfinite(wide), wide, 1.0)
