"""Joints: what moves, between which limits, in which unit."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from egoscale_sdk.specs.base import Name, Strict

JointUnit = Literal["rad", "m"]


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
    velocity_rad_s: float | None = None
    acceleration_rad_s2: float | None = None
    effort_nm: float | None = None
    lower_m: float | None = None
    upper_m: float | None = None
    velocity_m_s: float | None = None
    acceleration_m_s2: float | None = None
    effort_n: float | None = None
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
