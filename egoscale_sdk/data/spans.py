"""What the log keeps of the rows of episodes, so that nobody reads them to find where windows can stand.

A span is the rows of one episode within one map. Of each the log knows where it begins and how long before its last
row the few rows before that one are; of each episode, in which runs of rows something is known.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TAIL = 6
"""Rows before the last one of a span whose time is kept: first targets 0.16 s ahead at 30 Hz, 40 ms at 120 Hz."""
UNSAID = -1
RAGGED = ("resets", "tail_ns", "known")


class Spans(NamedTuple):
    """The spans of E episodes; rows count in their episode.

    Attributes:
        map_runs: ``(E,)`` spans of each.
        known_runs: ``(E,)`` runs of rows in which something is known, `UNSAID` where the log says nothing of it.
        resets: First row of every span but the first of its episode.
        tail_ns: ``(spans * TAIL,)`` time from the row 1, 2, ... before the last one of the span to that one; of a
            shorter span from its first row.
        known: Begin and end of every run in which something is known.
    """

    map_runs: Array
    known_runs: Array
    resets: Array
    tail_ns: Array
    known: Array


def widths(name: str, map_runs: Array, known_runs: Array) -> Array:
    """How many numbers of a column of `RAGGED` each episode has, ``(E,)``."""
    maps, known = np.where(known_runs < 0, 0, map_runs).astype(np.int64), np.maximum(known_runs, 0).astype(np.int64)
    counts: Array = {"resets": np.maximum(maps - 1, 0), "tail_ns": maps * TAIL, "known": known * 2}[name]
    return counts


def measure(starts: Array, stops: Array, time_ns: Array, map_id: Array, valid: Array) -> Spans:
    """Find the spans of episodes, whose rows are ``[starts, stops)`` in order, from the rows of their segment."""
    spans, count = split(starts, stops, map_id), len(starts)
    episode, low, high = spans.T
    before = np.maximum(high[:, None] - 2 - np.arange(TAIL), low[:, None])
    pieces = overlaps(starts, stops, known_rows(valid))
    return Spans(
        map_runs=np.bincount(episode, minlength=count),
        known_runs=np.bincount(pieces[:, 0], minlength=count),
        resets=(low - starts[episode])[low > starts[episode]],
        tail_ns=(time_ns[high - 1][:, None] - time_ns[before]).reshape(-1),
        known=(pieces[:, 1:] - starts[pieces[:, :1]]).reshape(-1),
    )


def problem(lengths: Array, spans: Spans) -> str | None:
    """Say what cannot be true of spans of episodes of ``lengths (E,)``."""
    if any(len(getattr(spans, name)) != widths(name, *spans[:2]).sum() for name in RAGGED):
        return "the spans of the episodes are not as many as it says"
    for name, lowest in (("resets", 1), ("known", 0)):
        episode = np.repeat(np.arange(len(lengths)), widths(name, *spans[:2]))
        rows, end = getattr(spans, name), lengths[episode]
        back = (np.diff(rows) < lowest) & (np.diff(episode) == 0)
        if back.any() or (rows < lowest).any() or (rows > end - lowest).any():
            return f"the column {name} names rows that the episodes do not have, or not in order"
    if ((spans.map_runs > 0) != (lengths > 0)).any():
        return "episodes have rows in no map"
    return None


def split(starts: Array, stops: Array, map_id: Array) -> Array:
    """Rows of one episode and one map: ``(S, 3)`` place of the episode among ``starts``, first row, end row."""
    resets = np.flatnonzero(map_id[1:] != map_id[:-1]) + 1
    edges = np.unique(np.concatenate([starts, stops, resets]))
    low, high = edges[:-1], edges[1:]
    episode = np.searchsorted(starts, low, side="right") - 1
    inside = (episode >= 0) & (low < stops[episode])
    return np.stack([episode[inside], low[inside], high[inside]], 1)


def known_rows(valid: Array) -> Array:
    """Rows ``[start, stop)``, ``(K, 2)``, in which something is known."""
    known = np.zeros(len(valid) + 2, bool)
    for group in valid.T:
        known[1:-1] |= group == 1
    return np.flatnonzero(known[1:] != known[:-1]).reshape(-1, 2)


def overlaps(low: Array, high: Array, runs: Array) -> Array:
    """Cut ``runs (K, 2)`` to the spans ``[low, high)``: ``(N, 3)`` number of the span, first row, end row."""
    first = np.searchsorted(runs[:, 1], low, side="right")
    counts = np.maximum(np.searchsorted(runs[:, 0], high) - first, 0)
    span = np.repeat(np.arange(len(low)), counts)
    piece = runs[first[span] + np.arange(len(span)) - np.repeat(np.cumsum(counts) - counts, counts)]
    return np.stack([span, np.maximum(piece[:, 0], low[span]), np.minimum(piece[:, 1], high[span])], 1)
