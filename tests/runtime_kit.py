"""A small robot, a driver that does what it is told, and sources that say what a test wants."""

from collections.abc import Callable

import numpy as np

from egoscale_sdk.geometry import make_pose
from egoscale_sdk.interfaces import Driver, RobotCommand, RobotState
from egoscale_sdk.runtime.plan import Plan
from egoscale_sdk.runtime.sources import ActionSource
from egoscale_sdk.specs import parse_embodiment

RATE_HZ = 50.0


def small_robot():
    """Two joints: the first 0..1 rad, 2 rad/s, 20 rad/s2; the second prismatic, 0..0.1 m, 0.2 m/s."""
    revolute = {"lower_rad": 0.0, "upper_rad": 1.0, "velocity_rad_s": 2.0, "acceleration_rad_s2": 20.0}
    prismatic = {"lower_m": 0.0, "upper_m": 0.1, "velocity_m_s": 0.2}
    joints = [{"name": "a", "kind": "revolute"} | revolute, {"name": "b", "kind": "prismatic"} | prismatic]
    space = {"id": "test/hand@1", "columns": [{"name": "a", "unit": "rad"}, {"name": "b", "unit": "m"}]}
    table = {
        "id": "test/robot@1",
        "title": "test",
        "kind": "robot",
        "hands": [{"side": "right", "hand_space": space, "joints": joints}],
        "control": {"rate_hz": RATE_HZ, "wrist_speed_m_s": 1.0, "wrist_turn_rad_s": 3.0, "stale_after_s": 0.2},
    }
    return parse_embodiment(table, source="test")


def command(hand=(0.0, 0.0), wrist=None):
    return RobotCommand({"right": np.eye(4) if wrist is None else wrist}, {"right": np.array(hand, float)})


def at(x, y=0.0, z=0.0):
    return make_pose(np.eye(3), np.array([x, y, z]))


class Obedient(Driver):
    """Is at once where it is told to be; ``frozen`` stops its clock as a lost connection does."""

    def __init__(self, spec=None):
        self.spec = spec or small_robot()
        self.sides = ("right",)
        self.written: list[RobotCommand] = []
        self.frozen = False
        self._ticks = 0

    def connect(self):
        self._ticks = 0

    def read(self):
        last = self.written[-1] if self.written else command()
        return RobotState(round(1e9 * self._ticks / RATE_HZ), dict(last.wrists), dict(last.hands))

    def write(self, command):
        self.written.append(command)
        self._ticks += not self.frozen

    def stop(self):
        pass


class Scripted(ActionSource):
    """Asks a function for each plan and counts how often it was asked."""

    def __init__(self, propose: Callable[[RobotState], Plan]):
        self._propose, self.calls = propose, 0

    def reset(self, seed):
        self.calls = 0

    def propose(self, state):
        self.calls += 1
        return self._propose(state)


def constant(hand, x=0.0, length=16, dt_s=0.05):
    """A source whose plans all go to one place."""
    rows = np.repeat(np.array([hand], float), length, axis=0)
    poses = np.repeat(at(x)[None], length, axis=0)
    return Scripted(lambda state: Plan(state.time_ns, dt_s, {"right": poses}, {"right": rows}))
