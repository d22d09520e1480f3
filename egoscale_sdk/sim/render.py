"""Pictures of a world, with OpenGL where there is some and by casting rays where there is none.

Both draw the same thing: every visible geom in its own colour, lit from the camera, no shadows, no smoothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import EgoscaleError
from egoscale_sdk.sim.mj import mujoco, prepare_gl

Backend = Literal["auto", "gl", "rays"]
AMBIENT, DIFFUSE = 0.45, 0.55
FAR_M = 20.0
RAYS_UP_TO_PX = 128  # below this casting rays is the faster way, and the same on every machine


class Renderer(ABC):
    """Draws one size of picture of one model; call `close` when done."""

    @abstractmethod
    def render(self, data: Any, camera: str) -> NDArray[np.uint8]:
        """Return RGB ``(h, w, 3)`` from a named camera, at the positions that ``data`` holds."""

    @abstractmethod
    def close(self) -> None:
        """Free what the renderer holds."""


class GlRenderer(Renderer):
    """MuJoCo's own renderer through EGL (or whatever ``MUJOCO_GL`` names)."""

    def __init__(self, model: Any, height: int, width: int) -> None:
        mj = mujoco()
        prepare_gl()
        self._renderer = mj.Renderer(model, height, width)
        for flag in (mj.mjtRndFlag.mjRND_SHADOW, mj.mjtRndFlag.mjRND_REFLECTION, mj.mjtRndFlag.mjRND_HAZE):
            self._renderer.scene.flags[flag] = 0

    def render(self, data: Any, camera: str) -> NDArray[np.uint8]:
        """See `Renderer.render`."""
        self._renderer.update_scene(data, camera)
        picture: NDArray[np.uint8] = self._renderer.render()
        return picture.copy()

    def close(self) -> None:
        """Free the GL context."""
        self._renderer.close()


class RayRenderer(Renderer):
    """One ray per pixel against MuJoCo's own geoms; needs no graphics library."""

    def __init__(self, model: Any, height: int, width: int) -> None:
        self._model, self._shape = model, (height, width)
        self._colour = model.geom_rgba[:, :3].copy()
        self._rays: dict[int, NDArray[np.float64]] = {}
        count = height * width
        self._geom = np.empty(count, np.int32)
        self._distance = np.empty(count)
        self._normal = np.empty((count, 3))

    def render(self, data: Any, camera: str) -> NDArray[np.uint8]:
        """See `Renderer.render`."""
        index = self._model.camera(camera).id
        R = data.cam_xmat[index].reshape(3, 3)
        rays = self._camera_rays(index) @ R.T
        args = (data.cam_xpos[index], rays.ravel(), None, True, -1)
        out = (self._geom, self._distance, self._normal.ravel(), len(rays), FAR_M)
        mujoco().mj_multiRay(self._model, data, *args, *out)
        facing = np.clip(self._normal @ R[:, 2], 0.0, 1.0)  # a camera looks along its own -z
        shade = (AMBIENT + DIFFUSE * facing)[:, None] * self._colour[self._geom]
        shade[self._geom < 0] = 0.0
        picture: NDArray[np.uint8] = np.clip(np.rint(255.0 * shade), 0, 255).astype(np.uint8)
        return picture.reshape(*self._shape, 3)

    def close(self) -> None:
        """Nothing is held outside Python."""

    def _camera_rays(self, index: int) -> NDArray[np.float64]:
        """Return the unit rays of all pixels in the camera's own frame, ``(h*w, 3)``."""
        if index not in self._rays:
            height, width = self._shape
            half = np.tan(np.deg2rad(self._model.cam_fovy[index]) / 2)
            y = half * (1 - (2 * np.arange(height) + 1) / height)
            x = half * ((2 * np.arange(width) + 1) - width) / height
            grid = np.stack([*np.meshgrid(x, y), np.full(self._shape, -1.0)], axis=-1).reshape(-1, 3)
            self._rays[index] = grid / np.linalg.norm(grid, axis=-1, keepdims=True)
        return self._rays[index]


def make_renderer(model: Any, height: int, width: int, backend: Backend = "auto") -> Renderer:
    """Return a renderer; ``auto`` casts rays for small pictures and takes OpenGL, if it works here, for large ones.

    Raises:
        EgoscaleError: ``gl`` was asked for and does not work here; the hint names the packages.
    """
    if backend == "rays" or (backend == "auto" and height <= RAYS_UP_TO_PX):
        return RayRenderer(model, height, width)
    try:
        return GlRenderer(model, height, width)
    except Exception as error:
        if backend == "gl":
            raise EgoscaleError(
                f"OpenGL rendering does not work here: {error}",
                hint="run: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri, or draw with rays",
            ) from None
        return RayRenderer(model, height, width)
