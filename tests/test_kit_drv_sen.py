"""Checks of drivers and sensors: more ways of being wrong than the one mutant that each of them must catch."""

import os
import threading
import time
from functools import partial

import numpy as np
import pytest

from egoscale_sdk.drivers import WiredDriver, simulated_devices
from egoscale_sdk.errors import MissingExtraError
from egoscale_sdk.host import default_host
from egoscale_sdk.interfaces import RobotCommand, RobotState, Sample
from egoscale_sdk.testing.checks import all_checks, sen
from egoscale_sdk.testing.fakes import good
from egoscale_sdk.testing.fakes.devices import FakeDriver, FakeSensor
from egoscale_sdk.testing.fakes.good import good_spec, with_spec
from egoscale_sdk.testing.io_watch import watched
from egoscale_sdk.testing.run import run_check
from egoscale_sdk.testing.subject import Subject

CHECKS = {check.id: check for check in all_checks()}
DRV = [id for id in CHECKS if id.startswith("DRV")]


def drive(id, driver):
    return run_check(CHECKS[id], good(drivers={"fake/fake": lambda: driver(good_spec())}))


def sense(id, sensor):
    return run_check(CHECKS[id], good(sensors={spec.name: partial(sensor, spec) for spec in good_spec().sensors}))


def caught(result, *words):
    assert (result.status, result.traceback) == ("failed", ""), result.detail
    for word in words:
        assert word in result.detail


class StartsAThread(FakeDriver):
    def __init__(self, spec):
        super().__init__(spec)
        threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()


class OtherBody(FakeDriver):
    def __init__(self, spec):
        super().__init__(spec)
        self.spec = spec.model_copy(update={"id": "fake/other@1"})


class NoSides(FakeDriver):
    def __init__(self, spec):
        super().__init__(spec)
        self.sides = ()


@pytest.mark.parametrize(
    ("driver", "words"),
    [(StartsAThread, "thread"), (OtherBody, "fake/other@1"), (NoSides, "sides are ()")],
)
def test_what_a_driver_is_must_be_known_before_it_connects(driver, words):
    caught(drive("DRV001", driver), "fake/fake", words)


class Stamped(FakeDriver):
    """Tells the time by ``clock``, a function of the number of the reading."""

    count = 0

    def read(self):
        self.count += 1
        state = super().read()
        return RobotState(self.clock(self.count), state.wrists, state.hands, state.images)


def stamped(clock):
    return type("Stamped", (Stamped,), {"clock": staticmethod(clock)})


class Reads(FakeDriver):
    """Reads what ``change`` makes of the hands."""

    def read(self):
        state = super().read()
        return RobotState(state.time_ns, state.wrists, self.change(state.hands), state.images)


def reads(change):
    return type("Reads", (Reads,), {"change": staticmethod(change)})


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        (stamped(lambda count: 5 * 10**9 - 10**8 * count), "time went back"),
        (stamped(lambda count: 0), "did not go on for"),
        (stamped(lambda count: 0.02 * count), "time_ns is a float"),
        (stamped(lambda count: 20_000 * count), "its stamps are not nanoseconds"),
        (stamped(lambda count: 20 * count), "its stamps are not nanoseconds"),
        (stamped(lambda count: 20_000_000_000_000 * count), "its stamps are not nanoseconds"),
        (reads(lambda hands: {"left": hands["left"]}), "no right hand"),
        (reads(lambda hands: {side: q[:7] for side, q in hands.items()}), "(7,), not float64 (8,)"),
        (reads(lambda hands: {side: q.astype(np.float32) for side, q in hands.items()}), "is float32"),
        (reads(lambda hands: {side: q * np.nan for side, q in hands.items()}), "not finite"),
        (reads(lambda hands: {side: q - 0.5 for side, q in hands.items()}), "beyond its limits: joint 'left_"),
    ],
)
def test_a_reading_that_is_not_well_formed(driver, words):
    caught(drive("DRV002", driver), words)


