"""The control loop: newest action by time, holds when there is none, stops for good when that lasts."""

import numpy as np
import pytest
from runtime_kit import Obedient, Scripted, at, constant

from egoscale_sdk.errors import SafetyError
from egoscale_sdk.runtime.loop import ControlLoop, Pacer
from egoscale_sdk.runtime.plan import Plan


def start(source, **settings):
    driver = Obedient()
    loop = ControlLoop(driver, source, **settings)
    loop.reset(0)
    return driver, loop


def test_the_hand_goes_where_the_plan_says():
    driver, loop = start(constant((0.8, 0.03), x=0.2))
    loop.run(1.0)
    np.testing.assert_allclose(driver.written[-1].hands["right"], [0.8, 0.03], atol=1e-9)
    np.testing.assert_allclose(driver.written[-1].wrists["right"], at(0.2), atol=1e-9)
    assert not loop.log.fault


def test_a_new_plan_is_asked_for_after_so_many_elements():
    source = constant((0.1, 0.0))
    _, loop = start(source, execute=4)
    loop.run(1.0)  # 20 elements of 50 ms
    assert source.calls == 5


def test_a_plan_is_followed_evenly_element_by_element_by_time():
    """At 50 Hz an element of 40 ms takes two periods; the wrist advances by half an element in each."""
    poses = np.stack([at(0.01 * (k + 1)) for k in range(16)])
    driver, loop = start(Scripted(lambda s: Plan(s.time_ns, 0.04, {"right": poses}, {"right": np.zeros((16, 2))})))
    loop.run(0.2)
    x = [written.wrists["right"][0, 3] for written in driver.written]
    np.testing.assert_allclose(x, 0.005 * np.arange(1, 11), atol=1e-9)


@pytest.mark.parametrize("where", [0, 9, 15])
def test_a_plan_with_nan_anywhere_moves_nothing_and_is_counted(where):
    rows = np.full((16, 2), 0.5)
    rows[where, 0] = np.nan
    driver, loop = start(
        Scripted(lambda s: Plan(s.time_ns, 0.05, {"right": np.repeat(np.eye(4)[None], 16, 0)}, {"right": rows}))
    )
    loop.run(0.1)
    assert all((written.hands["right"] == 0).all() for written in driver.written)
    assert any("not finite" in reason for reason in loop.log.counts)


def test_no_fit_action_holds_then_latches_a_fault_that_only_reset_clears():
    calls = []

    def fail(state):
        calls.append(state)
        raise SafetyError("the policy is gone")

    driver, loop = start(Scripted(fail))
    phases = [loop.tick().phase for _ in range(30)]
    assert phases[:10] == ["holding"] * 10  # stale_after_s = 0.2 at 50 Hz
    assert set(phases[11:]) == {"fault"}
    assert "no fit action" in loop.log.fault
    asked = len(calls)
    loop.run(1.0)
    assert len(calls) == asked, "a latched fault asks for nothing any more"
    assert all((written.hands["right"] == 0).all() for written in driver.written)
    loop.reset(1)
    assert loop.tick().phase == "holding"


def test_the_old_plan_is_followed_to_its_end_when_the_new_one_is_refused():
    first = constant((0.6, 0.0))

    def once(state):
        if first.calls:
            raise SafetyError("no more")
        return first.propose(state)

    driver, loop = start(Scripted(once), execute=4)
    loop.run(0.8)
    np.testing.assert_allclose(driver.written[-1].hands["right"], [0.6, 0.0], atol=1e-9)
    assert not loop.log.fault
    loop.run(0.5)
    assert "no fit action" in loop.log.fault


def test_a_state_that_does_not_change_latches_a_fault():
    driver, loop = start(constant((0.5, 0.0)))
    loop.run(0.1)
    driver.frozen = True
    loop.run(1.0)
    assert "has not changed" in loop.log.fault
    assert len(driver.written) < 25, "the run ends with the fault"


def test_run_stops_when_it_is_told_to():
    driver, loop = start(constant((0.5, 0.0)))
    assert loop.run(5.0, until=lambda tick: tick.state.time_ns >= 100_000_000) == 6
    assert len(driver.written) == 6


def test_limits_hold_against_a_policy_that_jumps():
    driver, loop = start(constant((9.0, 9.0), x=5.0))
    loop.run(2.0)
    q = np.stack([written.hands["right"] for written in driver.written])
    x = np.array([written.wrists["right"][0, 3] for written in driver.written])
    assert q.max(axis=0)[0] <= 1.0
    assert q.max(axis=0)[1] <= 0.1
    assert np.abs(np.diff(q[:, 0])).max() <= 2.0 / 50 + 1e-9
    assert np.diff(x).max() <= 1.0 / 50 + 1e-6
    assert loop.log.counts["right_wrist speed"] > 0


def test_a_late_period_is_not_made_up_for_by_a_burst():
    now, plan = [0.0], constant((0.1, 0.0))

    def sleep(seconds):
        now[0] += seconds

    def think(state):
        now[0] += 0.5 if plan.calls == 1 else 0.0  # the second inference takes 25 periods
        return plan.propose(state)

    _, loop = start(Scripted(think), execute=1, pacer=Pacer(lambda: now[0], sleep))
    times = []

    def note(tick):
        times.append(now[0])
        return False

    loop.run(0.4, until=note)
    steps = np.diff(times)
    assert max(steps) > 0.5
    assert min(steps[np.argmax(steps) :]) > 0.02 - 1e-9
