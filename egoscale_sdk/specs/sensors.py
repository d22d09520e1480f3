"""Sensors that an embodiment carries, known before anything is connected."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from egoscale_sdk.specs.base import Name, PoseSpec, Strict


class CameraSpec(Strict):
    """A colour camera. ``T_mount_camera`` is optical (x right, y down, z forward); None where calibrated per robot."""

    kind: Literal["camera"] = "camera"
    name: Name
    mount: Literal["head", "left_wrist", "right_wrist", "torso", "world"]
    height_px: int = Field(gt=0, le=8192)
    width_px: int = Field(gt=0, le=8192)
    rate_hz: float = Field(gt=0)
    T_mount_camera: PoseSpec | None = None
    vertical_fov_rad: float | None = None


class TactileSpec(Strict):
    """A tactile sensor: ``channels`` frames of ``shape``, in ``unit``."""

    kind: Literal["tactile"] = "tactile"
    name: Name
    frame: Name
    shape: tuple[int, ...]
    unit: str
    rate_hz: float = Field(gt=0)


SensorSpec = Annotated[CameraSpec | TactileSpec, Field(discriminator="kind")]