class Writes(FakeDriver):
    """Writes what ``change`` makes of the hands."""

    def write(self, command):
        super().write(RobotCommand(command.wrists, self.change(command.hands)))


def writes(change):
    return type("Writes", (Writes,), {"change": staticmethod(change)})


def test_a_hand_that_is_not_a_number_reaches_nothing():
    caught(drive("DRV003", reads(lambda hands: {side: q * np.nan for side, q in hands.items()})))


def test_a_wrist_that_stays_behind():
    class Stays(FakeDriver):
        def read(self):
            state = super().read()
            return RobotState(state.time_ns, dict.fromkeys(state.wrists, np.eye(4)), state.hands, state.images)

    caught(drive("DRV003", Stays), "the right wrist is 68.7 mm and 15.7 deg from where it was told")


class MovesWrists(FakeDriver):
    """Sends what ``change`` makes of the wrists."""

    def write(self, command):
        wrists = {side: self.change(side, wrist, command.wrists) for side, wrist in command.wrists.items()}
        super().write(RobotCommand(wrists, command.hands))


def moves_wrists(change):
    return type("MovesWrists", (MovesWrists,), {"change": staticmethod(change)})


def place(wrist, order):
    return np.block([[wrist[:3, :3], wrist[list(order), 3:]], [wrist[3:]]])


@pytest.mark.parametrize(
    "change",
    [
        lambda side, wrist, wrists: place(wrist, (1, 0, 2)),
        lambda side, wrist, wrists: place(wrist, (0, 2, 1)),
        lambda side, wrist, wrists: place(np.block([[np.eye(3), wrist[:3, 3:]], [wrist[3:]]]), (0, 1, 2)),
        lambda side, wrist, wrists: np.block([[wrist[:3, :3].T, wrist[:3, 3:]], [wrist[3:]]]),
        lambda side, wrist, wrists: wrists["left" if side == "right" else "right"],
        lambda side, wrist, wrists: wrists["left"],
        lambda side, wrist, wrists: np.diag([-1.0, -1.0, 1.0, 1.0]) @ wrist @ np.diag([-1.0, -1.0, 1.0, 1.0]),
    ],
    ids=["x and y", "y and z", "not turned", "turned back", "other side", "one side for both", "base turned"],
)
def test_a_wrist_that_goes_another_way(change):
    caught(drive("DRV003", moves_wrists(change)), "wrist is", "from where it was told")


def test_a_wrist_that_is_dragged_along_by_the_fingers():
    class Dragged(FakeDriver):
        def read(self):
            state = super().read()
            wrists = {side: wrist.copy() for side, wrist in state.wrists.items()}
            wrists["left"][0, 3] += 0.1 * np.abs(state.hands["left"]).sum()
            return RobotState(state.time_ns, wrists, state.hands, state.images)

    caught(drive("DRV004", Dragged), "but the left wrist is", "from where it was")


@pytest.mark.parametrize(
    "change", [np.diag([1.0, 1.0, -1.0, 1.0]), np.diag([1.0, 1.0, 1.0, 0.0]), np.diag([1.1, 1.0, 1.0, 1.0])]
)
def test_a_wrist_that_is_no_pose(change):
    class Distorts(FakeDriver):
        def read(self):
            state = super().read()
            return RobotState(
                state.time_ns, {s: w @ change for s, w in state.wrists.items()}, state.hands, state.images
            )

    caught(drive("DRV002", Distorts), "wrist is not a rigid transform")


def test_hands_that_are_swapped_do_not_move_alone():
    caught(drive("DRV004", writes(lambda hands: {"left": hands["right"], "right": hands["left"]})), "left_thumb_yaw")


