"""Retargeting: from a person's keypoints to a robot hand's joints."""

from egoscale_sdk.retargeting.gap import GapRetargeter, aperture_width
from egoscale_sdk.retargeting.keypoints import KeypointRetargeter

__all__ = ["GapRetargeter", "KeypointRetargeter", "aperture_width"]
