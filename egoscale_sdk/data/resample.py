"""Rows at other times than they were recorded: wrists by slerp, hands linearly, nothing across a gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import blend_poses, pose_from_vec9, vec9_from_pose
from egoscale_sdk.specs import RowLayout

Array = NDArray[Any]

SNAP = 0.02
"""A query this close to a row, as a share of the distance to the next, is that row: stamps have rounding."""
GAP_S = 0.5
GAP_PERIODS = 4.0


@dataclass(frozen=True)
class Brackets:
    """For each query the rows around it, how far it is from the first to the second, and whether that is allowed."""

    before: NDArray[np.int64]  # (H,)
    after: NDArray[np.int64]  # (H,)
    share: NDArray[np.float64]  # (H,) in [0, 1]
    usable: NDArray[np.bool_]  # (H,)


def bracket(time_ns: Array, query_ns: Array, fps: float) -> Brackets:
    """Find the rows around each query.

    Not usable are queries before the first or after the last row, and those within a gap: more than half a second
    and more than four periods between two rows.
    """
    last = len(time_ns) - 1
    before = np.clip(np.searchsorted(time_ns, query_ns, side="right") - 1, 0, last)
    after = np.minimum(before + 1, last)
    span = time_ns[after] - time_ns[before]
    share = np.clip((query_ns - time_ns[before]) / np.maximum(span, 1), 0, 1)
    share = np.where(share < SNAP, 0.0, np.where(share > 1 - SNAP, 1.0, share))
    share[after == before] = 0
    tolerance = SNAP * 1e9 / fps
    inside = (query_ns >= time_ns[0] - tolerance) & (query_ns <= time_ns[-1] + tolerance)
    whole = (share == 0) | (share == 1)
    return Brackets(before, after, share, inside & (whole | (span <= max(GAP_S, GAP_PERIODS / fps) * 1e9)))


def valid_between(before: Array, after: Array, share: Array) -> NDArray[np.bool_]:
    """Validity ``(..., G)`` of a mixture: every row that has a share in it must be valid."""
    part = share[..., None]
    both: NDArray[np.bool_] = ((before == 1) | (part == 1)) & ((after == 1) | (part == 0))
    return both


def mix_rows(before: Array, after: Array, share: Array, layout: RowLayout) -> NDArray[np.float64]:
    """Mix absolute rows ``(..., D)`` by ``share (...)``."""
    part = share[..., None]
    mixed: NDArray[np.float64] = (1 - part) * before.astype(np.float64) + part * after
    strictly = (share > 0) & (share < 1)
    if strictly.any():
        for side in layout.sides:
            block = layout.blocks[f"{side}_wrist"]
            a = pose_from_vec9(before[strictly][:, block].astype(np.float64))
            b = pose_from_vec9(after[strictly][:, block].astype(np.float64))
            mixed[strictly, block] = vec9_from_pose(blend_poses(a, b, share[strictly]))
    return mixed