def test_a_joint_that_turns_the_other_way():
    class Backwards(FakeDriver):
        """Its wire table has the wrong sign on the way out only."""

        def write(self, command):
            hands = {side: q.copy() for side, q in command.hands.items()}
            for q in hands.values():
                q[1] = 0.4 - q[1]
            super().write(RobotCommand(command.wrists, hands))

    caught(drive("DRV004", Backwards), "'left_thumb_mcp' was told to move by 0.15 rad", "moved by -0.15 rad")


class WorksOnWhenStopped(FakeDriver):
    def stop(self):
        pass


class ConnectsOnce(FakeDriver):
    used = False

    def connect(self):
        if self.used:
            raise OSError("the port is taken")
        self.used = True
        super().connect()


def test_a_driver_that_cannot_be_stopped_or_connected_again():
    caught(drive("DRV005", WorksOnWhenStopped), "read() after stop() was not refused")
    caught(drive("DRV005", ConnectsOnce), "connect() after stop() raised OSError: the port is taken")


class MovesFirst(FakeDriver):
    """Sends to the left hand before it looks at what is for the right one."""

    def write(self, command):
        left = self._lines[0]
        if "left" in command.hands:
            left.device.write(left.encode(command.hands["left"]))
        super().write(command)


class Stumbles(FakeDriver):
    def write(self, command):
        if any(len(q) != 8 for q in command.hands.values()):
            raise TypeError("unsupported operand")
        super().write(command)


def test_an_unfit_command_must_be_refused_as_such_and_move_nothing():
    caught(drive("DRV006", MovesFirst), "was refused, but moved something: joint 'left_")
    caught(drive("DRV006", Stumbles), "one joint too few was refused by TypeError")


def clipped(spec, side, q):
    return np.array([joint.clamp(value) for joint, value in zip(spec.hand(side).actuated, q, strict=True)])


class TrustsOneSide(FakeDriver):
    """Mends what it is told for one side in place of refusing it."""

    side = "left"

    def write(self, command):
        hands, wrists = dict(command.hands), dict(command.wrists)
        if np.shape(hands.get(self.side)) == (8,):
            hands[self.side] = self.mended(hands[self.side])
        if not np.isfinite(wrists.get(self.side, 0)).all():
            wrists[self.side] = np.eye(4)
        super().write(RobotCommand(wrists, hands))

    def mended(self, q):
        return clipped(self.spec, self.side, np.nan_to_num(q))


class TrustsTheRight(TrustsOneSide):
    side = "right"


class LosesHeight(FakeDriver):
    """Takes a wrist whose height is not a number for one on the ground."""

    def write(self, command):
        wrists = {side: np.array(wrist) for side, wrist in command.wrists.items()}
        for wrist in wrists.values():
            if np.isfinite(wrist[:2]).all():
                wrist[2, 3] = np.nan_to_num(wrist[2, 3])
        super().write(RobotCommand(wrists, command.hands))


class WristFirst(FakeDriver):
    """Moves the wrists before it looks at the fingers."""

    def write(self, command):
        if set(command.wrists) == {"left", "right"} and all(np.isfinite(w).all() for w in command.wrists.values()):
            self._wrists = {side: wrist.copy() for side, wrist in command.wrists.items()}
        super().write(command)


@pytest.mark.parametrize("driver", [TrustsOneSide, TrustsTheRight, LosesHeight])
def test_what_is_unfit_for_either_side_is_refused(driver):
    caught(drive("DRV006", driver), "was not refused")


def test_a_wrist_must_not_move_when_the_fingers_are_refused():
    caught(drive("DRV006", WristFirst), "was refused, but the right wrist is")


class OpensWhenItConnects(FakeDriver):
    def connect(self):
        super().connect()
        opened = {side: np.array(self.spec.hand(side).open_pose) for side in self.sides}
        for _ in range(100):
            self.write(RobotCommand(self.read().wrists, opened))


