"""The base of every spec: frozen, closed to unknown fields, finite numbers only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from egoscale_sdk.errors import SpecError, did_you_mean
from egoscale_sdk.geometry import make_pose, rotation_from_quaternion
from egoscale_sdk.ids import parse_id

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
Vec3 = tuple[float, float, float]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]*$", max_length=128)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


def _with_version(text: str) -> str:
    try:
        parse_id(text, versioned=True)
    except SpecError as error:
        raise ValueError(str(error)) from None
    return text


VersionedId = Annotated[str, AfterValidator(_with_version)]
"""Text of the form ``namespace/name@N``; see `egoscale_sdk.ids`."""


def unknown(problem: str, name: str, allowed: Iterable[str]) -> ValueError:
    """Make the error for a name that is not among the allowed ones: the problem, and the closest of them."""
    guess = did_you_mean(name, allowed)
    return ValueError(f"{problem}; {guess}" if guess else problem)


def check_distinct(what: str, names: Iterable[str]) -> None:
    """Raise ValueError for the first name that is given more than once."""
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{what} {name!r} occurs {count} times")


class Strict(BaseModel):
    """A value: immutable, no unknown fields, no infinities, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PoseSpec(Strict):
    """A rigid transform ``T_a_b`` (pose of b in a): translation in metres, unit quaternion wxyz."""

    xyz_m: Vec3 = (0.0, 0.0, 0.0)
    quat_wxyz: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    @field_validator("quat_wxyz")
    @classmethod
    def _unit(cls, value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        if abs(float(np.linalg.norm(value)) - 1.0) > 1e-6:
            raise ValueError(f"quat_wxyz must have norm 1, has {float(np.linalg.norm(value)):.6g}")
        return value

    def matrix(self) -> NDArray[np.float64]:
        """Return the 4x4 homogeneous transform, float64."""
        return make_pose(rotation_from_quaternion(self.quat_wxyz), self.xyz_m).astype(np.float64)


class Provenance(Strict):
    """Where a group of figures comes from, and what was decided where sources disagree.

    ``fields`` lists globs, parted by commas, over dotted field paths of the table that holds this; ``*`` matches any
    characters, a path covers what is below it, and a member of a list goes by its name (of a joint, link, device or
    role) or its number, e.g. ``joints.*.upper_rad, bodies.palm_link``.
    """

    fields: str
    source: str
    note: str = ""
