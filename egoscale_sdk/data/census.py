"""The census of a dataset: how much of what it holds, by hours, labels and pairs; from its tables alone."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.episodes import EpisodeIndex

Array = NDArray[Any]
COUNTED = ("task", "scene", "category", "operator", "split")
TOTALS = {"tasks": "task", "scenes": "scene", "operators": "operator", "categories": "category"}
MOST = 50
"""Values of a label that are listed, the most frequent."""


def take_census(dataset: Dataset) -> dict[str, Any]:
    """Count hours, distinct labels, episodes and hours by label, and groups of aligned episodes.

    Returns:
        ``hours``; ``totals`` of distinct tasks, scenes, operators, categories and objects; ``census``, episodes by
        label and value (labels that no episode has are left out); ``hours_by_label``; ``category_shares`` of the
        hours; ``pairs``.
    """
    index = dataset.index
    hours = (index.duration_ns / 1e9 + 1 / dataset.declaration.fps) / 3600
    values: dict[str, tuple[Array, list[str]]] = {name: (index.codes(name), index.texts(name)) for name in COUNTED}
    values["success"] = (index.success, ["False", "True"])
    objects = _objects(index)
    census = {name: _tally(codes, texts) for name, (codes, texts) in values.items()}
    spans = {name: _tally(codes, texts, hours) for name, (codes, texts) in values.items()}
    total = float(hours.sum())
    return {
        "hours": round(total, 6),
        "totals": {name: len(census[label]) for name, label in TOTALS.items()} | {"objects": len(objects)},
        "census": {name: _most({k: int(v) for k, v in part.items()}) for name, part in census.items() if part}
        | ({"objects": dict(objects.most_common(MOST))} if objects else {}),
        "hours_by_label": {
            name: _most({k: round(v, 6) for k, v in part.items()}) for name, part in spans.items() if part
        },
        "category_shares": {name: round(part / total, 4) for name, part in spans["category"].items()},
        "pairs": _pairs(index),
    }


def valid_rows(dataset: Dataset) -> NDArray[np.int64]:
    """Count the rows in which each group of the native layout is valid.

    Taken from the statistics of the commits; only segments with hidden episodes, or without statistics, are read.
    """
    layout = dataset.declaration.native.layout
    firsts = [block.start for block in layout.blocks.values()]
    total = np.zeros(len(firsts), np.int64)
    unknown = set()
    for path in dataset.segments:
        moments = dataset.segment(path).addition.statistics.get("action")
        if moments is None or dataset.entries[path].hidden:
            unknown.add(path)
        else:
            total += np.array(moments.count)[firsts]
    for episode in dataset.episodes if unknown else ():
        if episode.segment in unknown:
            total += (dataset.rows(episode, raw=False).valid == 1).sum(0)
    return total


def _tally(codes: Array, texts: list[str], weights: Array | None = None) -> dict[str, float]:
    """Sum of the weights (or number) of the episodes of each text that occurs, the largest first."""
    known = codes >= 0
    sums = np.bincount(codes[known], None if weights is None else weights[known], minlength=len(texts))
    present = np.bincount(codes[known], minlength=len(texts)) > 0
    order = [int(i) for i in np.argsort(-sums, kind="stable") if present[i]]
    return {texts[i]: float(sums[i]) for i in order}


def _most(values: dict[str, Any]) -> dict[str, Any]:
    return dict(list(values.items())[:MOST])


def _objects(index: EpisodeIndex) -> Counter[str]:
    """Episodes by object; an object that an episode names twice counts once."""
    found: Counter[str] = Counter()
    for text, count in _tally(index.codes("objects"), index.texts("objects")).items():
        for name in dict.fromkeys(map(str, json.loads(text) or ())):
            found[name] += int(count)
    return found


def _pairs(index: EpisodeIndex) -> dict[str, int]:
    """Groups of aligned episodes: how many, how many have two or more here, and how many episodes are in any."""
    counts = _tally(index.codes("aligned_group"), index.texts("aligned_group")).values()
    return {
        "groups": len(counts),
        "paired_here": sum(count > 1 for count in counts),
        "episodes": int(sum(counts)),
    }
