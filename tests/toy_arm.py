"""A spec for tests: a right hand of two joints on a commanded wrist, recorded as LeRobot in two ways."""

import tomllib

from egoscale_sdk.specs import EmbodimentSpec, parse_embodiment

SPEC = """
id = "toy/arm@1"
title = "A toy"
kind = "robot"
control = { rate_hz = 20.0 }

[[wires]]
device = "fingers"
part = "right_hand"
joints = [
  { joint = "slide", scale = 0.04, native_unit = "1", native_lower = 0, native_upper = 1 },
  { joint = "bend", sign = -1, scale = 0.01, offset = 1.0, native_unit = "%", native_lower = 0, native_upper = 100 },
]

[[recordings]]
robot_type = "toy_arm"
state = [{ start = 0, stop = 2, part = "right_hand" }, { start = 2, stop = 9, part = "ignored" }]
action = [{ start = 0, stop = 2, part = "right_hand" }, { start = 2, stop = 9, part = "ignored" }]

[[recordings]]
robot_type = "toy_wired"
lead_s = 0.1
assumptions = ["a toy"]
state = [
  { start = 0, stop = 7, part = "right_wrist", encoding = "xyz_xyzw" },
  { start = 7, stop = 9, part = "right_hand", encoding = "fingers" },
]
action = [
  { start = 0, stop = 7, part = "right_wrist", encoding = "xyz_wxyz" },
  { start = 7, stop = 9, part = "right_hand" },
]

[[hands]]
side = "right"
hand_space = { id = "toy/two@1", columns = [{ name = "bend", unit = "rad" }, { name = "slide", unit = "m" }] }
joints = [
  { name = "bend", kind = "revolute", lower_rad = 0.0, upper_rad = 1.0 },
  { name = "slide", kind = "prismatic", lower_m = 0.0, upper_m = 0.04 },
]
"""


def toy_arm(**changes: object) -> EmbodimentSpec:
    """Return the toy's spec, with some top-level fields changed."""
    return parse_embodiment(tomllib.loads(SPEC) | changes, source="toy")
