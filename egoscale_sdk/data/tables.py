"""The small tables of a segment: texts, episodes, captions, calibrations; all as plain integer and byte arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.interfaces import LanguageSpan

Array = NDArray[Any]
Read = Callable[[str], Array]

UNKNOWN = -1
TEXT_LABELS = ("task", "scene", "category", "operator", "split", "aligned_group")
JSON_COLUMNS = ("objects", "extra")
_NUMBERS = ("success", "quality")


def pack_texts(texts: Sequence[str]) -> tuple[Array, Array]:
    """Concatenate texts as UTF-8: ``data u1 (B,)`` and ``offsets u8 (N + 1,)``."""
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *(len(data) for data in encoded)], dtype=np.uint64)
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def unpack_texts(data: Array, offsets: Array) -> list[str]:
    """Undo `pack_texts`; the offsets may be those of some texts in a row."""
    ends = offsets.astype(np.int64)
    first = int(ends[0])
    blob = data[first : int(ends[-1])].tobytes()
    return [blob[start:stop].decode() for start, stop in pairwise((ends - first).tolist())]


@dataclass(frozen=True)
class EpisodeEntry:
    """One row of a segment's episode table; ``start`` counts rows of the segment."""

    key: str
    start: int
    length: int
    labels: dict[str, Any]


class Texts:
    """Texts of a segment, each stored once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        """Return the number of a text, adding it if it is new; `UNKNOWN` for None."""
        return UNKNOWN if text is None else self._numbers.setdefault(text, len(self._numbers))

    def texts(self) -> list[str]:
        """Return the texts, in the order of their numbers."""
        return list(self._numbers)

    def arrays(self) -> dict[str, Array]:
        """Return ``strings/data`` and ``strings/offsets``."""
        data, offsets = pack_texts(self.texts())
        return {"strings/data": data, "strings/offsets": offsets}


def episode_arrays(entries: Sequence[EpisodeEntry], texts: Texts) -> dict[str, Array]:
    """Turn the table into arrays; an unknown label is `UNKNOWN`, one that has no column goes to ``extra``."""
    labels = [entry.labels for entry in entries]
    columns: dict[str, Array] = {
        "start": np.array([entry.start for entry in entries], np.int64),
        "length": np.array([entry.length for entry in entries], np.int32),
        "key": np.array([texts.number(entry.key) for entry in entries], np.int32),
        "success": np.array([int(row.get("success", UNKNOWN)) for row in labels], np.int8),
        "quality": np.array([row.get("quality", UNKNOWN) for row in labels], np.float32),
    }
    for name in TEXT_LABELS:
        columns[name] = np.array([texts.number(row.get(name)) for row in labels], np.int32)
    columns["objects"] = np.array([texts.number(_json(row.get("objects"))) for row in labels], np.int32)
    columns["extra"] = np.array([texts.number(_json(_extra(row))) for row in labels], np.int32)
    return {f"episodes/{name}": values for name, values in columns.items()}


def read_episodes(read: Read) -> list[EpisodeEntry]:
    """Undo `episode_arrays`."""
    strings = unpack_texts(read("strings/data"), read("strings/offsets"))
    columns = {name: read(f"episodes/{name}").tolist() for name in ("start", "length", "key", *_NUMBERS)}
    columns |= {name: read(f"episodes/{name}").tolist() for name in (*TEXT_LABELS, *JSON_COLUMNS)}
    return [
        EpisodeEntry(
            strings[columns["key"][i]], columns["start"][i], columns["length"][i], _labels(columns, i, strings)
        )
        for i in range(len(columns["start"]))
    ]


def _labels(columns: dict[str, list[Any]], i: int, strings: list[str]) -> dict[str, Any]:
    known = {name: values[i] for name, values in columns.items() if values[i] != UNKNOWN}
    labels: dict[str, Any] = {name: strings[known[name]] for name in TEXT_LABELS if name in known}
    if "success" in known:
        labels["success"] = bool(known["success"])
    if "quality" in known:
        labels["quality"] = known["quality"]
    if "objects" in known:
        labels["objects"] = json.loads(strings[known["objects"]])
    return labels | (json.loads(strings[known["extra"]]) if "extra" in known else {})


def language_array(spans: Sequence[tuple[int, LanguageSpan]], texts: Texts) -> Array:
    """Captions as ``(K, 5)`` int32: episode, first row, end row, text, kind."""
    rows = [(n, span.start, span.stop, texts.number(span.text), texts.number(span.kind)) for n, span in spans]
    return np.array(rows, np.int32).reshape(-1, 5)


def read_language(read: Read) -> list[list[LanguageSpan]]:
    """Undo `language_array`: the captions of every episode."""
    strings = unpack_texts(read("strings/data"), read("strings/offsets"))
    spans: list[list[LanguageSpan]] = [[] for _ in read("episodes/start")]
    for episode, start, stop, text, kind in read("lang/spans").tolist():
        spans[episode].append(LanguageSpan(strings[text], start, stop, strings[kind]))
    return spans


def _extra(labels: dict[str, Any]) -> dict[str, Any] | None:
    known = {*TEXT_LABELS, *_NUMBERS, "objects"}
    return {name: value for name, value in labels.items() if name not in known} or None


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True, allow_nan=False)
