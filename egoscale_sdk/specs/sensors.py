"""Sensors that an embodiment carries, known before anything is connected."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from egoscale_sdk.specs.base import Name, PoseSpec, Positive, Strict


class CameraSpec(Strict):
    """A colour camera. ``T_mount_camera`` is optical (x right, y down, z forward); None where calibrated per robot."""

    kind: Literal["camera"] = "camera"
    name: Name
    mount: Literal["head", "left_wrist", "right_wrist", "torso", "world"]
    height_px: int = Field(gt=0, le=8192)
    width_px: int = Field(gt=0, le=8192)
    rate_hz: Positive
    T_mount_camera: PoseSpec | None = None
    vertical_fov_rad: float | None = Field(gt=0, lt=math.pi, default=None)


class TactileSpec(Strict):
    """A tactile sensor: ``channels`` frames of ``shape``, in ``unit``."""

    kind: Literal["tactile"] = "tactile"
    name: Name
    frame: Name
    shape: tuple[Annotated[int, Field(gt=0)], ...]
    unit: str
    rate_hz: Positive


SensorSpec = Annotated[CameraSpec | TactileSpec, Field(discriminator="kind")]
