"""Joints: what moves, between which limits, in which unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from egoscale_sdk.specs.base import Name, Positive, Strict, unknown

JointUnit = Literal["rad", "m"]
MAX_LIMIT = {"rad": (13.0, "degrees"), "m": (10.0, "millimetres")}  # two turns; farther than any arm
ROUNDING = 1e-6  # of published limits and ratios


class MimicSpec(Strict):
    """This joint follows another: ``q = multiplier * q_joint + offset`` (offset in this joint's own unit)."""

    joint: Name
    multiplier: float = 1.0
    offset: float = 0.0


class JointSpec(Strict):
    """One joint of a hand or an arm; a revolute or continuous one counts in rad, a prismatic one in metres.

    A continuous joint has no limits. A joint with ``mimic`` is not part of any joint vector ``q``.
    """

    name: Name
    kind: Literal["revolute", "continuous", "prismatic"]
    lower_rad: float | None = None
    upper_rad: float | None = None
    velocity_rad_s: Positive | None = None
    acceleration_rad_s2: Positive | None = None
    effort_nm: Positive | None = None
    lower_m: float | None = None
    upper_m: float | None = None
    velocity_m_s: Positive | None = None
    acceleration_m_s2: Positive | None = None
    effort_n: Positive | None = None
    mimic: MimicSpec | None = None

    @model_validator(mode="after")
    def _units_match_kind(self) -> Self:
        metres = (self.lower_m, self.upper_m, self.velocity_m_s, self.acceleration_m_s2, self.effort_n)
        radians = (
            self.lower_rad,
            self.upper_rad,
            self.velocity_rad_s,
            self.acceleration_rad_s2,
            self.effort_nm,
        )
        wrong = radians if self.unit == "m" else metres
        if any(value is not None for value in wrong):
            raise ValueError(f"joint {self.name!r} is {self.kind}: its figures are in {self.unit}")
        lower, upper = self.lower, self.upper
        if self.kind == "continuous":
            if lower is not None or upper is not None:
                raise ValueError(f"joint {self.name!r} is continuous and has no limits")
        elif lower is None or upper is None or lower > upper:
            raise ValueError(f"joint {self.name!r} needs lower <= upper, has {lower}..{upper}")
        else:
            most, other = MAX_LIMIT[self.unit]
            if max(abs(lower), abs(upper)) > most:
                raise ValueError(f"joint {self.name!r}: {lower}..{upper} {self.unit} looks like {other}")
        return self

    @property
    def unit(self) -> JointUnit:
        """Unit of this joint's coordinate."""
        return "m" if self.kind == "prismatic" else "rad"

    @property
    def lower(self) -> float | None:
        """Lower limit in `unit`; None for a continuous joint."""
        return self.lower_m if self.unit == "m" else self.lower_rad

    @property
    def upper(self) -> float | None:
        """Upper limit in `unit`; None for a continuous joint."""
        return self.upper_m if self.unit == "m" else self.upper_rad

    @property
    def velocity(self) -> float | None:
        """Speed limit in `unit` per second, if known."""
        return self.velocity_m_s if self.unit == "m" else self.velocity_rad_s

    @property
    def acceleration(self) -> float | None:
        """Acceleration limit in `unit` per second squared, if known."""
        return self.acceleration_m_s2 if self.unit == "m" else self.acceleration_rad_s2

    def clamp(self, value: float) -> float:
        """Return the nearest value within the limits, in `unit`."""
        lower, upper = self.lower, self.upper
        value = value if lower is None else max(value, lower)
        return value if upper is None else min(value, upper)


def check_couplings(joints: Sequence[JointSpec]) -> None:
    """Refuse followers of nothing, and leaders whose range drives a follower beyond its own limits.

    Raises:
        ValueError: names both joints, the value of the leader and where the follower would be.
    """
    by_name = {joint.name: joint for joint in joints}
    for joint in joints:
        if joint.mimic is None:
            continue
        leader = by_name.get(joint.mimic.joint)
        if leader is None or leader is joint:
            problem = f"joint {joint.name!r} follows {joint.mimic.joint!r}, which is not another of the joints"
            raise unknown(problem, joint.mimic.joint, by_name)
        for value in (leader.lower, leader.upper):
            if value is None:
                continue
            reached = joint.mimic.multiplier * value + joint.mimic.offset
            if abs(joint.clamp(reached) - reached) > ROUNDING:
                raise ValueError(
                    f"joint {joint.name!r} ({joint.lower}..{joint.upper}) follows {leader.name!r} beyond its limits: "
                    f"{value} makes it {reached:.6g}; narrow {leader.name!r}"
                )
