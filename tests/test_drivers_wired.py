"""A driver over wire tables: it converts, refuses what must not move, and closes what it opened."""

import numpy as np
import pytest
from toy_arm import toy_arm

from egoscale_sdk.drivers import Device, SimulatedDevice, WiredDriver, simulated_devices
from egoscale_sdk.errors import SafetyError, SpecError
from egoscale_sdk.host import default_host
from egoscale_sdk.interfaces import RobotCommand, Sample, Sensor

BEND, SLIDE = 0, 1  # the hand vector; on the wire the slide comes first, and the bend runs from 100 % down


class Bus(Device):
    """Remembers what happens to it; ``fails`` is the call that raises."""

    def __init__(self, native=(0.5, 50.0), fails=""):
        self.native, self.fails = np.array(native), fails
        self.calls, self.written = [], []

    def _call(self, name):
        self.calls.append(name)
        if name == self.fails:
            raise OSError(f"{name} failed")

    def open(self):
        self._call("open")

    def read(self):
        self._call("read")
        return Sample(7, self.native)

    def write(self, native):
        self._call("write")
        self.written.append(native)

    def close(self):
        self._call("close")


def told(hand, wrist=None):
    return RobotCommand({"right": np.eye(4) if wrist is None else wrist}, {"right": np.array(hand, float)})


def connected(bus, **settings):
    driver = WiredDriver(toy_arm(), {"fingers": bus}, **settings)
    driver.connect()
    return driver


def test_a_reading_is_in_the_order_and_units_of_the_spec():
    state = connected(Bus((0.5, 25.0))).read()
    np.testing.assert_allclose(state.hands["right"], [0.75, 0.02])
    assert state.time_ns == 7
    assert state.images == {}


def test_a_command_is_in_the_order_and_units_of_the_wire():
    bus = Bus()
    connected(bus).write(told([0.75, 0.02]))
    np.testing.assert_allclose(bus.written, [[0.5, 25.0]])


def test_a_wrist_without_an_arm_is_where_it_was_commanded():
    driver = connected(Bus())
    np.testing.assert_array_equal(driver.read().wrists["right"], np.eye(4))
    wrist = np.eye(4)
    wrist[:3, 3] = 0.1, 0.2, 0.3
    driver.write(told([0.5, 0.02], wrist))
    np.testing.assert_array_equal(driver.read().wrists["right"], wrist)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (told([np.nan, 0.0]), "not finite: joint 'bend'"),
        (told([0.5]), "shape"),
        (told([1.1, 0.0]), "1.1 rad for joint 'bend'; allowed: 0 to 1 rad"),
        (told([0.5, -0.001]), "-0.001 m for joint 'slide'"),
        (RobotCommand({}, {"right": np.zeros(2)}), "no right wrist or hand"),
        (told([0.5, 0.0], 2 * np.eye(4)), "not a rigid transform"),
    ],
)
def test_an_unfit_command_is_refused_and_moves_nothing(command, message):
    bus = Bus()
    driver = connected(bus)
    with pytest.raises(SafetyError, match=message):
        driver.write(command)
    assert bus.written == []
    np.testing.assert_array_equal(driver.read().wrists["right"], np.eye(4))


def test_a_value_that_is_a_limit_but_for_rounding_is_taken_to_the_limit():
    bus = Bus()
    connected(bus).write(told([1 + 1e-9, -1e-9]))
    np.testing.assert_array_equal(bus.written, [[0.0, 0.0]])


def test_what_the_device_cannot_reach_is_refused_in_its_own_unit():
    narrow = toy_arm().model_dump()
    narrow["wires"][0]["joints"][1]["native_upper"] = 60.0
    driver = WiredDriver(type(toy_arm()).model_validate(narrow), {"fingers": Bus()})
    driver.connect()
    with pytest.raises(SafetyError, match="cannot move joint 'bend' to 90 %; allowed: 0 to 60 %"):
        driver.write(told([0.1, 0.0]))


@pytest.mark.parametrize("native", [(0.5, np.nan), (0.5,)])
def test_a_reading_that_makes_no_sense_is_refused(native):
    with pytest.raises(SafetyError, match="reading of device 'fingers'"):
        connected(Bus(native)).read()


def test_nothing_is_done_before_connecting_and_after_stopping():
    bus = Bus()
    driver = WiredDriver(toy_arm(), {"fingers": bus})
    driver.stop()
    assert bus.calls == []
    for act in (driver.read, lambda: driver.write(told([0.5, 0.0]))):
        with pytest.raises(SafetyError, match="not connected"):
            act()


def test_stop_holds_then_closes_once_and_connecting_again_works():
    bus = Bus((0.25, 30.0))
    driver = connected(bus)
    driver.stop()
    driver.stop()
    assert bus.calls == ["open", "read", "write", "close"]
    np.testing.assert_allclose(bus.written, [[0.25, 30.0]])
    driver.connect()
    driver.read()


