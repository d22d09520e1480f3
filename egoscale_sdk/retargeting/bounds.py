"""Joint limits that survive float32: rounded towards the inside."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from egoscale_sdk.specs import HandSpec


def inward_float32(hand: HandSpec) -> tuple[Tensor, Tensor]:
    """Return lower and upper limits ``(J,)``: float64, exact in float32, never wider than the spec's."""
    lower = np.array([-1e6 if joint.lower is None else joint.lower for joint in hand.actuated])
    upper = np.array([1e6 if joint.upper is None else joint.upper for joint in hand.actuated])
    return torch.from_numpy(_round(lower, np.inf)), torch.from_numpy(_round(upper, -np.inf))


def _round(values: np.ndarray, towards: float) -> np.ndarray:
    rounded = values.astype(np.float32)
    outside = rounded < values if towards > 0 else rounded > values
    moved = np.nextafter(rounded, np.float32(towards))
    return np.where(outside, moved, rounded).astype(np.float64)
