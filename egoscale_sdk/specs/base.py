"""The base of every spec: frozen, closed to unknown fields, finite numbers only."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
Vec3 = tuple[float, float, float]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]*$", max_length=128)]


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
        w, x, y, z = self.quat_wxyz
        T = np.eye(4)
        T[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        T[:3, 3] = self.xyz_m
        return T


class Provenance(Strict):
    """Where a group of figures comes from, and what was decided where sources disagree.

    ``fields`` is a glob over dotted field paths, e.g. ``hands.*.joints.*.upper_rad``.
    """

    fields: str
    source: str
    note: str = ""
