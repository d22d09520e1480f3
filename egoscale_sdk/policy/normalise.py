"""Between physical units and the policy's numbers around [-1, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.scales import Scale
from egoscale_sdk.specs import RowLayout


def normalise_columns(
    scale: Scale, layout: RowLayout, values: NDArray[Any], mask: NDArray[np.bool_], clip: float
) -> NDArray[np.float32]:
    """Normalise ``(*b, D)`` in a layout; outliers are clipped, except those of rot6d, and masked columns are 0."""
    bounds = np.where(np.array(layout.units) == "1", np.inf, clip)
    scaled = np.clip(scale.normalise(values), -bounds, bounds)
    return np.where(mask, scaled, 0).astype(np.float32)
