"""Retargeting: from a person's keypoints to a robot hand's joints."""

from egoscale_sdk.retargeting.gap import GapRetargeter, aperture_width
from egoscale_sdk.retargeting.keypoints import KeypointRetargeter
from egoscale_sdk.retargeting.online import OnlineRetargeter

__all__ = ["GapRetargeter", "KeypointRetargeter", "OnlineRetargeter", "aperture_width"]
