"""How the chunks and states of a dataset are distributed, computed once and cached, never silently stale.

They depend on the commit, the action set, the horizon and the step; the cache, in the dataset's ``cache`` folder, is
kept under exactly that key.
"""

from __future__ import annotations

import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.cached import is_sound, keep
from egoscale_sdk.data.order import Indices
from egoscale_sdk.data.sketch import QuantileSketch
from egoscale_sdk.data.store import StoreError
from egoscale_sdk.data.windows import Batch, WindowDataset
from egoscale_sdk.errors import DataError
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import RowLayout, digest

REVISION = 2
"""Rises when windows or sketches come to mean something else."""
_log = logging.getLogger("egoscale.data")
_VALUES = 2**21
"""Numbers of a chunk that are looked at together: what bounds the memory."""


@dataclass(frozen=True)
class RelativeStatistics:
    """Distributions of the valid entries of one `WindowDataset`: chunks ``(H, D)`` and states ``(D',)``."""

    layout: RowLayout
    state_layout: RowLayout
    embodiment: str
    horizon: int
    chunk_dt_s: float
    chunk: QuantileSketch
    state: QuantileSketch

    @property
    def q01(self) -> NDArray[np.float64]:
        """``(H, D)``."""
        return self.chunk.quantile(0.01)

    @property
    def q99(self) -> NDArray[np.float64]:
        """``(H, D)``."""
        return self.chunk.quantile(0.99)


def relative_statistics(
    windows: WindowDataset, progress: Progress = silent, *, skip_damaged: bool = False
) -> RelativeStatistics:
    """Compute the statistics of all windows, or take them from the cache of the very same commit and settings.

    Args:
        windows: Of which dataset, and how they are cut.
        progress: Told windows.
        skip_damaged: Leave out segments that are damaged, with a warning; what was found is not kept then.

    Raises:
        DataError: the dataset is damaged; names the file.
    """
    key = _cache_key(windows)
    file = windows.dataset.cache / "statistics" / f"{digest(key)[7:]}.npz"
    sketches = _load(file)
    if sketches is None:
        reader = _Reader(windows, skip_damaged)
        sketches = _compute(reader, progress)
        arrays: dict[str, Any] = sketches[0].arrays("chunk_") | sketches[1].arrays("state_")
        if not reader.aside:
            keep(file, lambda temporary: np.savez_compressed(temporary, **arrays))
    return RelativeStatistics(
        windows.layout, windows.state_layout, windows.embodiment, windows.horizon, windows.chunk_dt_s, *sketches
    )


def _cache_key(windows: WindowDataset) -> dict[str, Any]:
    return {
        "revision": REVISION,
        "commit": windows.dataset.digest,
        "action_set": windows.action_set.name,
        "horizon": windows.horizon,
        "chunk_dt_s": windows.chunk_dt_s,
        "stride": windows.stride,
        "episodes": list(windows.episodes),
        "action_space": windows.action_space_id,
    }


class _Reader:
    """Reads windows without images; segments that are damaged are set aside if they may be."""

    def __init__(self, windows: WindowDataset, skip_damaged: bool) -> None:
        self.windows, self._skip = windows, skip_damaged
        self.aside: set[int] = set()

    def __call__(self, start: int, stop: int) -> list[Batch]:
        numbers = np.arange(start, stop)
        try:
            if not self.aside:
                return [self.windows.batch(numbers, images=False)]
        except DataError as error:
            if not self._skip or isinstance(error, StoreError):
                raise
        segments = self.windows.segment_of(self.windows.standing(numbers).episode)
        wanted = [segment for segment in np.unique(segments).tolist() if segment not in self.aside]
        found = [self._of_segment(segment, numbers[segments == segment]) for segment in wanted]
        return [batch for batch in found if batch is not None]

    def _of_segment(self, segment: int, numbers: Indices) -> Batch | None:
        try:
            return self.windows.batch(numbers, images=False)
        except DataError as error:
            if isinstance(error, StoreError):
                raise
            self.aside.add(segment)
            _log.warning("segment left out of the statistics: %s", error)
            return None


def _compute(read: _Reader, progress: Progress) -> tuple[QuantileSketch, QuantileSketch]:
    windows = read.windows
    chunk = QuantileSketch((windows.horizon, windows.layout.dim))
    state = QuantileSketch((windows.state_layout.dim,))
    size = max(1, _VALUES // (windows.horizon * windows.layout.dim))
    for start in range(0, len(windows), size):
        stop = min(start + size, len(windows))
        for batch in read(start, stop):
            chunk.add(batch.chunk, batch.mask)
            state.add(batch.state, batch.state_mask)
        progress(stop, len(windows), "windows")
    return chunk, state


def _load(file: Path) -> tuple[QuantileSketch, QuantileSketch] | None:
    if not is_sound(file):
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return QuantileSketch.from_arrays(arrays, "chunk_"), QuantileSketch.from_arrays(arrays, "state_")
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile):
        return None