class GivesWayWhenStopped(FakeDriver):
    """Lets go for one control period each time."""

    def stop(self):
        if self._connection is not None:
            state = self.read()
            hands = {side: clipped(self.spec, side, 0.97 * q) for side, q in state.hands.items()}
            self.write(RobotCommand(state.wrists, hands))
        super().stop()


class BeginsAnew(FakeDriver):
    """Begins anew when it connects, and so does its clock."""

    def connect(self):
        self.__init__(self.spec)
        super().connect()


def test_stopping_must_not_open_the_hand():
    caught(drive("DRV013", OpensWhenItConnects), "stopped and connected again, joint 'left_")
    caught(drive("DRV013", GivesWayWhenStopped), "stopped and connected again, joint 'left_")
    assert drive("DRV013", FakeDriver).detail == "fake/fake: within 0.00% of a range after 5 stops"
    assert "begins anew" in drive("DRV013", BeginsAnew).detail


def test_a_picture_is_as_large_as_the_spec_says():
    class Small(FakeDriver):
        def read(self):
            state = super().read()
            pictures = {name: np.zeros((2, 2, 3), np.uint8) for name in state.images}
            return RobotState(state.time_ns, state.wrists, state.hands, pictures)

    caught(drive("DRV008", Small), "camera 'head' delivers uint8 (2, 2, 3), not (48, 64, 3) as the spec says")


def test_cameras_must_be_those_that_are_named():
    class Blind(FakeDriver):
        def read(self):
            state = super().read()
            return RobotState(state.time_ns, state.wrists, state.hands)

    caught(drive("DRV008", Blind), "pictures of [], cameras are ['head']")


def test_a_command_must_not_be_written_to():
    class Scribbles(FakeDriver):
        def write(self, command):
            super().write(command)
            for q in command.hands.values():
                q[:] = 0.0

    caught(drive("DRV010", Scribbles), "was changed by writing it")


def test_the_wrists_of_a_reading_must_not_move_on():
    class KeepsItsWrists(FakeDriver):
        """Hands out the poses that it goes on writing into."""

        def __init__(self, spec):
            super().__init__(spec)
            self.poses = {side: np.eye(4) for side in self.sides}

        def read(self):
            state = super().read()
            for side, wrist in state.wrists.items():
                self.poses[side][:] = wrist
            return RobotState(state.time_ns, dict(self.poses), state.hands, state.images)

    caught(drive("DRV010", KeepsItsWrists), "of a reading changed when the hand moved on")


def test_wires_that_end_before_their_joint_name_both_values():
    wire = good_spec().wires[0]
    joints = (wire.joints[0].model_copy(update={"native_upper": 60.0}), *wire.joints[1:])
    result = run_check(CHECKS["DRV009"], with_spec(wires=(wire.model_copy(update={"joints": joints}),)))
    caught(result, "the limit 1.5 rad of joint 'left_index_mcp' is 85.9437 deg, beyond -11.5..60 deg")


def test_a_simulation_that_runs_by_the_clock_is_given_the_time_it_needs():
    """It is the bench that waits; how fast the computer is makes no difference."""

    class ByTheClock(WiredDriver):
        def __init__(self, spec):
            super().__init__(spec, simulated_devices(spec, clock=time.monotonic_ns))

    assert drive("DRV003", ByTheClock).status == "passed"


def test_a_driver_that_lacks_an_optional_package_is_no_violation():
    def lacking():
        raise MissingExtraError("the simulation needs the package 'mujoco', which is not installed")

    result = run_check(CHECKS["DRV003"], good(drivers={"egoscale/mujoco": lacking}))
    assert result.status == "skipped"
    assert "mujoco" in result.detail


def test_a_driver_is_stopped_whatever_happens():
    stops = []

    class Counts(Reads):
        change = staticmethod(lambda hands: {})

        def stop(self):
            stops.append(1)
            super().stop()

    assert drive("DRV003", Counts).status == "failed"
    assert stops


