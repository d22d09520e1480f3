"""Writing a dataset as LeRobot v3.0, which the published package loads and our importer reads without a flag."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.episodes import EpisodeRef
from egoscale_sdk.data.exporters.grid import GridEpisode, on_grid
from egoscale_sdk.data.exporters.lerobot_cameras import CameraExport
from egoscale_sdk.data.exporters.lerobot_files import CHUNK_FILES, DATA_MB, NAME, VIDEO_MB, TableRoll
from egoscale_sdk.data.exporters.lerobot_rows import EpisodeTable, RowForm
from egoscale_sdk.data.lerobot_own import CALIBRATION, CAPTIONS, LABELS, OWN_FILE, OwnMeta
from egoscale_sdk.errors import DataError, require_extra
from egoscale_sdk.progress import Progress, silent

EXTRA = "lerobot"
Pictures = Literal["video", "jpeg", "none"]
_META_EPISODES = 64


@dataclass(frozen=True)
class LeRobotExport:
    """How to export.

    Attributes:
        action_set: Name of the action set; needed where there are several.
        pictures: ``video``, ``jpeg`` (in the parquet files, byte for byte) or ``none``.
        codec: Of videos: ``av1``, which the package's own tools take for granted, or ``h264``.
        fps: Whole rows per second; None: the dataset's own, rounded.
    """

    action_set: str | None = None
    pictures: Pictures = "video"
    codec: str = "av1"
    fps: int | None = None


@dataclass
class ExportSummary:
    """What an export did: episodes and rows written, and episodes whose rows had to be put on the grid of time."""

    episodes: int = 0
    rows: int = 0
    resampled: int = 0


def export_lerobot(
    dataset: Dataset, folder: Path, how: LeRobotExport | None = None, progress: Progress = silent
) -> ExportSummary:
    """Write a dataset as LeRobot v3.0; ``folder`` appears whole, or not at all.

    Rows are absolute: ``action``, for a robot ``observation.state``, pictures as ``observation.images.<camera>``, and
    features under ``egoscale.`` that say what is valid. LeRobot's rows are numbered by time, so they stand at
    ``i / fps``; where stamps do not, rows are interpolated.

    Raises:
        DataError: there is something at ``folder``, the dataset is empty or damaged, or the disk is full.
        MissingExtraError: pyarrow or PyAV is not installed.
    """
    how = how or LeRobotExport()
    require_extra("pyarrow", EXTRA, "writing LeRobot datasets")
    if how.pictures == "video":
        require_extra("av", EXTRA, "encoding video")
    if not dataset.episodes:
        raise DataError("has no episodes", where=dataset.where)
    with _appearing(folder) as staged:
        return _Export(dataset, staged, how).run(progress)


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Give a folder beside ``folder`` that takes its name at the end."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError("already exists", where=str(folder), hint="choose another name")
    staged = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        staged.mkdir(parents=True)
        yield staged
        os.replace(staged, folder)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", where=str(folder)) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


class _Export:
    """One export under way."""

    def __init__(self, dataset: Dataset, root: Path, how: LeRobotExport) -> None:
        self.dataset, self.root, self.how = dataset, root, how
        self.set = dataset.action_set(how.action_set)
        self.fps = how.fps or max(1, round(dataset.declaration.fps))
        native = self.set.name == "native"
        streams = dataset.declaration.cameras if how.pictures != "none" else ()
        self.cameras = [
            CameraExport(dataset, stream, root, self.fps, how.codec if how.pictures == "video" else None)
            for stream in streams
        ]
        self.form = RowForm(
            layout=self.set.layout,
            has_state=dataset.declaration.has_state and native,
            cameras=tuple(stream.name for stream in streams),
            raw=self._raw_shapes(),
        )
        self.tasks: dict[str, int] = {}
        self.summary = ExportSummary()
        self._data, self._meta = TableRoll(root / "data"), TableRoll(root / "meta" / "episodes")
        self._records: list[dict[str, Any]] = []

    def run(self, progress: Progress) -> ExportSummary:
        """Write everything."""
        try:
            for done, ref in enumerate(self.dataset.episodes, 1):
                self._episode(ref)
                progress(done, len(self.dataset.episodes), f"{self.summary.rows} rows")
            self._flush()
        finally:
            self._data.close()
            self._meta.close()
            for camera in self.cameras:
                camera.close()
        self._write_metadata()
        return self.summary

    def _raw_shapes(self) -> dict[str, tuple[int, ...]]:
        raw = self.dataset.rows(0, self.set.name).raw
        return {name: tuple(values.shape[1:]) for name, values in raw.items()}

    def _episode(self, ref: EpisodeRef) -> None:
        rows = self.dataset.rows(ref, self.set.name)
        grid = on_grid(rows, self.fps, self.set.layout, self.dataset.declaration.native.layout)
        self._data.roll()
        record: dict[str, Any] = {f"data/{name}": number for name, number in self._data.place.items()}
        words = [self.tasks.setdefault(text, len(self.tasks)) for text in self._texts(ref, grid)]
        table = EpisodeTable(self.form, index=self.summary.episodes, start=self.summary.rows, fps=self.fps)
        columns = table.columns(grid, np.array(words), [camera.seen(ref, grid) for camera in self.cameras])
        stats = self.form.add_stats(columns)
        cells = {}
        for camera in self.cameras:
            record |= camera.place()
            cells[camera.feature], stats[camera.feature] = camera.add(ref, grid)
            record |= camera.end()
        self._data.write(self.form.table(columns, {name: cell for name, cell in cells.items() if cell is not None}))
        self._record(ref, grid, record, words, stats)

    def _record(
        self, ref: EpisodeRef, grid: GridEpisode, record: dict[str, Any], words: Sequence[int], stats: dict[str, Any]
    ) -> None:
        """Note the metadata of an episode that is written."""
        length, start, texts = len(grid.newest), self.summary.rows, list(self.tasks)
        calibration = {camera.name: self.dataset.calibration(ref, camera.name) for camera in self.cameras}
        captions = self._captions(ref, grid)
        self._records.append(
            {
                "episode_index": self.summary.episodes,
                "tasks": [texts[number] for number in dict.fromkeys(words)],
                "length": length,
                "dataset_from_index": start,
                "dataset_to_index": start + length,
                **record,
                LABELS: json.dumps(ref.labels),
                CAPTIONS: json.dumps(captions),
                CALIBRATION: json.dumps(calibration),
                **{f"stats/{name}/{figure}": v for name, found in stats.items() for figure, v in found.items()},
            }
        )
        self.summary.episodes += 1
        self.summary.rows += length
        self.summary.resampled += not grid.recorded
        if len(self._records) >= _META_EPISODES:
            self._flush()

    def _flush(self) -> None:
        """Write the metadata of some episodes."""
        import pyarrow as pa

        if self._records:
            self._meta.roll()
            place = {f"meta/episodes/{name}": number for name, number in self._meta.place.items()}
            self._meta.write(pa.Table.from_pylist([record | place for record in self._records]))
            self._records.clear()

    def _texts(self, ref: EpisodeRef, grid: GridEpisode) -> list[str]:
        """Instruction of each row: of the caption of kind task that begins last, else the episode's task."""
        texts = np.full(ref.length, ref.task, dtype=object)
        for span in sorted(self.dataset.language(ref), key=lambda span: span.start):
            if span.kind == "task":
                texts[span.start : span.stop] = span.text
        chosen: list[str] = texts[grid.newest].tolist()
        return chosen

    def _captions(self, ref: EpisodeRef, grid: GridEpisode) -> list[tuple[str, int, int, str]]:
        """All captions, over rows of the grid."""
        rows = [(s, *np.searchsorted(grid.newest, [s.start, s.stop]).tolist()) for s in self.dataset.language(ref)]
        return [(span.text, start, stop, span.kind) for span, start, stop in rows if stop > start]

    def _write_metadata(self) -> None:
        from egoscale_sdk.data.exporters.lerobot_rows import write_tasks

        write_tasks(self.root / "meta" / "tasks.parquet", list(self.tasks))
        stats = self.form.stats() | {camera.feature: camera.stats.total() for camera in self.cameras}
        for name, value in (("info.json", self._info()), ("stats.json", stats), (Path(OWN_FILE).name, self._own())):
            text = json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False)
            (self.root / "meta" / name).write_text(text, encoding="utf-8")

    def _info(self) -> dict[str, Any]:
        video = any(camera.encodes for camera in self.cameras)
        return {
            "codebase_version": "v3.0",
            "robot_type": self.set.embodiment,
            "total_episodes": self.summary.episodes,
            "total_frames": self.summary.rows,
            "total_tasks": len(self.tasks),
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": DATA_MB,
            "video_files_size_in_mb": VIDEO_MB,
            "fps": self.fps,
            "splits": {"train": f"0:{self.summary.episodes}"},
            "data_path": f"data/{NAME}.parquet",
            "video_path": f"videos/{{video_key}}/{NAME}.mp4" if video else None,
            "features": self.form.features() | {camera.feature: camera.describe() for camera in self.cameras},
        }

    def _own(self) -> dict[str, Any]:
        declared = self.dataset.declaration
        record = self.set.retargeting
        made = (f"actions of set {self.set.name!r} were made by {record.retargeter}",) if record else ()
        return OwnMeta(
            embodiment=self.set.embodiment,
            action_fingerprint=self.set.action_fingerprint,
            action_set=self.set.name,
            action_source=self.set.action_source,
            lead_s=self.set.lead_s,
            has_state=self.form.has_state,
            base_frame=declared.base_frame,
            wrist_source=declared.wrist_source,
            cameras=tuple(camera.stream for camera in self.cameras),
            raw=self.form.raw,
            assumptions=(*declared.assumptions, *made),
            licence=declared.licence,
            source=declared.source,
            dataset_uid=declared.uid,
            dataset_version=self.dataset.version,
        ).model_dump(mode="json")
