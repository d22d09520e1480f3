"""A simulated device: as fast as its joints may be, no farther than its range, and no faster on a fast computer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_kit import RATE_HZ, small_robot
from toy_arm import toy_arm

from egoscale_sdk.drivers import SimulatedDevice, WiredDriver, simulated_devices
from egoscale_sdk.errors import SafetyError
from egoscale_sdk.interfaces import RobotCommand
from egoscale_sdk.specs import WireJoint, WireSpec


def wired_robot(**wire):
    """Two joints of 2 rad/s and 0.2 m/s; the wire counts the first in halves of a radian, backwards."""
    joints = (WireJoint(joint="b"), WireJoint(joint="a", sign=-1, scale=0.5, **wire))
    return small_robot().model_copy(update={"wires": (WireSpec(device="hand", part="right_hand", joints=joints),)})


class Clock:
    now_ns = 0

    def __call__(self):
        return self.now_ns


def test_without_a_clock_every_command_takes_one_control_period():
    device = SimulatedDevice(wired_robot(), "hand")
    device.open()
    for step in range(1, 4):
        device.write(np.array([0.1, -2.0]))
        sample = device.read()
        assert sample.time_ns == round(1e9 * step / RATE_HZ)
        np.testing.assert_allclose(sample.data, [0.2 * step / RATE_HZ, -2 * 2.0 * step / RATE_HZ])


def test_with_a_clock_it_moves_as_time_goes_by():
    clock = Clock()
    device = SimulatedDevice(wired_robot(), "hand", clock=clock)
    device.open()
    device.write(np.array([0.1, -1.0]))
    assert device.read().data.tolist() == [0, 0]
    clock.now_ns = 10**8
    np.testing.assert_allclose(device.read().data, [0.02, -0.4])
    clock.now_ns = 10**10
    np.testing.assert_allclose(device.read().data, [0.1, -1.0])


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=20))
def test_it_never_leaves_its_range_nor_exceeds_its_speed(targets):
    device = SimulatedDevice(wired_robot(native_lower=-1.0, native_upper=0.0), "hand")
    device.open()
    path = [device.read().data]
    for target in targets:
        device.write(np.array(target))
        path.append(device.read().data)
    assert (np.array(path)[:, 1] >= -1).all()
    assert (np.array(path)[:, 1] <= 0).all()
    speed = np.abs(np.diff(path, axis=0)) * RATE_HZ
    assert (speed <= np.array([0.2, 4.0]) + 1e-9).all()


def test_it_starts_in_the_open_pose_and_stays_where_it_is_while_closed():
    hand = small_robot().hands[0].model_copy(update={"open_pose": (0.25, 0.05)})
    device = SimulatedDevice(wired_robot().model_copy(update={"hands": (hand,)}), "hand")
    with pytest.raises(SafetyError, match="device hand: is not open"):
        device.read()
    device.open()
    np.testing.assert_allclose(device.read().data, [0.05, -0.5])
    device.write(np.array([0.1, -0.5]))
    there = device.read().data
    device.close()
    device.close()
    device.open()
    np.testing.assert_array_equal(device.read().data, there)


def test_a_driver_over_simulated_devices_arrives_where_it_is_told():
    driver = WiredDriver(toy_arm(), simulated_devices(toy_arm()))
    driver.connect()
    command = RobotCommand({"right": np.eye(4)}, {"right": np.array([0.9, 0.03])})
    driver.write(command)  # the toy's joints have no speed limit
    np.testing.assert_allclose(driver.read().hands["right"], [0.9, 0.03])
