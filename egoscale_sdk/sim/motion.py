"""How a person moves in the task: reach, close, lift, each smoothly into the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egoscale_sdk.geometry import Floats, interpolate_poses, make_pose
from egoscale_sdk.sim.task import RATE_HZ, Scene
from egoscale_sdk.sim.world import OBJECT_HEIGHT_M, HandWorld

LIFT_M = 0.12
GRASP_POINT = np.array([0.048, 0.0, 0.085])  # in the wrist frame; one place serves people and the hands they lead
_BESIDE_M, _ABOVE_M = 0.03, 0.12
_GRASP_HEIGHT_M = OBJECT_HEIGHT_M / 2 + 0.005


@dataclass(frozen=True)
class Motion:
    """A motion in time with the control rate: wrist poses ``(T, 4, 4)`` and closure of the hand ``(T,)``.

    Closure 0 is the open hand, 1 the grasping posture in free air.
    """

    wrist: Floats
    closure: Floats


def plan_grasp(rng: np.random.Generator, scene: Scene, world: HandWorld, grasp_point: Floats = GRASP_POINT) -> Motion:
    """Plan one grasp of the object, with a person's variation in speed, path and posture.

    Args:
        rng: Source of the variation.
        scene: Where the object is and where the wrist starts.
        world: For the orientation of the grasp.
        grasp_point: Where in the wrist frame the object's axis shall be, metres.
    """
    R = world.grasp_rotation
    object_center = np.array([*scene.object_xy, _GRASP_HEIGHT_M])
    goal = object_center - R @ (grasp_point * [1, 0, 1])
    start = scene.wrist[:3, 3]
    reach_s = rng.uniform(0.9, 1.1) * np.clip(np.linalg.norm(goal - start) / 0.2, 1.0, 1.6)
    close_s, lift_s, hold_s = rng.uniform(0.55, 0.7), rng.uniform(0.7, 0.9), 0.5
    close_at = 0.88 * reach_s
    lift_at = max(close_at + 0.95 * close_s, reach_s)
    t = np.arange(0.0, lift_at + lift_s + hold_s, 1 / RATE_HZ)
    path = _reach(start, goal, R, rng, _smooth(t / reach_s))
    path[:, 2] += LIFT_M * _smooth((t - lift_at) / lift_s)
    turn = _turn(scene.wrist[:3, :3], R, _smooth(t / (0.8 * reach_s)))
    first = rng.uniform(0.0, 0.15)
    grip = rng.uniform(1.0, 1.1)
    closure = first * (1 - _smooth(t / (0.5 * reach_s))) + grip * _smooth((t - close_at) / close_s)
    return Motion(make_pose(turn, path), closure)


def _reach(start: Floats, goal: Floats, R: Floats, rng: np.random.Generator, s: Floats) -> Floats:
    """Bezier curve that comes down beside the object, so that it enters between thumb and fingers.

    A low sweep along the table would gather an object wherever it stood, and make the task easy to do blind.
    """
    before = goal - R[:, 0] * _BESIDE_M + [0.0, 0.0, _ABOVE_M]
    between = start + 0.35 * (before - start) + rng.uniform(-0.02, 0.02, 3)
    between[2] = max(start[2], before[2] + 0.02)
    points = np.stack([start, between, before, goal])
    u = s[:, None]
    weights = np.concatenate([(1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u**2 * (1 - u), u**3], axis=1)
    path: Floats = weights @ points
    return path


def _turn(first: Floats, last: Floats, s: Floats) -> Floats:
    ends = make_pose(np.stack([first, last]), np.zeros((2, 3)))
    turned: Floats = interpolate_poses(np.array([0, 10**9]), ends, np.rint(1e9 * s).astype(np.int64))[:, :3, :3]
    return turned


def _smooth(s: Floats) -> Floats:
    """Minimum-jerk progress from 0 at ``s <= 0`` to 1 at ``s >= 1``."""
    s = np.clip(s, 0.0, 1.0)
    return s**3 * (10 - 15 * s + 6 * s**2)
