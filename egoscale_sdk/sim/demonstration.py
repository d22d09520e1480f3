"""One episode of the task, done by whoever leads the hand, and everything that was seen and said meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats
from egoscale_sdk.sim.motion import Motion, plan_grasp
from egoscale_sdk.sim.operator import Operator
from egoscale_sdk.sim.person import KEYPOINTS
from egoscale_sdk.sim.task import RATE_HZ, LiftCheck, Scene, draw_scene, look_at
from egoscale_sdk.sim.world import HandWorld
from egoscale_sdk.specs import HandSpec

_ATTEMPTS = 20
_ENGAGE_S = 0.4


@dataclass(frozen=True)
class Demonstration:
    """An episode at the control rate; row k is what held when the command of row k was given.

    Attributes:
        time_ns: ``(T,)`` int64.
        wrist: Measured wrist poses in the world, ``(T, 4, 4)``.
        joints: Measured hand vectors, ``(T, J)``.
        wrist_command: Commanded wrist poses, ``(T, 4, 4)``.
        joint_command: Commanded hand vectors, ``(T, J)``.
        keypoints: A person's 21 keypoints in the world, ``(T, 21, 3)``; None for a robot hand.
        camera: Optical pose of the head camera in the world, ``(T, 4, 4)``.
        images: RGB pictures, ``(T, h, w, 3)``.
        success: Whether the object was lifted.
    """

    time_ns: NDArray[np.int64]
    wrist: Floats
    joints: Floats
    wrist_command: Floats
    joint_command: Floats
    keypoints: Floats | None
    camera: Floats
    images: NDArray[np.uint8]
    success: bool


def demonstrate(
    world: HandWorld, operator: Operator, seed: tuple[int, ...], image_px: int = 64, *, person: bool = False
) -> Demonstration:
    """Return the first successful episode of this seed; a failed attempt is thrown away, as a recordist would.

    A person's head moves a little; a robot's camera stays where it was mounted that day.

    Raises:
        DataError: this hand does not seem able to do it.
    """
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng((*seed, attempt))
        episode = record(world, operator, rng, image_px, person=person)
        if episode.success:
            return episode
    hand = f"the {world.hand.side} hand of space {world.hand.hand_space.id}"
    raise DataError(
        f"{hand} did not lift the object in {_ATTEMPTS} attempts",
        hint="look at its bodies, dynamics and finger roles: egoscale embodiments show ID",
    )


def record(
    world: HandWorld, operator: Operator, rng: np.random.Generator, image_px: int = 64, *, person: bool = False
) -> Demonstration:
    """Record one attempt, successful or not."""
    scene = draw_scene(rng, world)
    motion = plan_grasp(rng, scene, world)
    commands = engaged(world, operator.commands(motion.closure, rng))
    cameras = _head_motion(rng, scene, len(commands)) if person else np.repeat(scene.camera[None], len(commands), 0)
    world.reset(scene.wrist, rest_pose(world.hand), scene.object_xy, cameras[0])
    check = LiftCheck()
    rows: list[tuple[NDArray[Any], ...]] = []
    for wrist, joints, camera in zip(motion.wrist, commands, cameras, strict=True):
        world.set_camera(camera)
        keypoints = world.positions(KEYPOINTS) if person else np.empty(0)
        rows.append((world.wrist, world.joints, keypoints, world.picture(image_px, image_px)))
        world.step(wrist, joints, 1 / RATE_HZ)
        check.update(world)
    return _collect(rows, motion, commands, cameras, check.done, person)


def rest_pose(hand: HandSpec) -> Floats:
    """Return the hand vector in which every episode begins: the open pose of the spec."""
    return np.array(hand.open_pose or (0.0,) * len(hand.actuated))


def engaged(world: HandWorld, commands: Floats) -> Floats:
    """Let the commands take over from the rest pose gradually, as an operator's clutch does."""
    share = np.clip(np.arange(len(commands)) / (_ENGAGE_S * RATE_HZ), 0.0, 1.0)[:, None]
    rest = rest_pose(world.hand)
    return rest + share * (commands - rest)


def _collect(
    rows: list[tuple[NDArray[Any], ...]], motion: Motion, commands: Floats, cameras: Floats, success: bool, person: bool
) -> Demonstration:
    wrist, joints, keypoints, images = (np.stack(column) for column in zip(*rows, strict=True))
    return Demonstration(
        time_ns=np.rint(np.arange(len(commands)) * 1e9 / RATE_HZ).astype(np.int64),
        wrist=wrist,
        joints=joints,
        wrist_command=motion.wrist,
        joint_command=commands,
        keypoints=keypoints if person else None,
        camera=cameras,
        images=images,
        success=success,
    )


def _head_motion(rng: np.random.Generator, scene: Scene, length: int) -> Floats:
    """Sway the head: slow sines of up to 12 mm in place and 8 mm in what is looked at."""
    t = np.arange(length)[:, None] / RATE_HZ
    frequency, phase = rng.uniform(0.15, 0.5, (2, 3)), rng.uniform(0, 2 * np.pi, (2, 3))
    eye_sway, gaze_sway = (np.sin(2 * np.pi * f * t + p) - np.sin(p) for f, p in zip(frequency, phase, strict=True))
    eye = scene.camera[:3, 3] + 0.006 * eye_sway
    gaze = scene.camera[:3, 3] + 0.6 * scene.camera[:3, 2] + 0.004 * gaze_sway
    poses: Floats = np.stack([look_at(*pair) for pair in zip(eye, gaze, strict=True)])
    return poses
