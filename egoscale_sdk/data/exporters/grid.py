"""An episode on a regular grid of time, as formats want it whose rows are numbered and not stamped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.resample import SNAP, Brackets, bracket, mix_rows
from egoscale_sdk.data.segment import EpisodeRows
from egoscale_sdk.specs import RowLayout

Array = NDArray[Any]


@dataclass(frozen=True)
class GridEpisode:
    """The rows of an episode at equal distances in time.

    Attributes:
        newest: ``(T,)`` newest recorded row at or before each row.
        recorded: Whether every row is one that was recorded, so that nothing was mixed or left unknown.
        arrays: ``action``, ``valid``, ``conf``, ``map_id``, ``state`` and ``state_valid`` if there are any.
        raw: Further recorded arrays, of the nearest row.
    """

    newest: NDArray[np.int64]
    recorded: bool
    arrays: dict[str, Array]
    raw: dict[str, Array]


def on_grid(rows: EpisodeRows, fps: float, layout: RowLayout, recorded: RowLayout) -> GridEpisode:
    """Take an episode at its first row and every ``1 / fps`` seconds after it.

    A recorded row within 2 % of the distance to the next is taken as it is. Between rows wrists turn by slerp and
    hands move linearly, and only what is valid in both rows is valid; within a gap nothing is.

    Args:
        rows: The episode.
        fps: Rows per second.
        layout: Columns of ``rows.action``.
        recorded: Columns of ``rows.state`` and groups of ``rows.conf``, of the embodiment that moved.
    """
    time_ns, period = rows.time_ns, 1e9 / fps
    count = int((time_ns[-1] - time_ns[0]) / period + SNAP) + 1
    query = time_ns[0] + np.round(np.arange(count) * period).astype(np.int64)
    found = bracket(time_ns[None], query[None], fps)
    newest, usable = found.newest[0], found.usable[0]
    groups = [recorded.groups.index(group) if group in recorded.groups else -1 for group in layout.groups]
    conf = np.where(np.array(groups) < 0, 1, rows.conf[newest][:, groups]).astype(np.float32)
    arrays = {"conf": conf * usable[:, None], "map_id": rows.map_id[newest].astype(np.int64)}
    arrays["action"], arrays["valid"] = _mixed(rows.action, rows.valid, found, layout)
    if rows.state is not None and rows.state_valid is not None:
        arrays["state"], arrays["state_valid"] = _mixed(rows.state, rows.state_valid, found, recorded)
    nearest = np.where(found.share[0] > 0.5, found.after[0], found.before[0])
    whole = bool(usable.all() and not found.between.any() and len(np.unique(newest)) == len(time_ns))
    return GridEpisode(newest, whole, arrays, {name: values[nearest] for name, values in rows.raw.items()})


def _mixed(rows: Array, valid: Array, found: Brackets, layout: RowLayout) -> tuple[Array, Array]:
    between, newest = found.between[0], found.newest[0]
    before, after = found.before[0][between], found.after[0][between]
    flags = valid[newest] * found.usable[0][:, None]
    flags[between] = valid[before] & valid[after]
    values = rows[newest].astype(np.float32)
    values[between] = mix_rows(rows[before], rows[after], found.share[0][between], layout)
    for number, block in enumerate(layout.blocks.values()):
        values[flags[:, number] == 0, block] = 0
    return values, flags.astype(np.uint8)
