"""The task: pick up one red cylinder whose place, and whose view, change from episode to episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egoscale_sdk.geometry import Floats, make_pose, rotation_from_rpy
from egoscale_sdk.sim.world import OBJECT_HEIGHT_M, HandWorld
from egoscale_sdk.specs import Side

PROMPT = "pick up the red cylinder"
RATE_HZ = 20.0
OBJECT_SPREAD_M = 0.13
SUCCESS_LIFT_M = 0.05
SUCCESS_HOLD_NS = 450_000_000
# For a right hand; a left hand does it in the mirror.
_START, _START_SPREAD = np.array([-0.19, -0.23, 0.20]), np.array([0.035, 0.035, 0.03])
_START_TURN_RAD = np.array([0.15, 0.15, 0.25])
_EYE, _EYE_SPREAD = np.array([-0.22, 0.035, 0.64]), np.array([0.03, 0.03, 0.03])
_GAZE, _GAZE_SPREAD = np.array([0.0, -0.065, 0.09]), np.array([0.015, 0.015, 0.01])


@dataclass(frozen=True)
class Scene:
    """Where an episode begins; the policy is told none of it.

    Attributes:
        object_xy: Centre of the object on the table, metres.
        wrist: Start pose of the wrist, 4x4 in the world.
        camera: Optical pose of the head camera, 4x4 in the world.
    """

    object_xy: Floats
    wrist: Floats
    camera: Floats


def draw_scene(rng: np.random.Generator, world: HandWorld) -> Scene:
    """Draw object, start pose and camera, each independently and uniformly."""
    flip = mirror(world.hand.side)
    object_xy = rng.uniform(-OBJECT_SPREAD_M, OBJECT_SPREAD_M, 2)
    turn = rotation_from_rpy(rng.uniform(-_START_TURN_RAD, _START_TURN_RAD))
    start = _START * flip + rng.uniform(-_START_SPREAD, _START_SPREAD)
    camera = look_at(
        _EYE * flip + rng.uniform(-_EYE_SPREAD, _EYE_SPREAD), _GAZE * flip + rng.uniform(-_GAZE_SPREAD, _GAZE_SPREAD)
    )
    return Scene(object_xy, make_pose(turn @ world.grasp_rotation, start), camera)


def mirror(side: Side) -> Floats:
    """Signs that turn a right hand's place into that of ``side``."""
    return np.array([1.0, 1.0 if side == "right" else -1.0, 1.0])


def look_at(eye: Floats, gaze: Floats) -> Floats:
    """Optical pose (x right, y down, z ahead) of an upright camera at ``eye`` that looks at ``gaze``."""
    ahead = (gaze - eye) / np.linalg.norm(gaze - eye)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose: Floats = make_pose(np.stack([right, np.cross(ahead, right), ahead], axis=1), eye)
    return pose


class LiftCheck:
    """Success: the object's centre stays more than 5 cm above its rest for 0.45 s."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self.done = False

    def update(self, world: HandWorld) -> bool:
        """Look at the world after a control step; return whether the task is done, at this moment."""
        lifted = world.object_position[2] - OBJECT_HEIGHT_M / 2 > SUCCESS_LIFT_M
        if not lifted:
            self._since_ns = None
        elif self._since_ns is None:
            self._since_ns = world.time_ns
        self.done = self._since_ns is not None and world.time_ns - self._since_ns >= SUCCESS_HOLD_NS
        return self.done