def test_connecting_twice_is_refused():
    with pytest.raises(SafetyError, match="connected already"):
        connected(Bus()).connect()


def test_a_device_that_cannot_hold_is_closed_all_the_same_and_says_so():
    bus = Bus(fails="write")
    driver = connected(bus)
    with pytest.raises(OSError, match="write failed"):
        driver.stop()
    assert bus.calls[-1] == "close"


def test_what_is_not_a_number_is_never_sent_back_to_hold_it():
    bus = Bus((0.5, np.nan))
    driver = connected(bus)
    with pytest.raises(SafetyError, match="not finite"):
        driver.stop()
    assert bus.written == []
    assert bus.calls[-1] == "close"


def test_beyond_its_range_a_device_holds_at_the_end_of_it():
    bus = Bus((1.01, 50.0))
    connected(bus).stop()
    np.testing.assert_allclose(bus.written, [[1.0, 50.0]])


def two_handed():
    return default_host().spec("sharpa/wave")


def test_everything_is_closed_if_connecting_fails_half_way():
    spec = two_handed()
    left, right = (Bus(np.zeros(22), fails=fails) for fails in ("", "open"))
    driver = WiredDriver(spec, {spec.wires[0].device: left, spec.wires[1].device: right})
    with pytest.raises(OSError, match="open failed"):
        driver.connect()
    assert left.calls == ["open", "close"]
    assert right.calls == ["open", "close"]
    right.fails = ""
    driver.connect()


def test_the_sides_are_those_with_a_device_and_time_is_of_the_oldest_reading():
    spec = two_handed()
    assert WiredDriver(spec, {spec.wires[1].device: Bus(np.zeros(22))}).sides == ("right",)
    driver = WiredDriver(spec, {wire.device: SimulatedDevice(spec, wire.device) for wire in spec.wires})
    assert driver.sides == ("left", "right")
    old, new = Bus(np.zeros(22)), Bus(np.zeros(22))
    new.read = lambda: Sample(9, np.zeros(22))
    driver = WiredDriver(spec, {spec.wires[0].device: old, spec.wires[1].device: new})
    driver.connect()
    assert driver.read().time_ns == 7


def test_devices_must_fit_the_wire_tables():
    spec = toy_arm()
    with pytest.raises(SpecError, match="no wire table of device 'finger'; allowed: fingers; did you mean 'fingers'"):
        WiredDriver(spec, {"finger": Bus()})
    with pytest.raises(SpecError, match="do not make a robot"):
        WiredDriver(spec, {})
    table = spec.model_dump()
    table["recordings"], table["wires"][0]["joints"] = (), table["wires"][0]["joints"][:1]
    with pytest.raises(SpecError, match="joint 'bend' of right_hand is moved by 0 devices"):
        WiredDriver(type(spec).model_validate(table), {"fingers": Bus()})


def test_wrists_of_arms_come_by_kinematics_and_go_by_the_given_inverse():
    spec = default_host().spec("sharpa/r1pro_wave")
    devices = simulated_devices(spec)
    with pytest.raises(SpecError, match="inverse_kinematics"):
        WiredDriver(spec, devices)
    goal = np.array([0.2, 0.1, -0.1, -0.4, 0.1, 0.1, 0.2])
    asked = []

    def inverse(side, wrist, q):
        asked.append(side)
        return goal if side == "right" else q

    driver = WiredDriver(spec, devices, inverse_kinematics=inverse)
    driver.connect()
    start = driver.read()
    for _ in range(300):
        driver.write(RobotCommand(start.wrists, start.hands))
    end = driver.read()
    assert set(asked) == {"left", "right"}
    np.testing.assert_allclose(end.wrists["left"], start.wrists["left"], atol=1e-9)
    assert np.linalg.norm(end.wrists["right"][:3, 3] - start.wrists["right"][:3, 3]) > 0.05
    with pytest.raises(SpecError, match=r"do not make a robot; allowed: left_arm, left_hand"):
        WiredDriver(spec, {name: devices[name] for name in devices if "wave" in name}, inverse_kinematics=inverse)


class Camera(Sensor):
    def __init__(self):
        self.reads, self.is_open = 0, False

    def open(self):
        self.is_open = True

    def read(self):
        self.reads += 1
        return Sample(self.reads, np.full((2, 3, 3), self.reads, np.uint8))

    def close(self):
        self.is_open = False


def test_a_picture_is_taken_when_it_is_looked_at_and_stays_what_it_was():
    camera = Camera()
    driver = connected(Bus(), cameras={"head": camera})
    assert driver.cameras == ("head",)
    state = driver.read()
    assert (camera.is_open, camera.reads) == (True, 0)
    assert state.images["head"][0, 0, 0] == state.images["head"][0, 0, 0] == 1
    assert driver.read().images["head"][0, 0, 0] == 2
    driver.stop()
    assert not camera.is_open
