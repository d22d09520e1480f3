"""The census of a dataset: how much of what it holds, by hours, labels and pairs; read from its tables alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.episodes import EpisodeRef

COUNTED = ("task", "scene", "category", "operator", "split", "success")
TOTALS = {"tasks": "task", "scenes": "scene", "operators": "operator", "categories": "category"}
MOST = 50
"""Values of a label that are listed, the most frequent."""


def take_census(dataset: Dataset) -> dict[str, Any]:
    """Count hours, distinct labels, episodes and hours per label, and groups of aligned episodes.

    Returns:
        ``hours``; ``totals`` of distinct tasks, scenes, operators, categories, objects and captions; ``census``,
        episodes by label and value (labels that no episode has are left out); ``hours_by_label``; ``category_shares``
        of the hours; ``pairs``.
    """
    hours = episode_hours(dataset)
    values = {name: [_text(episode.labels.get(name)) for episode in dataset.episodes] for name in COUNTED}
    objects = [list(dict.fromkeys(map(str, episode.labels.get("objects") or ()))) for episode in dataset.episodes]
    census = {name: Counter(value for value in column if value) for name, column in values.items()}
    census["objects"] = Counter(name for names in objects for name in names)
    by_label = {name: _hours(zip(column, hours, strict=True)) for name, column in values.items()}
    total = sum(hours)
    return {
        "hours": round(total, 6),
        "totals": {name: len(census[label]) for name, label in TOTALS.items()} | {"objects": len(census["objects"])},
        "census": {name: dict(count.most_common(MOST)) for name, count in census.items() if count},
        "hours_by_label": {name: part for name, part in by_label.items() if part},
        "category_shares": {
            name: round(part / total, 4) if total else 0.0 for name, part in by_label["category"].items()
        },
        "pairs": _pairs(dataset.episodes),
    }


def episode_hours(dataset: Dataset) -> list[float]:
    """Length of every episode in hours: from its first row to its last, and one period."""
    period = 1 / dataset.declaration.fps
    return [(_span_s(dataset, episode) + period) / 3600 for episode in dataset.episodes]


def valid_rows(dataset: Dataset) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Count the rows in which each group of the native layout is valid.

    Taken from the statistics of the commits; only segments with hidden episodes, or without statistics, are read.
    """
    layout = dataset.declaration.native.layout
    firsts = [block.start for block in layout.blocks.values()]
    total = np.zeros(len(firsts), np.int64)
    unknown = set()
    for path in dataset.segments:
        addition = dataset.segment(path).addition
        moments = addition.statistics.get("action")
        if moments is None or addition.entry.hidden:
            unknown.add(path)
        else:
            total += np.array(moments.count)[firsts]
    for episode in (episode for episode in dataset.episodes if episode.segment in unknown):
        total += (dataset.rows(episode, raw=False).valid == 1).sum(0)
    return total


def _span_s(dataset: Dataset, episode: EpisodeRef) -> float:
    time = dataset.segment(episode.segment).array("time")
    last = episode.start + episode.length - 1
    first_ns, last_ns = (int(time.read(row, row + 1)[0]) for row in (episode.start, last))
    return (last_ns - first_ns) / 1e9


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _hours(pairs: Iterable[tuple[str | None, float]]) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for value, hours in pairs:
        if value:
            sums[value] += hours  # type: ignore[assignment]  # hours are no integers
    return {value: round(float(hours), 6) for value, hours in sums.most_common(MOST)}


def _pairs(episodes: Iterable[EpisodeRef]) -> dict[str, int]:
    """Groups of aligned episodes: how many, how many have two or more here, and how many episodes are in any."""
    groups = Counter(str(e.labels["aligned_group"]) for e in episodes if e.labels.get("aligned_group") is not None)
    paired = [count for count in groups.values() if count > 1]
    return {"groups": len(groups), "paired_here": len(paired), "episodes": groups.total()}
