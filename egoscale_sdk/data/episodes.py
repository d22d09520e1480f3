"""The episodes of a dataset, in columns: what the commits say of them, so that no segment is opened to find one.

Every commit carries the table of the episodes that it brings. With every snapshot the tables of the commits before it
are published as one file of columns (a chunk), each of which is read when somebody asks for it.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Protocol, Self, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field, model_validator

from egoscale_sdk.data.spans import RAGGED, UNSAID, Spans, measure, problem, widths
from egoscale_sdk.data.tables import JSON_COLUMNS, TEXT_LABELS, UNKNOWN, EpisodeEntry, Texts, episode_arrays, pack_texts
from egoscale_sdk.errors import DataError
from egoscale_sdk.specs import Strict

Array = NDArray[Any]

CODED = (*TEXT_LABELS, *JSON_COLUMNS)
NUMBERS = {
    "start": np.int64,
    "length": np.int32,
    "duration_ns": np.int64,
    "map_runs": np.int32,
    "known_runs": np.int32,
    "success": np.int8,
    "quality": np.float32,
}


@dataclass(frozen=True)
class EpisodeRef:
    """An episode of a dataset at one version; ``start`` counts rows of its segment."""

    index: int
    key: str
    segment: str
    number: int
    start: int
    length: int
    labels: dict[str, Any]

    @property
    def task(self) -> str:
        """The task label, or an empty text."""
        return str(self.labels.get("task", ""))


_Row = Annotated[int, Field(ge=0, lt=2**62)]
_Count = Annotated[int, Field(ge=0, lt=2**31)]


class EpisodeTable(Strict):
    """The episodes of one segment as a commit carries them, one list per column.

    ``labels`` are numbers of ``texts``, -1 where there is none; ``duration_ns`` lies between first and last row, and
    ``map_runs`` is 1 more than the number of map resets. ``known_runs`` and the columns after it are those of `Spans`;
    tables of older logs lack them.
    """

    key: tuple[str, ...]
    start: tuple[_Row, ...]
    length: tuple[_Count, ...]
    duration_ns: tuple[_Row, ...]
    map_runs: tuple[_Count, ...]
    known_runs: tuple[_Count, ...] | None = None
    resets: tuple[_Row, ...] = ()
    tail_ns: tuple[_Row, ...] = ()
    known: tuple[_Row, ...] = ()
    success: tuple[Annotated[int, Field(ge=-1, le=1)], ...]
    quality: tuple[float, ...]
    labels: dict[str, tuple[Annotated[int, Field(ge=-1, lt=2**31)], ...]]
    texts: tuple[str, ...]

    @model_validator(mode="after")
    def _columns_belong_together(self) -> Self:
        columns = (*(self.numbers(name) for name in NUMBERS), *self.labels.values())
        if set(self.labels) != set(CODED) or any(len(column) != len(self.key) for column in columns):
            raise ValueError("the columns of the table of episodes are not of one length, or not those of a table")
        if any(max(codes, default=-1) >= len(self.texts) for codes in self.labels.values()):
            raise ValueError("labels have numbers of texts that are not there")
        spans = Spans(*(np.array(self.numbers(name), np.int64) for name in Spans._fields))
        if self.known_runs is not None and (wrong := problem(np.array(self.length, np.int64), spans)):
            raise ValueError(wrong)
        return self

    def numbers(self, name: str) -> Sequence[float]:
        """Return a column of `NUMBERS` or `RAGGED`."""
        if name == "known_runs" and self.known_runs is None:
            return (UNSAID,) * len(self.key)
        column: Sequence[float] = getattr(self, name)
        return column

    @classmethod
    def make(cls, entries: Sequence[EpisodeEntry], time_ns: Array, map_id: Array, valid: Array) -> EpisodeTable:
        """Make the table of a segment from its entries, its times and map ids ``(T,)`` and validity ``(T, G)``."""
        texts = Texts()
        columns = {name[9:]: values.tolist() for name, values in episode_arrays(entries, texts).items()}
        numbers = {name: tuple(columns[name]) for name in ("start", "length", "success", "quality")}
        starts = np.array([entry.start for entry in entries], np.int64)
        stops = starts + np.array([entry.length for entry in entries], np.int64)
        spans = measure(starts, stops, time_ns, map_id, valid)
        labels, used = _compact({name: columns[name] for name in CODED}, texts.texts())
        return cls(
            key=tuple(entry.key for entry in entries),
            duration_ns=tuple(
                int(time_ns[b - 1] - time_ns[a]) if b > a else 0 for a, b in zip(starts, stops, strict=True)
            ),
            labels=labels,
            texts=used,
            **numbers,
            **{name: tuple(column.tolist()) for name, column in spans._asdict().items()},
        )


class Piece(Strict):
    """Rows ``[start, stop)`` of a chunk: the table that commit ``seq`` brought for a segment."""

    path: str
    seq: int
    start: int
    stop: int


class Chunk(Protocol):
    """Tables of several segments, one after the other."""

    @property
    def pieces(self) -> Sequence[Piece]:
        """Whose tables they are."""

    def column(self, name: str) -> Array:
        """Return a column: of `NUMBERS`, `CODED`, `RAGGED`, or ``keys``, ``key_ends``, ``texts`` and ``text_ends``."""


class TableChunk:
    """A chunk in memory, made of tables ``(path, seq, table)`` as commits carry them."""

    def __init__(self, tables: Sequence[tuple[str, int, EpisodeTable]]) -> None:
        ends = np.cumsum([0, *(len(table.key) for _, _, table in tables)]).tolist()
        spans = zip(tables, pairwise(ends), strict=True)
        self.pieces = tuple(Piece(path=path, seq=seq, start=a, stop=b) for (path, seq, _), (a, b) in spans)
        self._tables = [table for _, _, table in tables]

    @cached_property
    def _columns(self) -> dict[str, Array]:
        texts = Texts()
        numbers = [[texts.number(text) for text in table.texts] for table in self._tables]
        columns: dict[str, Array] = {}
        for name, dtype in NUMBERS.items():
            columns[name] = self._joined(name, dtype)
        for name in CODED:
            values = (
                UNKNOWN if code < 0 else own[code]
                for table, own in zip(self._tables, numbers, strict=True)
                for code in table.labels[name]
            )
            columns[name] = np.array(list(values), np.int32)
        columns["keys"], columns["key_ends"] = pack_texts([key for table in self._tables for key in table.key])
        columns["texts"], columns["text_ends"] = pack_texts(texts.texts())
        return columns

    def _joined(self, name: str, dtype: DTypeLike) -> Array:
        return np.array([value for table in self._tables for value in table.numbers(name)], dtype)

    def column(self, name: str) -> Array:
        """Return a column."""
        if name in RAGGED and name not in self._columns:  # few ask for them, and they are long
            self._columns[name] = self._joined(name, np.int64)
        return self._columns[name]


def ragged(runs: Iterable[tuple[Chunk, int, int]], name: str) -> Array:
    """Join what the episodes ``[start, stop)`` of chunks have of a column of `RAGGED`."""
    ends, parts = dict[int, Array](), [np.empty(0, np.int64)]
    for chunk, start, stop in runs:
        if id(chunk) not in ends:
            counts = widths(name, chunk.column("map_runs"), chunk.column("known_runs"))
            ends[id(chunk)] = np.append(0, np.cumsum(counts))
        own = ends[id(chunk)]
        parts.append(chunk.column(name)[own[start] : own[stop]])
    return np.concatenate(parts)


class EpisodeIndex:
    """Episodes of the live segments of a dataset, in the order of their commits; columns are read when asked for.

    Args:
        chunks: Hold the table of every segment.
        segments: Path, commit, hidden episodes and later split labels of each live base segment, in order.
    """

    def __init__(
        self, chunks: Sequence[Chunk], segments: Sequence[tuple[str, int, Sequence[int], dict[str, Sequence[int]]]]
    ) -> None:
        self._chunks, self._live = tuple(chunks), tuple(segments)
        self.segments: tuple[str, ...] = tuple(path for path, *_ in segments)
        self._columns: dict[str, Array] = {}
        found = {
            (piece.path, piece.seq): (number, piece.start, piece.stop)
            for number, chunk in enumerate(self._chunks)
            for piece in chunk.pieces
        }
        missing = [path for path, seq, *_ in segments if (path, seq) not in found]
        if missing:
            raise DataError(f"the log has no table of the episodes of {missing[0]}", hint="restore it from a copy")
        visible = [_visible(found[path, seq], hidden) for path, seq, hidden, _ in segments]
        sizes = [sum(stop - start for _, start, stop in runs) for runs in visible]
        self._runs = _merge([run for runs in visible for run in runs])
        self._first = [found[path, seq][1] for path, seq, *_ in segments]
        self._visible = visible
        self.ends: Array = np.cumsum([0, *sizes], dtype=np.int64)
        """Number of episodes before each segment, and of all, ``(S + 1,)``."""

    def __len__(self) -> int:
        return int(self.ends[-1])

    @property
    def segment(self) -> NDArray[np.int32]:
        """Which of `segments` each episode lies in, ``(E,)``."""
        return np.repeat(np.arange(len(self.segments), dtype=np.int32), np.diff(self.ends))

    @cached_property
    def number(self) -> NDArray[np.int32]:
        """Number of each episode within its segment, hidden ones counted, ``(E,)``."""
        runs = zip(self._first, self._visible, strict=True)
        parts = [np.arange(a - first, b - first, dtype=np.int32) for first, own in runs for _, a, b in own]
        return np.concatenate([np.empty(0, np.int32), *parts])

    @property
    def start(self) -> NDArray[np.int64]:
        """First row of each episode in its segment, ``(E,)``."""
        return self._column("start")

    @property
    def length(self) -> NDArray[np.int32]:
        """Rows of each episode, ``(E,)``."""
        return self._column("length")

    @property
    def duration_ns(self) -> NDArray[np.int64]:
        """Time from the first to the last row of each episode, ``(E,)``."""
        return self._column("duration_ns")

    @property
    def map_runs(self) -> NDArray[np.int32]:
        """1 more than the number of map resets of each episode, ``(E,)``."""
        return self._column("map_runs")

    def spans(self) -> Spans:
        """Return what the log knows of the rows of all episodes; made anew each time, for it may be large."""
        runs = [(self._chunks[chunk], start, stop) for chunk, start, stop in self._runs]
        joined = [ragged(runs, name) for name in RAGGED]
        return Spans(self.map_runs, self._column("known_runs"), *joined)

    @property
    def success(self) -> NDArray[np.int8]:
        """1, 0 or -1 where it is not known, ``(E,)``."""
        return self._column("success")

    @property
    def quality(self) -> NDArray[np.float32]:
        """Quality label, -1 where there is none, ``(E,)``."""
        return self._column("quality")

    def codes(self, label: str) -> NDArray[np.int32]:
        """Return for each episode the number of its text in `texts` of the same label, -1 where there is none."""
        return self._coded(label)[0]

    def texts(self, label: str) -> list[str]:
        """Return the texts that episodes have as a label, e.g. ``task``; ``objects`` and ``extra`` are JSON."""
        return self._coded(label)[1]

    def key(self, index: int) -> str:
        """Return the key of one episode."""
        at, run = self._run_of(index)
        chunk, start, _ = run
        ends = self._chunks[chunk].column("key_ends")
        row = start + index - at
        return bytes(self._chunks[chunk].column("keys")[int(ends[row]) : int(ends[row + 1])]).decode()

    def keys(self) -> Iterator[str]:
        """Yield the keys of all episodes, in order."""
        for chunk, start, stop in self._runs:
            ends = self._chunks[chunk].column("key_ends")[start : stop + 1].tolist()
            blob = self._chunks[chunk].column("keys")[ends[0] : ends[-1]].tobytes()
            yield from (blob[a - ends[0] : b - ends[0]].decode() for a, b in pairwise(ends))

    def labels(self, index: int) -> dict[str, Any]:
        """Return the labels of one episode as they were given."""
        found: dict[str, Any] = {}
        for name in CODED:
            codes, texts = self._coded(name)
            if codes[index] >= 0:
                text = texts[codes[index]]
                found |= {name: text} if name in TEXT_LABELS else {name: json.loads(text)}
        if self.success[index] != UNKNOWN:
            found["success"] = bool(self.success[index])
        if self.quality[index] != UNKNOWN:
            found["quality"] = float(self.quality[index])
        extra: dict[str, Any] = found.pop("extra", {})
        return found | extra

    def _coded(self, label: str) -> tuple[Array, list[str]]:
        key = f"codes/{label}"
        if key not in self._columns:
            self._columns[key], self._texts[label] = self._code(label)
        return self._columns[key], self._texts[label]

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        return {}

    def _code(self, label: str) -> tuple[Array, list[str]]:
        """Number the texts that visible episodes have as this label."""
        texts, parts, maps = Texts(), [np.empty(0, np.int32)], dict[int, Array]()
        for chunk, start, stop in self._runs:
            codes = self._chunks[chunk].column(label)
            if chunk not in maps:
                maps[chunk] = np.full(len(self._chunks[chunk].column("text_ends")), UNKNOWN, np.int32)
            here = codes[start:stop]
            for code in np.unique(here[here >= 0]).tolist():
                if maps[chunk][code] < 0:
                    maps[chunk][code] = texts.number(self._text(chunk, code))
            parts.append(maps[chunk][here])  # -1 picks the last entry, which is no text
        codes = np.concatenate(parts)
        if label == "split":
            self._overlay(codes, texts)
        if not texts.texts():  # a label that nobody gave takes no memory
            codes = np.broadcast_to(np.int32(UNKNOWN), codes.shape)
        return codes, texts.texts()

    def _text(self, chunk: int, code: int) -> str:
        start, stop = self._chunks[chunk].column("text_ends")[code : code + 2].tolist()
        return bytes(self._chunks[chunk].column("texts")[start:stop]).decode()

    def _overlay(self, codes: Array, texts: Texts) -> None:
        """Write the split labels that episodes were given later."""
        for place, (_, _, _, splits) in enumerate(self._live):
            numbers = self.number[self.ends[place] : self.ends[place + 1]] if splits else codes[:0]
            for name, given in splits.items():
                codes[int(self.ends[place]) + np.flatnonzero(np.isin(numbers, list(given)))] = texts.number(name)

    def _column(self, name: str) -> Array:
        if name not in self._columns:
            parts = [self._chunks[chunk].column(name)[start:stop] for chunk, start, stop in self._runs]
            self._columns[name] = np.concatenate([np.empty(0, NUMBERS[name]), *parts])
        return self._columns[name]

    def _run_of(self, index: int) -> tuple[int, tuple[int, int, int]]:
        number = bisect_right(self._run_starts, index) - 1
        return self._run_starts[number], self._runs[number]

    @cached_property
    def _run_starts(self) -> list[int]:
        ends: list[int] = np.cumsum([0, *(stop - start for _, start, stop in self._runs)]).tolist()
        return ends[:-1]


class Episodes(Sequence[EpisodeRef]):
    """The episodes of an index as a sequence; each is made when it is asked for."""

    def __init__(self, index: EpisodeIndex) -> None:
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, at: int) -> EpisodeRef: ...
    @overload
    def __getitem__(self, at: slice) -> list[EpisodeRef]: ...
    def __getitem__(self, at: int | slice) -> EpisodeRef | list[EpisodeRef]:
        if isinstance(at, slice):
            return [self._ref(n) for n in range(*at.indices(len(self)))]
        number = at.__index__()
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError(f"there is no episode {at} among {len(self)}")
        return self._ref(number)

    def _ref(self, number: int) -> EpisodeRef:
        index = self._index
        segment = int(np.searchsorted(index.ends, number, "right")) - 1
        return EpisodeRef(
            index=number,
            key=index.key(number),
            segment=index.segments[segment],
            number=int(index.number[number]),
            start=int(index.start[number]),
            length=int(index.length[number]),
            labels=index.labels(number),
        )


def _compact(columns: dict[str, list[int]], texts: Sequence[str]) -> tuple[dict[str, tuple[int, ...]], tuple[str, ...]]:
    """Number anew the texts that the columns use."""
    used = Texts()
    labels = {
        name: tuple(UNKNOWN if code < 0 else used.number(texts[code]) for code in codes)
        for name, codes in columns.items()
    }
    return labels, tuple(used.texts())


def _visible(place: tuple[int, int, int], hidden: Sequence[int]) -> list[tuple[int, int, int]]:
    """Runs of rows of a chunk that are not hidden."""
    chunk, start, stop = place
    edges = [start - 1, *sorted({start + number for number in hidden if number < stop - start}), stop]
    return [(chunk, a + 1, b) for a, b in pairwise(edges) if b > a + 1]


def _merge(runs: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Join runs that follow each other."""
    merged: list[tuple[int, int, int]] = []
    for chunk, start, stop in runs:
        if merged and merged[-1][0] == chunk and merged[-1][2] == start:
            merged[-1] = (chunk, merged[-1][1], stop)
        else:
            merged.append((chunk, start, stop))
    return merged
