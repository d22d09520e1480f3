"""From the command line to a vendor's driver: its settings, and a loop over a simulated device."""

import numpy as np
import pytest
from runtime_kit import Scripted

from egoscale_sdk.cli.run import driver_settings
from egoscale_sdk.errors import EgoscaleError, PluginError
from egoscale_sdk.host import PluginHost
from egoscale_sdk.runtime.loop import ControlLoop
from egoscale_sdk.runtime.plan import Plan
from egoscale_sdk.runtime.session import Settings, _driver_settings
from egoscale_sdk.testing.fakes import GOOD_ID


def test_settings_are_read_as_what_they_look_like():
    pairs = [
        "port=/dev/ttyUSB0",
        "baud=115200",
        "gain=0.5",
        "torque=true",
        "serial=00123",
        'name="7"',
        "empty=",
        "a=b=c",
    ]
    assert driver_settings(pairs) == {
        "port": "/dev/ttyUSB0",
        "baud": 115200,
        "gain": 0.5,
        "torque": True,
        "serial": "00123",
        "name": "7",
        "empty": "",
        "a": "b=c",
    }


@pytest.mark.parametrize("text", ["null", "[1]", "{}"])
def test_a_value_of_no_simple_kind_is_text(text):
    assert driver_settings([f"x={text}"]) == {"x": text}


@pytest.mark.parametrize("pair", ["port", "=1", "a b=1", ""])
def test_a_pair_that_is_none_is_refused(pair):
    with pytest.raises(EgoscaleError, match=r"--set: is .*; allowed: name=value"):
        driver_settings([pair])


def host():
    return PluginHost({"fake": "egoscale_sdk.testing.fakes.plugin"})


def test_the_settings_reach_the_factory_and_a_wrong_one_is_named():
    asked = Settings(driver="fake", driver_settings={"port": "simulated"})
    assert _driver_settings(asked, None) == {"port": "simulated"}
    spec = host().spec(GOOD_ID)
    assert host().driver("fake", spec, port="simulated").sides == ("left", "right")
    with pytest.raises(EgoscaleError, match="there is no port '/dev/x'; allowed: simulated"):
        host().driver("fake", spec, port="/dev/x")
    with pytest.raises(PluginError, match="unexpected keyword argument 'prt'"):
        host().driver("fake", spec, prt=1)


def test_the_control_loop_brings_a_simulated_hand_to_its_goal_and_holds_it_there():
    driver = host().driver("fake", host().spec(GOOD_ID))
    driver.connect()
    goals = {
        "left": np.array([1.0, 0.5, 0.4, 0.1, 0.7, 0.8, 0.9, 1.0]),
        "right": np.array([0.0, 9.0, 0, -9.0, 0, 0, 0, 0]),  # two joints beyond their limits: they stop there
    }
    wrists = {side: np.repeat(np.eye(4)[None], 16, axis=0) for side in goals}
    rows = {side: np.repeat(q[None], 16, axis=0) for side, q in goals.items()}
    loop = ControlLoop(driver, Scripted(lambda state: Plan(state.time_ns, 0.05, wrists, rows)))
    loop.reset(0)
    loop.run(2.0)
    assert loop.log.fault == ""
    assert set(loop.log.counts) >= {"right_hand position"}
    hands = driver.read().hands
    np.testing.assert_allclose(hands["left"], goals["left"], atol=1e-6)
    np.testing.assert_allclose(hands["right"], [0.0, 1.2, 0, -0.3, 0, 0, 0, 0], atol=1e-6)
    driver.stop()