class Sees(FakeSensor):
    """Delivers what ``change`` makes of the sample."""

    def read(self):
        sample = super().read()
        return self.change(sample, self._count)


def sees(change):
    return type("Sees", (Sees,), {"change": staticmethod(change)})


@pytest.mark.parametrize(
    ("id", "sensor", "words"),
    [
        ("SEN002", sees(lambda s, n: Sample(s.time_ns, s.data.astype(np.float32))), "float32 (48, 64, 3), not uint8"),
        ("SEN002", sees(lambda s, n: Sample(s.time_ns, s.data[..., :1])), "(48, 64, 1), not (48, 64, 3)"),
        ("SEN003", sees(lambda s, n: Sample(10**9 - n, s.data)), "time went back by 1 ns"),
        ("SEN003", sees(lambda s, n: Sample(1e-9 * s.time_ns, s.data)), "a stamp is a float"),
        ("SEN003", sees(lambda s, n: Sample(s.time_ns // 10**6, s.data)), "the stamps are not nanoseconds"),
        ("SEN003", sees(lambda s, n: Sample(10 * s.time_ns, s.data)), "or the rate is not the spec's"),
    ],
)
def test_a_sample_that_is_not_as_declared(id, sensor, words):
    caught(sense(id, sensor), "sensor 'head'", words)


def test_a_sensor_that_is_stamped_when_it_is_read_runs_by_the_clock():
    """It gives a new sample as often as it is asked; the kit then waits, and judges by its own clock."""
    assert sense("SEN003", sees(lambda s, n: Sample(time.monotonic_ns(), s.data))).status == "passed"


def test_a_tactile_sensor_gives_finite_floats():
    spec = next(spec for spec in good_spec().sensors if spec.kind == "tactile")
    for change, words in (
        (lambda s, n: Sample(s.time_ns, s.data.astype(np.int16)), "not floats in N"),
        (lambda s, n: Sample(s.time_ns, s.data * np.nan), "not finite"),
    ):
        subject = good(sensors={spec.name: lambda change=change: sees(change)(spec)})
        caught(run_check(CHECKS["SEN002"], subject), "sensor 'right_pads'", words)


def test_a_closed_sensor_that_blocks_is_caught(monkeypatch):
    forever = threading.Event()

    class Blocks(FakeSensor):
        def read(self):
            return super().read() if self._is_open else forever.wait()

    monkeypatch.setattr(sen, "_HANGS_S", 0.05)
    caught(sense("SEN005", Blocks), "read() before open() blocks")
    forever.set()


def test_a_sensor_of_another_spec():
    class Other(FakeSensor):
        def __init__(self, spec):
            super().__init__(spec.model_copy(update={"rate_hz": 1.0}))

    caught(sense("SEN001", Other), "its spec is not the one it was made for")


def test_the_watch_hears_files_and_threads_of_its_own_call_only():
    assert watched(lambda: 1) == (1, [])
    _, touched = watched(lambda: open(os.devnull).close())
    assert len(touched) == 1
    assert os.devnull in touched[0]
    other = threading.Thread(target=lambda: open(os.devnull).close())

    def run_other():
        other.start()
        other.join()

    assert watched(run_other)[1] == []


SHIPPED = [
    *("gripper/panda@1", "gripper/parallel@1", "gripper/robotiq_2f85@1", "gripper/wsg50@1", "sharpa/r1pro_wave@1"),
    *("sharpa/wave@1", "unitree/g1_dex3@1", "unitree/g1_inspire@1"),
]


@pytest.mark.parametrize("embodiment", SHIPPED)
def test_the_simulation_of_every_shipped_hand_keeps_the_contract_of_drivers(embodiment):
    subject = Subject(default_host(), embodiment.split("/")[0], embodiment)
    results = {id: run_check(CHECKS[id], subject) for id in DRV}
    assert {id: result.detail for id, result in results.items() if result.status != "passed"} == {}
