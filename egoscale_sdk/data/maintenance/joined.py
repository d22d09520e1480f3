"""Several segments written as one: every number, text and (unless another size is asked for) image stays as it was."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data import tables
from egoscale_sdk.data.arrays import ByteStream, write_array
from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.episodes import EpisodeRef
from egoscale_sdk.data.images import Size, decode_into
from egoscale_sdk.data.importers.images import encode_jpeg
from egoscale_sdk.data.records import Addition, Entry
from egoscale_sdk.data.segment import Segment, StoredObject
from egoscale_sdk.data.store import Store
from egoscale_sdk.data.writer import StagedFolder, row_statistics
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import LanguageSpan

Array = NDArray[Any]
PIECE_BYTES = 2**24
TABLES = ("episodes", "strings", "lang", "calib")


@dataclass(frozen=True)
class Piece:
    """The visible episodes of one segment, in order."""

    segment: Segment
    episodes: tuple[EpisodeRef, ...]

    def rows(self, values: Array) -> list[Array]:
        """Return those rows of an array over the segment that belong to the episodes."""
        return [values[episode.start : episode.start + episode.length] for episode in self.episodes]

    def images(self, camera: str) -> list[tuple[int, int]]:
        """Return for each episode the images ``[first, stop)`` of a camera that are its own."""
        bounds = self._bounds(camera)
        return [bounds[episode.number] for episode in self.episodes]

    def _bounds(self, camera: str) -> list[tuple[int, int]]:
        """Images of every episode of the segment, hidden ones too: from the first that it shows to the next one's."""
        row = self.segment.read(f"cams/{camera}/row")
        count = len(self.segment.array(f"cams/{camera}/offsets")) - 1
        firsts = [_first_image(row[e.start : e.start + e.length]) for e in self.segment.table]
        starts, following = [], count
        for first in reversed(firsts):
            following = following if first is None else first
            starts.append(following)
        starts = [0, *reversed(starts[:-1]), count] if starts else [0, count]
        if any(b < a for a, b in pairwise(starts)):
            raise DataError("holds images in another order than its episodes", where=f"{self.segment.path}: {camera}")
        return list(pairwise(starts))

    @cached_property
    def calibrations(self) -> dict[str, list[dict[str, Any]]]:
        """Calibrations of every camera, one per episode of the segment."""
        return {camera: self.segment.calibrations(camera) for camera in cameras_of(self.segment)}


def pieces_of(dataset: Dataset, segments: Sequence[str]) -> list[Piece]:
    """Return the visible episodes of segments; a segment that has none is left out."""
    visible: dict[str, list[EpisodeRef]] = defaultdict(list)
    for episode in dataset.episodes:
        visible[episode.segment].append(episode)
    return [Piece(dataset.segment(path), tuple(visible[path])) for path in segments if visible[path]]


def cameras_of(stored: StoredObject) -> list[str]:
    """Names of the cameras that an object holds images of."""
    return [name.split("/")[1] for name in stored.names if name.startswith("cams/") and name.endswith("/data")]


@dataclass(frozen=True)
class Form:
    """How joined segments are written.

    Attributes:
        shard_bytes: Size of a shard; None: as usual.
        sizes: Height and width to which the images of cameras are encoded anew; other images stay what they are.
        quality: Of these JPEGs.
        store: Where they are written; None: into the dataset itself.
    """

    shard_bytes: int | None = None
    sizes: Mapping[str, Size] = field(default_factory=dict)
    quality: int = 80
    store: Store | None = None


AS_IT_IS = Form()


def join_segments(dataset: Dataset, pieces: Sequence[Piece], form: Form = AS_IT_IS) -> Addition:
    """Write the episodes of several segments as one that is not yet committed.

    Raises:
        DataError: a segment is damaged, or holds arrays that this SDK does not know.
    """
    with StagedFolder(form.store or dataset.store) as staged:
        episodes, columns = _tables(pieces), {}
        for name in _row_names(pieces):
            values = np.concatenate([part for piece in pieces for part in piece.rows(piece.segment.read(name))])
            write_array(staged.group, name, values, form.shard_bytes)
            if name in ("action", "valid", "state", "state_valid"):
                columns[name] = values
        texts = tables.Texts()
        spans = tables.language_array(list(_spans(pieces)), texts)
        small = {"lang/spans": spans, **tables.episode_arrays(episodes, texts), **texts.arrays()}
        for camera in cameras_of(pieces[0].segment):
            _join_camera(staged.group, camera, pieces, form)
            small |= _calibration(camera, pieces)
        for name, values in small.items():
            write_array(staged.group, name, values)
        path = f"segments/{staged.folder.name}"
        rows = sum(episode.length for episode in episodes)
        entry = Entry(path=path, rows=rows, episodes=len(episodes))
        statistics = row_statistics(columns, dataset.declaration.native.layout)
        return staged.addition(entry, statistics)


