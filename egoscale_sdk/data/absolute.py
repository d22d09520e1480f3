"""How the stored rows of a dataset are distributed: every column of an action set, and of the state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.episodes import EpisodeRef
from egoscale_sdk.data.sketch import QuantileSketch
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import RowLayout

Array = NDArray[Any]
ROWS = 2**14
"""Rows that are looked at together: what bounds the memory."""
QUANTILES = {"q01": 0.01, "q50": 0.5, "q99": 0.99}


def absolute_statistics(
    dataset: Dataset, action_set: str | None = None, progress: Progress = silent
) -> dict[str, QuantileSketch]:
    """Count all valid rows of an action set, and of the state if there is one.

    Returns:
        ``action`` ``(D,)`` in the set's layout, and ``state`` ``(D',)`` in the native one.
    """
    chosen, native = dataset.action_set(action_set), dataset.declaration.native.layout
    sketches = {"action": QuantileSketch((chosen.layout.dim,))}
    if dataset.declaration.has_state:
        sketches["state"] = QuantileSketch((native.dim,))
    layouts, done, total = {"action": chosen.layout, "state": native}, 0, int(dataset.index.length.sum())
    for episodes in _batches(dataset):
        parts = [dataset.rows(episode, chosen.name, raw=False) for episode in episodes]
        for name, sketch in sketches.items():
            flags = np.concatenate([part.valid if name == "action" else part.state_valid for part in parts])
            values = np.concatenate([getattr(part, name) for part in parts])
            sketch.add(values, column_mask(flags, layouts[name]))
        done += sum(len(part.time_ns) for part in parts)
        progress(done, total, "rows")
    return sketches


def column_table(sketch: QuantileSketch, layout: RowLayout) -> list[dict[str, Any]]:
    """Lay a sketch out: one entry per column, and per step of a chunk where it is of chunks ``(H, D)``.

    Each has ``column``, ``unit``, ``step`` (None for rows), ``count``, and, None where that is 0, ``mean``, ``std``,
    ``min``, ``q01``, ``q50``, ``q99``, ``max``.
    """
    steps: list[int | None] = [None] if len(sketch.shape) == 1 else list(range(sketch.shape[0]))
    values = {"mean": sketch.mean, "std": sketch.std, "min": sketch.lower, "max": sketch.upper}
    values |= {name: sketch.quantile(share) for name, share in QUANTILES.items()}
    count, flat = sketch.count.reshape(-1, layout.dim), {n: v.reshape(-1, layout.dim) for n, v in values.items()}
    order = ("mean", "std", "min", "q01", "q50", "q99", "max")
    return [
        {
            "column": layout.names[column],
            "unit": layout.units[column],
            "step": step,
            "count": int(count[row, column]),
            **{name: float(flat[name][row, column]) if count[row, column] else None for name in order},
        }
        for column in range(layout.dim)
        for row, step in enumerate(steps)
    ]


def _batches(dataset: Dataset) -> Iterator[list[EpisodeRef]]:
    """Yield episodes together until they have many rows."""
    batch: list[EpisodeRef] = []
    rows = 0
    for episode in dataset.episodes:
        batch.append(episode)
        rows += episode.length
        if rows >= ROWS:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def column_mask(valid: Array, layout: RowLayout) -> NDArray[np.bool_]:
    """Spread flags per group ``(..., G)`` over the columns of a layout ``(..., D)``."""
    widths = [block.stop - block.start for block in layout.blocks.values()]
    return np.repeat(valid == 1, widths, axis=-1)
