"""Where windows can stand: found segment by segment, kept as runs of evenly spaced rows, cached per commit.

Two hours of one segment are a handful of runs, so the whole index of a corpus of 20,000 hours is some megabytes, and
opening it again reads nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.data.cached import cached_table
from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.episodes import EpisodeIndex
from egoscale_sdk.errors import DataError
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import digest

Array = NDArray[Any]
REVISION = 1
_THREADS = 4
RUN = np.dtype([("episode", "<u4"), ("first", "<i8"), ("count", "<i4"), ("low", "<i8"), ("high", "<i8")])
"""``count`` windows from row ``first`` on, within the rows ``[low, high)`` of one episode and map."""


class Standing(NamedTuple):
    """Where windows stand, ``(N,)`` each; rows count in the segment."""

    episode: Array
    row: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Rule:
    """What makes a row a place for a window: something is known there, and its first target lies within the map."""

    action_set: str
    first_ns: int
    stride: int


class Places:
    """The windows of some episodes, numbered in their order.

    Args:
        dataset: Where they are.
        rule: Where windows may stand.
        episodes: Numbers of the episodes; each once.
        progress: Told segments while the index is made.
    """

    def __init__(
        self,
        dataset: Dataset,
        rule: Rule,
        episodes: range | Sequence[int],
        progress: Progress = silent,
    ) -> None:
        key = {"revision": REVISION, "commit": dataset.digest, **vars(rule)}
        file = dataset.cache / "index" / f"windows-{digest(key)[7:]}.npy"
        runs = cached_table(file, RUN, lambda: _find_all(dataset, rule, progress))
        self._runs = _of_episodes(runs, episodes)
        self._stride = rule.stride
        self._ends = np.cumsum(self._runs["count"], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __call__(self, windows: ArrayLike) -> Standing:
        """Return where ``windows (N,)`` stand.

        Raises:
            IndexError: there is no such window.
        """
        wanted = np.asarray(windows, np.int64)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"windows are numbered 0..{len(self) - 1}")
        number = np.searchsorted(self._ends, wanted, side="right")
        run = self._runs[number]
        row = run["first"] + (wanted - self._ends[number] + run["count"]) * self._stride
        return Standing(run["episode"], row, run["low"], run["high"])

    def by_episode(self) -> dict[int, range]:
        """Return the windows of every episode that has some, in order."""
        episodes, first = np.unique(self._runs["episode"], return_index=True)
        order = np.argsort(first)
        first = first[order]
        starts = self._ends[first] - self._runs["count"][first]
        stops = np.append(starts[1:], len(self))
        found = zip(episodes[order].tolist(), starts.tolist(), stops.tolist(), strict=True)
        return {episode: range(start, stop) for episode, start, stop in found}


def _of_episodes(runs: Array, episodes: range | Sequence[int]) -> Array:
    """Choose the runs of some episodes, in the order of these; a range of them is no copy."""
    if isinstance(episodes, range) and episodes.step == 1:
        first, last = np.searchsorted(runs["episode"], [episodes.start, episodes.stop])
        return runs[first:last]
    wanted = np.asarray(episodes, np.int64)
    first = np.searchsorted(runs["episode"], wanted)
    counts = np.searchsorted(runs["episode"], wanted, side="right") - first
    offsets = np.repeat(first - np.cumsum(counts) + counts, counts)
    return runs[offsets + np.arange(len(offsets))]


def _find_all(dataset: Dataset, rule: Rule, progress: Progress) -> Array:
    index = dataset.index

    def find(number: int) -> Array:
        return _find(dataset, index, rule, number)

    parts = [np.empty(0, RUN)]
    with ThreadPoolExecutor(_THREADS) as threads:
        for found in threads.map(find, range(len(index.segments))):
            parts.append(found)
            progress(len(parts) - 1, len(index.segments), "segments indexed")
    return np.concatenate(parts)


def _find(dataset: Dataset, index: EpisodeIndex, rule: Rule, number: int) -> Array:
    """Find the runs of one segment."""
    episodes = range(int(index.ends[number]), int(index.ends[number + 1]))
    if not episodes:
        return np.empty(0, RUN)
    path = index.segments[number]
    segment = dataset.segment(path)
    source = segment if rule.action_set == "native" else dataset.derived(rule.action_set, path)
    here = slice(episodes.start, episodes.stop)
    time_ns, start = segment.read("time"), index.start[here]
    stop = start + index.length[here]
    if not ((start >= 0) & (stop > start) & (stop <= len(time_ns))).all():
        raise DataError("has episodes beyond its rows", where=f"{dataset.where}/{path}/episodes")
    spans = _spans(start, stop, segment.read("map_id"))
    runs = _runs(spans, _last_rows(spans, time_ns, rule.first_ns), _known(source.read("valid")), rule.stride)
    runs["episode"] += episodes.start
    return runs


def _spans(starts: Array, stops: Array, map_id: Array) -> Array:
    """Rows of one episode and one map: ``(S, 3)`` place of the episode among ``starts``, first row, end row."""
    resets = np.flatnonzero(map_id[1:] != map_id[:-1]) + 1
    edges = np.unique(np.concatenate([starts, stops, resets]))
    low, high = edges[:-1], edges[1:]
    episode = np.searchsorted(starts, low, side="right") - 1
    inside = (episode >= 0) & (low < stops[episode])
    return np.stack([episode[inside], low[inside], high[inside]], 1)


def _last_rows(spans: Array, time_ns: Array, first_ns: int) -> Array:
    """End ``(S,)`` of the rows from which the first target still lies within the span."""
    _, low, high = spans.T
    end, latest = high.copy(), time_ns[high - 1] - first_ns
    while (late := (end > low) & (time_ns[end - 1] > latest)).any():
        end -= late
    ends: Array = end
    return ends


def _known(valid: Array) -> Array:
    """Rows ``[start, stop)``, ``(K, 2)``, in which something is known."""
    known = np.zeros(len(valid) + 2, bool)
    for group in valid.T:
        known[1:-1] |= group == 1
    return np.flatnonzero(known[1:] != known[:-1]).reshape(-1, 2)


def _runs(spans: Array, ends: Array, known: Array, stride: int) -> Array:
    """Return the runs of rows on the grid of every span, before its end, at which something is known."""
    first = np.searchsorted(known[:, 1], spans[:, 1], side="right")
    counts = np.searchsorted(known[:, 0], ends) - first
    span = np.repeat(np.arange(len(spans)), counts)
    piece = known[first[span] + np.arange(len(span)) - np.repeat(np.cumsum(counts) - counts, counts)]
    runs = np.empty(len(span), RUN)
    runs["episode"], runs["low"], runs["high"] = spans[span].T
    begin = np.maximum(piece[:, 0], runs["low"]) - runs["low"]
    runs["first"] = runs["low"] - (-begin // stride) * stride
    runs["count"] = -((runs["first"] - np.minimum(piece[:, 1], ends[span])) // stride)
    found: Array = runs[runs["count"] > 0]
    return found
