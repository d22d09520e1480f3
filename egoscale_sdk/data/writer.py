"""Writing a segment: episodes in, one immutable folder out, visible to nobody before it is committed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data import tables
from egoscale_sdk.data.arrays import ByteStream, open_group, write_array
from egoscale_sdk.data.check import check_episode
from egoscale_sdk.data.checksums import NAME, measure
from egoscale_sdk.data.episodes import EpisodeTable
from egoscale_sdk.data.records import Addition, Entry, FileRecord, Moments
from egoscale_sdk.data.store import EMPTY_GROUP, Store, files_of, open_store
from egoscale_sdk.data.stored import StoredArray, array_record
from egoscale_sdk.interfaces import Episode, ImageStream, LanguageSpan
from egoscale_sdk.specs import DatasetDeclaration, RowLayout

Array = NDArray[Any]

CONF_STEPS = 254  # u1, 255 being the sentinel
IMAGE_TOLERANCE_NS = 1_000_000  # two clocks' rounding: an image this much after a row is still that row's
IMAGE_MAX_AGE_NS = 500_000_000  # an older image shows another scene


class StagedFolder:
    """A folder on this machine that is filled and then moved or uploaded; removed if that never happens."""

    def __init__(self, root: Store | Path | str) -> None:
        self._store = open_store(root)
        self.folder = self._store.staged()
        self.group = open_group(self.folder, create=True)

    def addition(self, entry: Entry, statistics: dict[str, Moments] | None = None) -> Addition:
        """Move the folder to the path of its entry, and say what a commit must record of it."""
        files, table = self._measured(), None
        arrays = {name: record for name in self._arrays() if (record := array_record(self.folder / name))}
        if entry.base is None:
            episodes = tables.read_episodes(self._read)
            table = EpisodeTable.make(episodes, *(self._read(name) for name in ("time", "map_id", "valid")))
        self._place(entry.path)
        return Addition(entry=entry, files=files, arrays=arrays, statistics=statistics or {}, table=table)

    def move(self, target: str) -> dict[str, FileRecord]:
        """Move a folder that is a copy of a committed one to ``target``; return size and checksum of every file."""
        files = self._measured()
        self._place(target)
        return files

    def _measured(self) -> dict[str, FileRecord]:
        """Add the checksums of the blocks, and return size and checksum of every file."""
        found = {name: measure(self.folder / name, sync=True) for name in self._files()}
        if f"{NAME}/zarr.json" not in found:
            sums = [value for name in sorted(found) for value in found[name][2]]
            write_array(self.group, NAME, np.array(sums, np.uint32))
            found |= {name: measure(self.folder / name, sync=True) for name in self._files() if name not in found}
        return {name: FileRecord(size=size, sha256=mark) for name, (size, mark, _) in found.items()}

    def _place(self, target: str) -> None:
        parent = target.rpartition("/")[0]
        if parent != "segments":
            self._store.create(f"{parent}/zarr.json", EMPTY_GROUP)
        self._store.place(self.folder, target)

    def _files(self) -> list[str]:
        return [file.relative_to(self.folder).as_posix() for file in files_of(self.folder)]

    def _arrays(self) -> list[str]:
        return [name.removesuffix("/zarr.json") for name in self._files() if name.endswith("/zarr.json")]

    def _read(self, name: str) -> Array:
        return StoredArray(self.folder / name).read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class SegmentWriter(StagedFolder):
    """Collects episodes into one segment; images are written as they come, rows at the end."""

    def __init__(self, root: Store | Path | str, declaration: DatasetDeclaration) -> None:
        super().__init__(root)
        self._declaration = declaration
        self._columns: dict[str, list[Array]] = {}
        self._episodes: list[tables.EpisodeEntry] = []
        self._language: list[tuple[int, LanguageSpan]] = []
        self._cameras = {camera.name: _CameraWriter(self.group, camera.name) for camera in declaration.cameras}
        self.rows = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the episodes added so far."""
        return tuple(entry.key for entry in self._episodes)

    def add(self, episode: Episode) -> None:
        """Check and add one episode.

        Raises:
            DataError: it is not as declared; the segment is then without it.
        """
        check_episode(episode, self._declaration)
        for name, values in _row_arrays(episode).items():
            self._columns.setdefault(name, []).append(values)
        for name, camera in self._cameras.items():
            camera.add(episode.images.get(name), episode.time_ns)
        self._language += [(len(self._episodes), span) for span in episode.language]
        self._episodes.append(tables.EpisodeEntry(episode.key, self.rows, len(episode.time_ns), episode.labels))
        self.rows += len(episode.time_ns)

    def finish(self) -> Addition:
        """Write everything, move the folder to ``segments/<uuid>`` and say what a commit must record."""
        columns = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        texts = tables.Texts()
        spans = tables.language_array(self._language, texts)
        columns |= {"lang/spans": spans, **tables.episode_arrays(self._episodes, texts), **texts.arrays()}
        for name, values in columns.items():
            write_array(self.group, name, values)
        for camera in self._cameras.values():
            camera.close()
        path = f"segments/{self.folder.name}"
        entry = Entry(path=path, rows=self.rows, episodes=len(self._episodes))
        return self.addition(entry, row_statistics(columns, self._declaration.native.layout))


