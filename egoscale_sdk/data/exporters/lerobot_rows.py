"""The columns of a LeRobot dataset's rows: their names and types, their values for an episode, their statistics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.exporters.grid import GridEpisode
from egoscale_sdk.data.exporters.lerobot_stats import NumberStats, Stats
from egoscale_sdk.data.lerobot_own import (
    ACTION,
    ACTION_VALID,
    CONFIDENCE,
    MAP_ID,
    RAW_PREFIX,
    SEEN,
    STATE,
    STATE_VALID,
)
from egoscale_sdk.specs import RowLayout

Array = NDArray[Any]
_COUNTS = ("frame_index", "episode_index", "index", "task_index")


@dataclass
class RowForm:
    """Which features the rows have.

    Attributes:
        layout: Columns of the action (and of the state).
        has_state: Whether rows have a measured state.
        cameras: Names of the cameras.
        raw: Shape of every further array.
    """

    layout: RowLayout
    has_state: bool
    cameras: tuple[str, ...]
    raw: dict[str, tuple[int, ...]]
    _stats: dict[str, NumberStats] = field(default_factory=dict)

    def features(self) -> dict[str, Any]:
        """Return the features of ``meta/info.json``, without pictures."""
        return {
            name: {"dtype": dtype, "shape": [len(names) if names else 1], "names": names}
            for name, (dtype, names) in self._kinds().items()
        }

    def table(self, columns: Mapping[str, Array], pictures: Mapping[str, list[bytes]]) -> Any:
        """Make the pyarrow table of an episode."""
        import pyarrow as pa

        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        arrays = {name: _column(values) for name, values in columns.items()}
        for name, jpegs in pictures.items():
            arrays[name] = pa.array([{"bytes": jpeg, "path": None} for jpeg in jpegs], image)
        return pa.table(arrays)

    def add_stats(self, columns: Mapping[str, Array]) -> dict[str, Stats]:
        """Count the rows of an episode; returns its own statistics."""
        found = {}
        for name, values in columns.items():
            rows = values.reshape(len(values), -1)
            found[name] = self._stats.setdefault(name, NumberStats(rows.shape[1])).add(rows)
        return found

    def stats(self) -> dict[str, Stats]:
        """Return the statistics of all rows."""
        return {name: stats.total() for name, stats in self._stats.items()}

    def _kinds(self) -> dict[str, tuple[str, list[str] | None]]:
        """Type of every feature and names of its columns; None for a single number."""
        columns, groups = list(self.layout.names), list(self.layout.groups)
        state = {STATE: ("float32", columns), STATE_VALID: ("uint8", groups)} if self.has_state else {}
        raw = {RAW_PREFIX + name: ("float32", _numbered(name, shape)) for name, shape in self.raw.items()}
        seen = {SEEN: ("uint8", list(self.cameras))} if self.cameras else {}
        counts: dict[str, tuple[str, list[str] | None]] = dict.fromkeys((MAP_ID, *_COUNTS), ("int64", None))
        return {
            **state,
            ACTION: ("float32", columns),
            ACTION_VALID: ("uint8", groups),
            CONFIDENCE: ("float32", groups),
            **raw,
            **seen,
            "timestamp": ("float32", None),
            **counts,
        }


@dataclass(frozen=True)
class EpisodeTable:
    """One episode: the form of its rows, its number, the number of its first row, and how fast rows follow."""

    form: RowForm
    index: int
    start: int
    fps: int

    def columns(self, grid: GridEpisode, tasks: Array, seen: list[Array]) -> dict[str, Array]:
        """Return the values of every feature that is no picture, in the order of `RowForm.features`."""
        frames = np.arange(len(grid.newest), dtype=np.int64)
        values: dict[str, Array] = {
            STATE: grid.arrays.get("state"),  # type: ignore[dict-item]  # dropped below where there is none
            STATE_VALID: grid.arrays.get("state_valid"),  # type: ignore[dict-item]
            ACTION: grid.arrays["action"],
            ACTION_VALID: grid.arrays["valid"],
            CONFIDENCE: grid.arrays["conf"],
            MAP_ID: grid.arrays["map_id"],
            "timestamp": (frames / self.fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(len(frames), self.index),
            "index": self.start + frames,
            "task_index": tasks.astype(np.int64),
        }
        values |= {RAW_PREFIX + name: grid.raw[name].reshape(len(frames), -1) for name in self.form.raw}
        values |= {SEEN: np.stack(seen, axis=1)} if seen else {}
        return {name: values[name] for name in self.form.features()}


def write_tasks(path: Path, texts: list[str]) -> None:
    """Write ``meta/tasks.parquet`` as pandas does: the texts are the index of the frame, which pandas finds again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    index = "__index_level_0__"
    kind = {"numpy_type": "object", "pandas_type": "unicode", "metadata": None}
    whole = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    pandas = {
        "index_columns": [index],
        "column_indexes": [{"name": None, "field_name": None, **kind, "metadata": {"encoding": "UTF-8"}}],
        "columns": [{**whole, "metadata": None}, {"name": None, "field_name": index, **kind}],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(range(len(texts)), pa.int64()), index: pa.array(texts, pa.string())})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)


def _numbered(name: str, shape: tuple[int, ...]) -> list[str]:
    return [f"{name}_{'_'.join(map(str, place))}" if place else name for place in np.ndindex(*shape)] or [name]


def _column(values: Array) -> Any:
    import pyarrow as pa

    if values.ndim == 1 or values.shape[1] == 1:  # LeRobot has no lists of one
        return pa.array(values.ravel())
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])
