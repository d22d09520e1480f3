"""The simulated hand as a driver: the same door as a robot's, with a task behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import SafetyError, SpecError
from egoscale_sdk.interfaces import Driver, RobotCommand, RobotState, check_command, check_limits
from egoscale_sdk.sim.demonstration import rest_pose
from egoscale_sdk.sim.render import Backend
from egoscale_sdk.sim.task import PROMPT, LiftCheck, draw_scene
from egoscale_sdk.sim.world import CAMERA, HandWorld
from egoscale_sdk.specs import EmbodimentSpec, Side

EVALUATION = 2  # first number of every seed here; demonstrations use another, so no scene is ever in both


class MujocoDriver(Driver):
    """One hand of an embodiment in MuJoCo, its wrist commanded directly, before the grasp task.

    Args:
        spec: The embodiment; the hand needs a kinematic tree and bodies.
        side: Which hand is there; by default the right one if the embodiment has it.
        seed: Scene of the first episode.
        image_px: Height and width of the pictures; by default those of the spec's head camera, or 64 without one.
        renderer: ``auto``, ``gl`` or ``rays``.
    """

    prompt = PROMPT

    def __init__(
        self,
        spec: EmbodimentSpec,
        *,
        side: Side | None = None,
        seed: int = 0,
        image_px: int | None = None,
        renderer: Backend = "auto",
    ) -> None:
        present = [hand.side for hand in spec.hands]
        side = side or ("right" if "right" in present else "left")
        if side not in present:
            raise SpecError(f"{spec.id} has no {side} hand", allowed=present)
        self.spec, self.sides = spec, (side,)
        self._size_px = _camera_size(spec) if image_px is None else (image_px, image_px)
        self._seed, self._renderer = seed, renderer
        self._world: HandWorld | None = None
        self._check = LiftCheck()

    def connect(self) -> None:
        """Build the world and put the first scene in it."""
        if self._world is None:
            self._world = HandWorld(self.spec.hand(self.sides[0]))
        self.reset(self._seed)

    def reset(self, seed: int) -> None:
        """Begin a new episode: object, start pose and camera are drawn from ``seed``."""
        world = self.world
        scene = draw_scene(np.random.default_rng((EVALUATION, seed)), world)
        world.reset(scene.wrist, rest_pose(world.hand), scene.object_xy, scene.camera)
        self._check = LiftCheck()

    def read(self) -> RobotState:
        """Return what is measured now; the picture is drawn when it is looked at."""
        world, side = self.world, self.sides[0]
        wrist, joints = np.asarray(world.wrist, np.float64), np.asarray(world.joints, np.float64)
        return RobotState(world.time_ns, {side: wrist}, {side: joints}, _Picture(self))

    def write(self, command: RobotCommand) -> None:
        """Simulate one control period towards the command.

        Raises:
            SafetyError: the command is not finite, lacks the side, has a wrong shape or leaves the limits.
        """
        side = self.sides[0]
        check_command(command, self.spec, self.sides)
        check_limits(command, self.spec, self.sides)
        self.world.step(command.wrists[side], command.hands[side], 1 / self.spec.control.rate_hz)
        self._check.update(self.world)

    def stop(self) -> None:
        """Free the world."""
        if self._world is not None:
            self._world.close()
            self._world = None

    @property
    def cameras(self) -> tuple[str, ...]:
        """The head camera; the simulation has no other."""
        return (CAMERA,)

    @property
    def world(self) -> HandWorld:
        """The world, once connected."""
        if self._world is None:
            raise SafetyError("is not connected", where="the simulation", hint="call connect() first")
        return self._world

    @property
    def succeeded(self) -> bool:
        """Whether the task is done, now."""
        return self._check.done

    def picture(self, size_px: int | None = None) -> NDArray[np.uint8]:
        """Return what the head camera sees now, RGB, as large as it is or ``(size_px, size_px, 3)``."""
        height, width = (size_px, size_px) if size_px else self._size_px
        return self.world.picture(height, width, self._renderer)


def _camera_size(spec: EmbodimentSpec) -> tuple[int, int]:
    """Height and width of the spec's head camera, or of the one that stands in for it."""
    sizes = [(camera.height_px, camera.width_px) for camera in spec.cameras if camera.name == CAMERA]
    return sizes[0] if sizes else (64, 64)


class _Picture(Mapping[str, NDArray[np.uint8]]):
    """The head camera's picture of the moment it is first asked for, which is the moment of the reading."""

    def __init__(self, driver: MujocoDriver) -> None:
        self._driver = driver
        self._picture: NDArray[np.uint8] | None = None

    def __getitem__(self, camera: str) -> NDArray[np.uint8]:
        if camera != CAMERA:
            raise KeyError(camera)
        if self._picture is None:
            self._picture = self._driver.picture()
        return self._picture

    def __iter__(self) -> Iterator[str]:
        return iter((CAMERA,))

    def __len__(self) -> int:
        return 1
