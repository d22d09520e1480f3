"""Absolute rows that the action checks use, and relative wrist motion written out by its definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.specs import EmbodimentSpec, RowLayout
from egoscale_sdk.testing.numpy_body import Array, configurations
from egoscale_sdk.testing.subject import Subject

BATCH, LENGTH = 4, 16
WORKSPACE_M, REACH_M = 2.0, 0.2
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Motion:
    """Rows that are all valid: wrists anywhere, turned anyhow, hands within their limits.

    Attributes:
        layout: Columns of a row.
        rows: Absolute target rows, ``(B, H, D)``.
        state: The measured row at the observation, ``(B, D)``.
        valid: ``(B, H, G)`` per group of the layout.
        state_valid: ``(B, G)``.
    """

    layout: RowLayout
    rows: Array
    state: Array
    valid: Bools
    state_valid: Bools

    def wrist_blocks(self) -> dict[str, slice]:
        """Return the columns of every wrist by the name of its group."""
        return {group: block for group, block in self.layout.blocks.items() if group.endswith("_wrist")}

    def columns(self, valid: Bools) -> Bools:
        """Spread a mask over groups ``(*b, G)`` to one over columns ``(*b, D)``."""
        widths = [block.stop - block.start for block in self.layout.blocks.values()]
        return np.repeat(valid, widths, axis=-1)

    def each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Motion:
        """Return the motion with all of its arrays changed alike, e.g. one element of the batch."""
        arrays = self.rows, self.state, self.valid, self.state_valid
        return Motion(self.layout, *map(change, arrays))

    def moved(self, T: Array) -> Motion:
        """Return the same motion in a world that has moved by ``T (4, 4)``."""
        rows, state = self.rows.copy(), self.state.copy()
        for block in self.wrist_blocks().values():
            for values in (rows, state):
                values[..., block] = nine(T @ pose(values[..., block]))
        return replace(self, rows=rows, state=state)

    def chunk(self) -> Array:
        """Return the chunk by its definition: ``dW^k = (W^0)^-1 W^k`` of every wrist, hands as they are."""
        found = self.rows.copy()
        for block in self.wrist_blocks().values():
            reference = np.linalg.inv(pose(self.state[:, block]))[:, None]
            found[..., block] = nine(reference @ pose(self.rows[..., block]))
        return found


@lru_cache(maxsize=4)
def motion(subject: Subject) -> Motion:
    """Draw a motion of a subject's embodiment, the same every time."""
    layout, rng = subject.layout, np.random.default_rng(7)
    rows = _rows(subject.spec, layout, rng, BATCH * (LENGTH + 1)).reshape(BATCH, LENGTH + 1, -1)
    groups = len(layout.groups)
    valid, state_valid = np.ones((BATCH, LENGTH, groups), bool), np.ones((BATCH, groups), bool)
    return Motion(layout, rows[:, 1:], rows[:, 0], valid, state_valid)


def pose(values: Array) -> Array:
    """Build ``(*b, 4, 4)`` of ``(*b, 9)``: a translation and the first two rows of a rotation."""
    first, second = values[..., 3:6], values[..., 6:9]
    T = np.zeros((*values.shape[:-1], 4, 4))
    T[..., :3, :3] = np.stack([first, second, np.cross(first, second)], axis=-2)
    T[..., :3, 3] = values[..., :3]
    T[..., 3, 3] = 1
    return T


def nine(T: Array) -> Array:
    """Return the translation and the first two rows of the rotation of ``(*b, 4, 4)``, as ``(*b, 9)``."""
    return np.concatenate([T[..., :3, 3], T[..., 0, :3], T[..., 1, :3]], axis=-1)


def random_poses(rng: np.random.Generator, count: int) -> Array:
    """Draw poses ``(count, 4, 4)``: rotations from all alike, places within `WORKSPACE_M`."""
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    T[:, :3, 2] *= np.linalg.det(T[:, :3, :3])[:, None]  # no reflections
    T[:, :3, 3] = rng.uniform(-WORKSPACE_M, WORKSPACE_M, (count, 3))
    return T


def _rows(spec: EmbodimentSpec, layout: RowLayout, rng: np.random.Generator, count: int) -> Array:
    rows = rng.uniform(-REACH_M, REACH_M, (count, layout.dim))
    for hand in spec.hands:
        rows[:, layout.blocks[f"{hand.side}_wrist"]] = nine(random_poses(rng, count))
        if hand.actuated:
            rows[:, layout.blocks[f"{hand.side}_hand"]] = configurations(hand.actuated, count)
    return rows
