"""Which episodes are trained on and which are kept out, without anything known leaking from one to the other."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.episodes import EpisodeRef
from egoscale_sdk.data.records import Change, Entry
from egoscale_sdk.errors import DataError, did_you_mean

TOGETHER = ("operator", "scene", "aligned_group", "task", "category")
"""Labels by which episodes can be kept together."""
LABELLED = 32


@dataclass(frozen=True)
class SplitPlan:
    """How a dataset is to be divided.

    Attributes:
        shares: Share of the rows by name of the split, e.g. ``{"train": 0.8, "val": 0.1, "test": 0.1}``.
        keys: Split by key of the episode, for those that are chosen by hand; what is kept together with one of them
            follows it.
        by: Labels by which episodes stay together; several join groups that have an episode in common.
        seed: Selects among the divisions.
        again: Also divide anew what has a split label already.
    """

    shares: Mapping[str, float]
    keys: Mapping[str, str]
    by: tuple[str, ...] = ()
    seed: int = 0
    again: bool = False


def split(dataset: Dataset, plan: SplitPlan) -> dict[str, str]:
    """Give every episode a split label, in one commit that touches no segment.

    Groups are dealt out, the largest first, each to the split that lacks most. What is labelled already keeps its
    label, and what belongs to its group follows, so that a dataset that grows can be divided again and again.

    Returns:
        The split of every episode, by key.

    Raises:
        DataError: shares or keys do not fit, a group is divided already, or there are fewer groups than splits.
    """
    _check(plan, dataset)
    chosen: dict[str, str] = {}

    def change() -> Change | None:
        nonlocal chosen
        chosen = assign(dataset.episodes, plan, dataset.where)
        update = _updated(dataset, chosen)
        return Change(update=update) if update else None

    dataset.commit(change)
    return chosen


def assign(episodes: Sequence[EpisodeRef], plan: SplitPlan, where: str) -> dict[str, str]:
    """Decide on the split of every episode, by key; a function of the episodes and the plan alone."""
    groups = together(episodes, plan.by)
    have, labels = Counter[str](), dict[str, str]()
    free: list[list[EpisodeRef]] = []
    for members in groups:
        label = _known(members, plan, where)
        if label is None:
            free.append(members)
        else:
            labels |= dict.fromkeys((episode.key for episode in members), label)
            have[label] += _rows(members)
    total = sum(map(_rows, groups))
    lacking = [name for name, share in plan.shares.items() if share > 0 and not have[name]]
    if len(free) < len(lacking):
        raise DataError(
            f"{len(free)} groups cannot fill {len(lacking)} splits ({', '.join(lacking)})",
            where=where,
            hint="keep together by fewer labels, or ask for fewer splits",
        )
    for left, members in zip(range(len(free), 0, -1), sorted(free, key=lambda g: _rank(g, plan.seed)), strict=True):
        empty = [name for name in lacking if not have[name]]
        names = empty if left <= len(empty) else [name for name, share in plan.shares.items() if share > 0]
        label = max(names, key=lambda name: plan.shares[name] * total - have[name])
        labels |= dict.fromkeys((episode.key for episode in members), label)
        have[label] += _rows(members)
    return labels


def together(episodes: Sequence[EpisodeRef], by: Sequence[str]) -> list[list[EpisodeRef]]:
    """Return the groups of episodes that share a value of any of the labels, directly or through others.

    Episodes without an operator, scene, task or category may have the same one and stay together; an episode without
    an aligned_group is in none.
    """
    parent = list(range(len(episodes)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    first: dict[tuple[str, object], int] = {}
    for number, episode in enumerate(episodes):
        for label in by:
            value = episode.labels.get(label)
            if value is not None or label != "aligned_group":
                parent[root(number)] = root(first.setdefault((label, value), number))
    groups: dict[int, list[EpisodeRef]] = defaultdict(list)
    for number, episode in enumerate(episodes):
        groups[root(number)].append(episode)
    return list(groups.values())


def _known(members: Sequence[EpisodeRef], plan: SplitPlan, where: str) -> str | None:
    """Return the split that a group must go to: chosen by key, or given before."""
    for labels in (
        {plan.keys[episode.key] for episode in members if episode.key in plan.keys},
        set() if plan.again else {episode.labels["split"] for episode in members if "split" in episode.labels},
    ):
        if len(labels) > 1:
            raise DataError(
                f"episodes that stay together, such as {members[0].key!r}, are in several splits: "
                f"{', '.join(sorted(labels))}",
                where=where,
                hint="divide anew with --again, or keep together by fewer labels",
            )
        if labels:
            return str(labels.pop())
    return None


def _rows(members: Sequence[EpisodeRef]) -> int:
    return sum(episode.length for episode in members)


def _rank(members: Sequence[EpisodeRef], seed: int) -> tuple[int, bytes]:
    name = min(episode.key for episode in members)
    return -_rows(members), hashlib.sha256(f"{seed} {name}".encode()).digest()


def _updated(dataset: Dataset, chosen: Mapping[str, str]) -> tuple[Entry, ...]:
    """Entries of the segments whose episodes get another label than they have."""
    changed: dict[str, dict[int, str]] = defaultdict(dict)
    for episode in dataset.episodes:
        if episode.labels.get("split") != chosen[episode.key]:
            changed[episode.segment][episode.number] = chosen[episode.key]
    updated = []
    for path, labels in changed.items():
        entry = dataset.entries[path]
        merged = {number: name for name, numbers in entry.split.items() for number in numbers} | labels
        names = sorted(set(merged.values()))
        table = {name: tuple(sorted(n for n, label in merged.items() if label == name)) for name in names}
        updated.append(entry.model_copy(update={"split": table}))
    return tuple(updated)


def _check(plan: SplitPlan, dataset: Dataset) -> None:
    where = dataset.where
    if not plan.shares or any(not share >= 0 for share in plan.shares.values()):
        raise DataError("needs shares such as train=0.8 val=0.1 test=0.1", where="--shares")
    if abs(sum(plan.shares.values()) - 1) > 1e-6:
        raise DataError(f"shares add up to {sum(plan.shares.values()):g}, not to 1", where="--shares")
    if len(plan.shares) > LABELLED:
        raise DataError(f"are {len(plan.shares)} splits; at most {LABELLED}", where="--shares")
    for label in plan.by:
        if label not in TOGETHER:
            raise DataError(f"{label!r}", where="--by", allowed=TOGETHER, hint=did_you_mean(label, TOGETHER))
    known = dataset.keys()
    for key in plan.keys:
        if key not in known:
            raise DataError(f"has no episode {key!r}", where=where, hint=did_you_mean(key, sorted(known)[:1000]))
