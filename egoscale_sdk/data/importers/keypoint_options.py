"""Flags of ``egoscale import keypoints``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from egoscale_sdk.data.importers.exchange import KeypointFrame, ScaleStatus
from egoscale_sdk.data.importers.keypoint_table import SideChoice
from egoscale_sdk.data.importers.sources import HumanOptions


class KeypointsOptions(HumanOptions):
    """Flags of ``egoscale import keypoints``; what a file says itself need not be given."""

    layout: str | None = Field(default=None, description="Joint order of the tracker, e.g. mediapipe or hololens.")
    side: SideChoice | None = Field(default=None, description="Which hand the file is of, or which to keep.")
    frame: KeypointFrame | None = Field(default=None, description="Frame of the keypoints; the camera's unless known.")
    camera: Literal["tracked", "static"] = Field(
        default="tracked", description="static: the camera stood still. Otherwise wrists without a pose are masked."
    )
    scale: float | None = Field(default=None, gt=0, description="Metres per unit of the camera trajectory.")
    scale_status: ScaleStatus | None = Field(default=None, description="What the unit of the trajectory is.")
    mask_wrists: bool = Field(default=False, description="Import without wrist poses, whatever the trajectory.")
    rate_hz: float | None = Field(default=None, gt=0, description="Rows per second, where there are no time stamps.")
    trajectory: Path | None = Field(default=None, description="Camera trajectory: TUM lines or 4x4 matrices.")
    video: Path | None = Field(default=None, description="Video with one frame per row.")
