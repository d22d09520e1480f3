"""Where windows can stand: found from what the log says of the episodes, kept as runs of rows, cached per commit.

Two hours of one segment are a few hundred runs, so the whole index of a corpus of 20,000 hours is some megabytes, and
opening it again reads nothing else. Rows are read only where the log does not say enough: for derived action sets, and
where the first target lies further ahead than the rows before the end whose times the log keeps.
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
from egoscale_sdk.data.spans import TAIL, Spans, known_rows, overlaps, split, widths
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
    """Find all runs: from the log where it says enough, else from the rows of the segment."""
    index, found = dataset.index, np.empty(0, RUN)
    unsaid: Array = np.arange(len(index.segments))
    if rule.action_set == "native":
        found, unsaid = _from_log(index, rule)

    def find(number: int) -> Array:
        return _find(dataset, index, rule, number)

    parts = [found]
    with ThreadPoolExecutor(_THREADS) as threads:
        for more in threads.map(find, unsaid.tolist()):
            parts.append(more)
            progress(len(parts) - 1, len(unsaid), "segments indexed")
    runs = np.concatenate(parts)
    return runs[np.argsort(runs["episode"], kind="stable")] if len(unsaid) else runs


def _from_log(index: EpisodeIndex, rule: Rule) -> tuple[Array, Array]:
    """Find the runs of the segments of which the log says enough, and the numbers of the others.

    Here the rows of all episodes count as if they were one after the other.
    """
    said, lengths = index.spans(), index.length.astype(np.int64)
    first = np.cumsum(lengths) - lengths
    spans = _spans_of(said, first, lengths)
    episode, low, high = spans.T
    late = (rule.first_ns > 0) + (said.tail_ns.reshape(-1, TAIL) < rule.first_ns).sum(1)
    unclear = np.unique(np.concatenate([episode[(late > TAIL) & (high - low > late)], np.flatnonzero(said[1] < 0)]))
    known = np.repeat(first, widths("known", *said[:2])) + said.known
    runs = _runs(spans, np.maximum(high - late, low), known.reshape(-1, 2), rule.stride)
    shift = (index.start - first)[runs["episode"]]
    for name in ("first", "low", "high"):
        runs[name] += shift
    unsaid = np.unique(np.searchsorted(index.ends, unclear, side="right") - 1)
    if len(unsaid):
        runs = runs[~np.isin(np.searchsorted(index.ends, runs["episode"], side="right") - 1, unsaid)]
    return runs, unsaid


def _spans_of(said: Spans, first: Array, lengths: Array) -> Array:
    """Spans ``(S, 3)`` as of `split`, of the episodes of which the log says them."""
    counts = np.where(said.known_runs < 0, 0, said.map_runs)
    episode = np.repeat(np.arange(len(counts)), counts)
    begins = np.ones(len(episode), bool)
    begins[1:] = episode[1:] != episode[:-1]
    low, high = first[episode], first[episode] + lengths[episode]
    low[~begins] += said.resets
    high[:-1][~begins[1:]] = low[1:][~begins[1:]]
    return np.stack([episode, low, high], 1)


def _find(dataset: Dataset, index: EpisodeIndex, rule: Rule, number: int) -> Array:
    """Find the runs of one segment from its rows."""
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
    spans = split(start, stop, segment.read("map_id"))
    runs = _runs(spans, _last_rows(spans, time_ns, rule.first_ns), known_rows(source.read("valid")), rule.stride)
    runs["episode"] += episodes.start
    return runs


def _last_rows(spans: Array, time_ns: Array, first_ns: int) -> Array:
    """End ``(S,)`` of the rows from which the first target still lies within the span."""
    _, low, high = spans.T
    end, latest = high.copy(), time_ns[high - 1] - first_ns
    while (late := (end > low) & (time_ns[end - 1] > latest)).any():
        end -= late
    ends: Array = end
    return ends


def _runs(spans: Array, ends: Array, known: Array, stride: int) -> Array:
    """Return the runs of rows on the grid of every span, before its end, at which something is known."""
    pieces = overlaps(spans[:, 1], ends, known)
    runs = np.empty(len(pieces), RUN)
    runs["episode"], runs["low"], runs["high"] = spans[pieces[:, 0]].T
    begin = pieces[:, 1] - runs["low"]
    runs["first"] = runs["low"] - (-begin // stride) * stride
    runs["count"] = -((runs["first"] - pieces[:, 2]) // stride)
    found: Array = runs[runs["count"] > 0]
    return found
