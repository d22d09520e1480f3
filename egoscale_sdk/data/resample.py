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

    before: NDArray[np.int64]  # (N, Q)
    after: NDArray[np.int64]  # (N, Q)
    share: NDArray[np.float64]  # (N, Q) in [0, 1]
    usable: NDArray[np.bool_]  # (N, Q)

    @property
    def between(self) -> NDArray[np.bool_]:
        """``(N, Q)`` where two rows have a part."""
        mixed: NDArray[np.bool_] = self.usable & (self.share > 0) & (self.share < 1)
        return mixed

    @property
    def newest(self) -> NDArray[np.int64]:
        """``(N, Q)`` newest row that is not after the query."""
        return np.where(self.share == 1, self.after, self.before)


def bracket(time_ns: Array, query_ns: Array, fps: float) -> Brackets:
    """Find the rows around each query, for N recordings at once.

    Not usable are queries before the first or after the last row, and those within a gap: more than half a second
    and more than four periods between two rows.

    Args:
        time_ns: ``(N, T)`` int64, none less than the one before.
        query_ns: ``(N, Q)``.
        fps: Nominal rows per second.
    """
    rows, last = np.arange(len(time_ns))[:, None], time_ns.shape[1] - 1
    before = np.clip(_rows_up_to(time_ns, query_ns) - 1, 0, last)
    after = np.minimum(before + 1, last)
    at = time_ns[rows, before]
    span = time_ns[rows, after] - at
    share = np.clip((query_ns - at) / np.maximum(span, 1), 0, 1)
    share[share < SNAP] = 0
    share[share > 1 - SNAP] = 1
    share[after == before] = 0
    tolerance = SNAP * 1e9 / fps
    inside = (query_ns >= time_ns[:, :1] - tolerance) & (query_ns <= time_ns[:, -1:] + tolerance)
    whole = (share == 0) | (share == 1)
    return Brackets(before, after, share, inside & (whole | (span <= max(GAP_S, GAP_PERIODS / fps) * 1e9)))


def _rows_up_to(time_ns: Array, query_ns: Array) -> NDArray[np.int64]:
    """Count the rows at or before each query: one search, the recordings laid end to end."""
    first = time_ns[:, :1]
    elapsed = time_ns - first
    asked = np.clip(query_ns - first, -1, elapsed[:, -1:] + 1).astype(np.int64)
    number = np.arange(len(time_ns))[:, None]
    lane = number * (int(elapsed[:, -1].max(initial=0)) + 4)
    found = np.searchsorted((elapsed + lane).ravel(), (asked + lane).ravel(), side="right")
    count: NDArray[np.int64] = found.reshape(asked.shape) - number * time_ns.shape[1]
    return count


def mix_rows(before: Array, after: Array, share: Array, layout: RowLayout) -> NDArray[np.float64]:
    """Mix absolute rows ``(N, D)`` by ``share (N,)``."""
    part = share[:, None]
    mixed: NDArray[np.float64] = (1 - part) * before.astype(np.float64) + part * after
    for side in layout.sides:
        block = layout.blocks[f"{side}_wrist"]
        a, b = (pose_from_vec9(rows[:, block].astype(np.float64)) for rows in (before, after))
        mixed[:, block] = vec9_from_pose(blend_poses(a, b, share))
    return mixed