class _CameraWriter:
    """One camera of a segment: JPEG stream, where each image starts, its time, and which image a row sees."""

    def __init__(self, group: Any, name: str) -> None:
        self._group, self._name = group, name
        self._stream = ByteStream(group, f"cams/{name}/data")
        self._offsets = [0]
        self._times: list[Array] = []
        self._rows: list[Array] = []
        self._calibrations: list[str] = []

    def add(self, stream: ImageStream | None, row_time_ns: Array) -> None:
        stream = stream or ImageStream([], np.empty(0, np.int64))
        seen = images_of_rows(row_time_ns, stream.time_ns)
        self._rows.append(np.where(seen < 0, -1, seen + len(self._offsets) - 1).astype(np.int32))
        for data in stream.jpegs:
            self._stream.append(data)
            self._offsets.append(self._stream.length)
        self._times.append(stream.time_ns)
        self._calibrations.append(json.dumps(stream.calibration, sort_keys=True, allow_nan=False))

    def close(self) -> None:
        self._stream.close()
        data, offsets = tables.pack_texts(self._calibrations)
        arrays = {
            f"cams/{self._name}/offsets": np.array(self._offsets, np.uint64),
            f"cams/{self._name}/row": np.concatenate(self._rows),
            f"cams/{self._name}/time": np.concatenate(self._times),
            f"calib/{self._name}/data": data,
            f"calib/{self._name}/offsets": offsets,
        }
        for name, values in arrays.items():
            write_array(self._group, name, values)


def images_of_rows(row_time_ns: Array, image_time_ns: Array) -> Array:
    """Return for each row the newest image at or before it, or -1 if there is none or it is too old."""
    if len(image_time_ns) == 0:
        return np.full(len(row_time_ns), -1)
    seen = np.searchsorted(image_time_ns, row_time_ns + IMAGE_TOLERANCE_NS, side="right") - 1
    age = row_time_ns - image_time_ns[np.maximum(seen, 0)]
    return np.where(age > IMAGE_MAX_AGE_NS, -1, seen)


def _row_arrays(episode: Episode) -> dict[str, Array]:
    conf = episode.valid if episode.conf is None else episode.conf
    arrays: dict[str, Array] = {
        "time": episode.time_ns,
        "action": episode.action.astype(np.float32),
        "valid": episode.valid.astype(np.uint8),
        "conf": np.round(conf * np.float32(CONF_STEPS)).astype(np.uint8),
        "map_id": np.zeros(len(episode.time_ns), np.int32) if episode.map_id is None else episode.map_id,
    }
    if episode.state is not None:
        flags = np.ones_like(episode.valid) if episode.state_valid is None else episode.state_valid
        arrays |= {"state": episode.state.astype(np.float32), "state_valid": flags.astype(np.uint8)}
    return arrays | {f"raw/{name}": values.astype(np.float32) for name, values in episode.raw.items()}


def row_statistics(columns: dict[str, Array], layout: RowLayout) -> dict[str, Moments]:
    """Moments of a segment's actions, and of its states if it has any, from its row arrays."""
    pairs = {"action": "valid", "state": "state_valid"}
    return {
        name: column_moments(columns[name], columns[flags], layout) for name, flags in pairs.items() if name in columns
    }


def column_moments(values: Array, valid: Array, layout: RowLayout) -> Moments:
    """Count, mean, sum of squared deviations and range of every column over its valid rows."""
    parts: list[list[float]] = []
    for number, block in enumerate(layout.blocks.values()):
        rows = values[valid[:, number] == 1, block].astype(np.float64)
        if len(rows) == 0:
            rows_count, rows = 0, np.zeros((1, values[:, block].shape[1]))
        else:
            rows_count = len(rows)
        mean = rows.mean(0)
        block_parts = [np.full(len(mean), rows_count), mean, ((rows - mean) ** 2).sum(0), rows.min(0), rows.max(0)]
        parts += np.stack(block_parts, 1).tolist()
    count, mean, m2, lower, upper = zip(*parts, strict=True)
    return Moments(count=tuple(int(n) for n in count), mean=mean, m2=m2, lower=lower, upper=upper)
