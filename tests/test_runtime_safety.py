"""The safety filter: nothing that is not finite passes, nothing passes beyond a limit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_kit import at, command, small_robot

from egoscale_sdk.errors import SafetyError
from egoscale_sdk.geometry import make_pose, rotation_angle, rotation_from_rpy
from egoscale_sdk.interfaces import RobotCommand, RobotState
from egoscale_sdk.runtime.safety import SafetyFilter

PERIOD = 0.02


def ready(hand=(0.5, 0.05)):
    safety = SafetyFilter(small_robot(), ("right",))
    start = command(hand)
    safety.reset(RobotState(0, start.wrists, start.hands))
    return safety


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_and_the_last_command_stays(bad):
    safety = ready()
    before = safety.last
    wrist = at(0.0)
    wrist[0, 3] = bad
    for unfit in (command((bad, 0.0)), command((0.5, 0.05), wrist)):
        with pytest.raises(SafetyError, match="not finite"):
            safety.limit(unfit, PERIOD)
    assert safety.last is before


@pytest.mark.parametrize(
    ("unfit", "message"),
    [
        (command((0.1,)), "shape"),
        (RobotCommand({}, {"right": np.zeros(2)}), "no right wrist"),
        (command(wrist=np.eye(3)), "shape"),
        (command(wrist=2 * np.eye(4)), "not a rigid transform"),
        (command(wrist=np.diag([1.0, 1.0, -1.0, 1.0])), "not a rigid transform"),
    ],
)
def test_a_command_of_the_wrong_form_is_refused(unfit, message):
    with pytest.raises(SafetyError, match=message):
        ready().limit(unfit, PERIOD)


def test_nothing_passes_before_a_state_was_measured():
    with pytest.raises(SafetyError, match="no state"):
        SafetyFilter(small_robot(), ("right",)).limit(command(), PERIOD)


targets = st.tuples(st.floats(-10, 10), st.floats(-10, 10))


@given(st.lists(targets, min_size=1, max_size=30))
def test_position_velocity_and_acceleration_limits_hold_for_any_commands(wanted):
    safety = ready()
    passed = [safety.limit(command(hand), PERIOD).command.hands["right"] for hand in wanted]
    q = np.array([[0.5, 0.05], *passed])
    assert (q >= -1e-12).all()
    assert (q <= np.array([1.0, 0.1]) + 1e-12).all()
    v = np.diff(q, axis=0) / PERIOD
    assert (np.abs(v) <= np.array([2.0, 0.2]) + 1e-9).all()
    # Speeding up is limited; stopping at the end of the range is not, for there a stop is the safer thing.
    faster = np.diff(np.abs(v[:, 0]), prepend=0.0)
    assert (faster <= 20.0 * PERIOD + 1e-9).all()


def test_a_command_within_the_limits_passes_unchanged():
    safety = ready()
    wanted = command((0.504, 0.051), at(0.01))
    checked = safety.limit(wanted, PERIOD)
    assert checked.held_back == ()
    np.testing.assert_array_equal(checked.command.hands["right"], wanted.hands["right"])
    np.testing.assert_array_equal(checked.command.wrists["right"], wanted.wrists["right"])


def test_what_is_held_back_is_said():
    checked = ready().limit(command((5.0, 0.05), at(1.0)), PERIOD)
    assert checked.held_back == (
        "right_wrist speed",
        "right_hand position",
        "right_hand velocity",
        "right_hand acceleration",
    )


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-3, 3), st.floats(-3, 3))
def test_the_wrist_keeps_its_speed_and_its_turn_rate_and_arrives(x, y, roll, yaw):
    safety = ready()
    goal = make_pose(rotation_from_rpy([roll, 0.3, yaw]), np.array([x, y, 0.2]))
    pose = np.eye(4)
    for _ in range(150):
        new = safety.limit(command((0.5, 0.05), goal), PERIOD).command.wrists["right"]
        assert np.linalg.norm(new[:3, 3] - pose[:3, 3]) <= 1.0 * PERIOD + 1e-6
        assert rotation_angle(pose[:3, :3], new[:3, :3]) <= 3.0 * PERIOD + 1e-6
        pose = new
    np.testing.assert_allclose(pose, goal, atol=1e-6)


def test_holding_starts_again_at_rest():
    safety = ready((0.0, 0.0))
    for _ in range(5):
        safety.limit(command((1.0, 0.0)), PERIOD)
    held = safety.hold()
    after = safety.limit(command((1.0, 0.0)), PERIOD).command
    step = after.hands["right"][0] - held.hands["right"][0]
    assert step <= 20.0 * PERIOD**2 + 1e-12


@given(st.floats(0.0, 1.0))
def test_a_joint_with_an_acceleration_limit_arrives_without_overshooting(goal):
    safety = ready((0.0, 0.0))
    path = [safety.limit(command((goal, 0.0)), PERIOD).command.hands["right"][0] for _ in range(100)]
    assert max(path) <= goal + 1e-9
    assert path[-1] == pytest.approx(goal, abs=1e-6)