def join_derived(dataset: Dataset, name: str, pieces: Sequence[Piece], base: Entry, form: Form = AS_IT_IS) -> Addition:
    """Write what a derived set holds for several segments as one object for the segment ``base`` made of them."""
    stored = [dataset.derived(name, piece.segment.path) for piece in pieces]
    with StagedFolder(form.store or dataset.store) as staged:
        for array in stored[0].names:
            parts = [part for piece, own in zip(pieces, stored, strict=True) for part in piece.rows(own.read(array))]
            write_array(staged.group, array, np.concatenate(parts), form.shard_bytes)
        path = f"derived/{name}/{staged.folder.name}"
        return staged.addition(Entry(path=path, rows=base.rows, base=base.path))


def derived_of(dataset: Dataset) -> dict[str, list[str]]:
    """Return what is derived from each base segment: the paths of the objects, by path of the segment."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, entry in dataset.entries.items():
        if entry.base is not None:
            found[entry.base].append(path)
    return found


def discard(dataset: Dataset, additions: Sequence[Addition]) -> None:
    """Remove objects that were written and will not be committed."""
    for addition in additions:
        dataset.store.remove(addition.entry.path)


def _row_names(pieces: Sequence[Piece]) -> list[str]:
    """Names of the arrays over rows, the same in every segment."""
    sets = [{name for name in piece.segment.names if not name.startswith(("cams/", *TABLES))} for piece in pieces]
    for piece, names in zip(pieces, sets, strict=True):
        strange = [name for name in names if "/" in name and not name.startswith("raw/")]
        if strange or names != sets[0]:
            what = f"holds arrays that others do not: {', '.join(sorted(strange or names ^ sets[0]))}"
            raise DataError(what, where=piece.segment.path)
    return sorted(sets[0])


def _tables(pieces: Sequence[Piece]) -> list[tables.EpisodeEntry]:
    entries, start = [], 0
    for episode in (episode for piece in pieces for episode in piece.episodes):
        entries.append(tables.EpisodeEntry(episode.key, start, episode.length, episode.labels))
        start += episode.length
    return entries


def _spans(pieces: Sequence[Piece]) -> Iterator[tuple[int, LanguageSpan]]:
    number = 0
    for piece in pieces:
        for episode in piece.episodes:
            yield from ((number, span) for span in piece.segment.language[episode.number])
            number += 1


def _calibration(camera: str, pieces: Sequence[Piece]) -> dict[str, Array]:
    values = (piece.calibrations[camera][episode.number] for piece in pieces for episode in piece.episodes)
    data, offsets = tables.pack_texts([json.dumps(value, sort_keys=True, allow_nan=False) for value in values])
    return {f"calib/{camera}/data": data, f"calib/{camera}/offsets": offsets}


def _join_camera(group: Any, camera: str, pieces: Sequence[Piece], form: Form) -> None:
    size = form.sizes.get(camera)
    stream, ends = ByteStream(group, f"cams/{camera}/data", form.shard_bytes), [np.zeros(1, np.uint64)]
    for piece in pieces:
        if size is None:
            ends += _copy_images(piece, camera, stream)
        else:
            ends.append(np.array([*_recode_images(piece, camera, stream, size, form.quality)], np.uint64))
    stream.close()
    write_array(group, f"cams/{camera}/offsets", np.concatenate(ends), form.shard_bytes)
    times: list[Array] = []
    rows: list[Array] = []
    images = 0
    for piece in pieces:
        row, time = piece.segment.read(f"cams/{camera}/row"), piece.segment.read(f"cams/{camera}/time")
        for part, (first, stop) in zip(piece.rows(row), piece.images(camera), strict=True):
            rows.append(np.where(part < 0, -1, part - first + images).astype(np.int32))
            times.append(time[first:stop])
            images += stop - first
    write_array(group, f"cams/{camera}/row", np.concatenate(rows), form.shard_bytes)
    write_array(group, f"cams/{camera}/time", np.concatenate(times), form.shard_bytes)


def _copy_images(piece: Piece, camera: str, stream: ByteStream) -> Iterator[Array]:
    """Append the images of a piece as they are, and yield where they end in the stream."""
    offsets, data = piece.segment.read(f"cams/{camera}/offsets"), piece.segment.array(f"cams/{camera}/data")
    for first, stop in piece.images(camera):
        begin, end = int(offsets[first]), int(offsets[stop])
        yield offsets[first + 1 : stop + 1] - np.uint64(begin) + np.uint64(stream.length)
        for at in range(begin, end, PIECE_BYTES):
            stream.append(data.read(at, min(end, at + PIECE_BYTES)).tobytes())


def _recode_images(piece: Piece, camera: str, stream: ByteStream, size: Size, quality: int) -> Iterator[int]:
    """Append the images of a piece at another size, and yield where each ends in the stream."""
    offsets, data = piece.segment.read(f"cams/{camera}/offsets").tolist(), piece.segment.array(f"cams/{camera}/data")
    for number in (number for first, stop in piece.images(camera) for number in range(first, stop)):
        where = f"{piece.segment.path}: camera {camera!r}, image {number}"
        pixels = np.empty((*size, 3), np.uint8)
        decode_into(data.read(offsets[number], offsets[number + 1]).tobytes(), pixels, where)
        stream.append(encode_jpeg(pixels, quality=quality))
        yield stream.length


def _first_image(row: Array) -> int | None:
    seen = row[row >= 0]
    return int(seen.min()) if len(seen) else None
