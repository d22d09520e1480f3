"""Interfaces: the few abstract classes that plugins implement."""

from egoscale_sdk.interfaces.action_space import ActionSpace, Chunk
from egoscale_sdk.interfaces.command import check_command, check_joints, check_limits, check_within
from egoscale_sdk.interfaces.embodiment import Capability, Embodiment, Frame, position_limits
from egoscale_sdk.interfaces.importer import Episode, ImageStream, Importer, LanguageSpan, Recording
from egoscale_sdk.interfaces.retargeter import Motion, Retargeter, RetargetResult
from egoscale_sdk.interfaces.sensor import Driver, RobotCommand, RobotState, Sample, Sensor

__all__ = [
    "ActionSpace",
    "Capability",
    "Chunk",
    "Driver",
    "Embodiment",
    "Episode",
    "Frame",
    "ImageStream",
    "Importer",
    "LanguageSpan",
    "Motion",
    "Recording",
    "RetargetResult",
    "Retargeter",
    "RobotCommand",
    "RobotState",
    "Sample",
    "Sensor",
    "check_command",
    "check_joints",
    "check_limits",
    "check_within",
    "position_limits",
]
