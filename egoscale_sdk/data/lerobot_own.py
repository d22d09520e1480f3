"""What our own LeRobot exports say beyond LeRobot's form, so that they can be read again without a flag.

Written by the exporter and read by the importer: ``meta/egoscale.json``, some features that LeRobot's policies pass
over, and columns of ``meta/episodes``.
"""

from __future__ import annotations

from typing import Literal

from egoscale_sdk.specs import CameraStream, Strict
from egoscale_sdk.specs.base import VersionedId

OWN_FILE = "meta/egoscale.json"
STATE, ACTION = "observation.state", "action"
ACTION_VALID, STATE_VALID = "egoscale.action_valid", "egoscale.state_valid"
CONFIDENCE, MAP_ID = "egoscale.confidence", "egoscale.map_id"
SEEN = "egoscale.camera_seen"  # LeRobot takes every feature with "image" in its name for a picture
RAW_PREFIX = "egoscale.raw."
LABELS, CAPTIONS, CALIBRATION = "egoscale/labels", "egoscale/captions", "egoscale/calibration"


class OwnMeta(Strict):
    """``meta/egoscale.json``: what the rows mean, and where they came from."""

    format: Literal[1] = 1
    embodiment: VersionedId
    action_fingerprint: str
    action_set: str
    action_source: Literal["commanded", "observed"]
    lead_s: float
    has_state: bool
    base_frame: str
    wrist_source: Literal["tracker", "keypoints", "commanded", "arm_fk", "none"]
    cameras: tuple[CameraStream, ...] = ()
    raw: dict[str, tuple[int, ...]] = {}
    assumptions: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    dataset_uid: str
    dataset_version: int


def picture_feature(camera: str) -> str:
    """Name of the feature that holds a camera's pictures."""
    return f"observation.images.{camera}"
