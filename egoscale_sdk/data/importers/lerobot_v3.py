"""LeRobot v3.0: many episodes in one parquet file and in one video; the metadata say where each begins."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.lerobot_meta import Clip, Info, LeRobotEpisode, fill_path, video_template
from egoscale_sdk.data.importers.lerobot_table import LeRobotTable
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats

_OWN = "egoscale/"
_COUNTED = ("index", "episode_index", "task_index", "frame_index")  # these change when datasets are put together


def read_tasks(root: Path) -> dict[int, str]:
    """Read ``meta/tasks.parquet``: instructions by number; the text is the frame's index, whatever it is called.

    Raises:
        DataError: it is missing, damaged, or has no such columns.
    """
    table = LeRobotTable(root / "meta" / "tasks.parquet")
    names = [name for name in table.names if name != "task_index"]
    if "task_index" not in table.names or len(names) != 1:
        raise DataError("must have task_index and one column of texts", where=str(table.path), allowed=table.names)
    return dict(zip((int(n) for n in table.scalars("task_index")), table.texts(names[0]), strict=True))


def read_episodes(root: Path, info: Info) -> tuple[LeRobotEpisode, ...]:
    """Read ``meta/episodes/*/*.parquet``.

    Raises:
        DataError: a file is missing or damaged, or what it says cannot be.
    """
    files = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    if not files:
        raise DataError("has no episodes (no meta/episodes/*/*.parquet)", where=str(root))
    pages = [_Page(root, info, LeRobotTable(file)) for file in files]
    first_row: dict[Path, int] = {}
    for page in pages:
        for path, start in zip(page.data, page.start, strict=True):
            first_row[path] = min(first_row.get(path, start), start)
    return tuple(episode for page in pages for episode in page.episodes(first_row))


class _Page:
    """One file of episode metadata, column by column."""

    def __init__(self, root: Path, info: Info, table: LeRobotTable) -> None:
        self._root, self._table, self._where = root, table, str(table.path)
        self.index, self.length = self._whole("episode_index", 0), self._whole("length", 1)
        self.start, self.stop = self._whole("dataset_from_index", 0), self._whole("dataset_to_index", 1)
        wrong = np.flatnonzero(self.stop - self.start != self.length)
        if wrong.size:
            what = f"episode {self.index[wrong[0]]} has length {self.length[wrong[0]]} and other row numbers"
            raise DataError(what, where=self._where)
        self.data = self._files(info.data_path, "data", {})
        self._clips = {name: self._clips_of(name, video_template(root, info)) for name in info.videos}

    def episodes(self, first_row: dict[Path, int]) -> Iterator[LeRobotEpisode]:
        """Make its episodes, given the row with which each data file begins."""
        digests, texts = self._digests(), self._texts()
        for n, path in enumerate(self.data):
            start = int(self.start[n]) - first_row[path]
            yield LeRobotEpisode(
                index=int(self.index[n]),
                length=int(self.length[n]),
                data=path,
                rows=(start, start + int(self.length[n])),
                clips={name: clips[n] for name, clips in self._clips.items()},
                texts={name: column[n] for name, column in texts.items()},
                digest=digests[n],
            )

    def _whole(self, name: str, least: int) -> NDArray[np.int64]:
        values = self._table.scalars(name)
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= least) & (values == np.round(values))))
        if bad.size:
            raise DataError(f"row {bad[0]} is {values[bad[0]]:g}, which is no count", where=f"{self._where}:{name}")
        return values.astype(np.int64)

    def _files(self, template: str, prefix: str, values: dict[str, Any]) -> list[Path]:
        chunks, files = self._whole(f"{prefix}/chunk_index", 0), self._whole(f"{prefix}/file_index", 0)
        places = [(int(chunk), int(file)) for chunk, file in zip(chunks, files, strict=True)]
        paths = {
            (chunk, file): fill_path(self._root, template, values | {"chunk_index": chunk, "file_index": file})
            for chunk, file in set(places)
        }
        return [paths[place] for place in places]

    def _clips_of(self, name: str, template: str) -> list[Clip]:
        prefix = f"videos/{name}"
        starts = self._table.scalars(f"{prefix}/from_timestamp")
        if not np.isfinite(starts).all():
            raise DataError("is not finite", where=f"{self._where}:{prefix}/from_timestamp")
        paths = self._files(template, prefix, {"video_key": name})
        return [Clip(path, float(start)) for path, start in zip(paths, starts, strict=True)]

    def _texts(self) -> dict[str, list[str]]:
        return {name: self._table.texts(name) for name in self._table.names if name.startswith(_OWN)}

    def _digests(self) -> list[str | None]:
        """Digest of each episode's statistics, which follow from all of its values; None where there are none."""
        names = [name for name in sorted(self._table.names) if _tells_contents(name)]
        if not names:
            return [None] * len(self.data)
        columns: list[Floats] = [self._table.numbers(name).reshape(len(self.data), -1) for name in names]
        rows = np.concatenate([self.length[:, None].astype(np.float64), *columns], axis=1)
        return [hashlib.sha256(row.tobytes()).hexdigest()[:12] for row in rows]


def _tells_contents(name: str) -> bool:
    """Whether a column of metadata is the mean or spread of a feature of numbers."""
    what, _, rest = name.partition("/")
    feature, _, figure = rest.rpartition("/")
    return what == "stats" and figure in ("mean", "std") and feature not in _COUNTED and "image" not in feature
