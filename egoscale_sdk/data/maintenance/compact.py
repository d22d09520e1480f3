"""Compaction: many small segments, as a live recorder leaves them, become few of an hour or two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.maintenance.joined import derived_of, discard, join_derived, join_segments, pieces_of
from egoscale_sdk.data.records import Addition, Change, Entry
from egoscale_sdk.progress import Progress, silent

Group = tuple[str, ...]
"""Paths of base segments that become one."""


@dataclass(frozen=True)
class Rewriting:
    """What a rewriting of segments did: how many there were and are, and how many were written anew."""

    before: int
    after: int
    rewritten: int


class _StaleError(Exception):
    """Another writer changed what was being rewritten."""


def compact(dataset: Dataset, hours: float = 1.0, progress: Progress = silent) -> Rewriting:
    """Join small segments into ones of about ``hours``; rows, images and texts of the episodes stay what they were.

    Each new segment is one commit, with all that action and image sets hold for it, so that an interrupted
    compaction is gone on with by running it again. Hidden episodes are left out. Old versions can still be opened;
    `collect_leftovers` frees their space.

    Raises:
        DataError: a segment is damaged; what was joined before it stays joined.
    """
    rows = hours * 3600 * dataset.declaration.fps
    before, rewritten, total = len(dataset.segments), 0, 0
    while groups := _groups(dataset, rows):
        total = max(total, rewritten + sum(map(len, groups)))
        try:
            _rewrite(dataset, groups[0])
        except _StaleError:
            continue
        rewritten += len(groups[0])
        progress(rewritten, total, f"{len(dataset.segments)} segments")
    return Rewriting(before, len(dataset.segments), rewritten)


def _groups(dataset: Dataset, rows: float) -> list[Group]:
    """Pack the segments that are less than half full, those with the same sets together, in their order."""
    alike: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    made_from = derived_of(dataset)
    for path in dataset.segments:
        entry = dataset.entries[path]
        if entry.rows < rows / 2 or entry.hidden:
            alike[_sets(made_from, path)].append((path, entry.rows))
    packed = [group for segments in alike.values() for group in _pack(segments, rows)]
    return [group for group in packed if len(group) > 1 or dataset.entries[group[0]].hidden]


def _pack(segments: Sequence[tuple[str, int]], rows: float) -> list[Group]:
    packed: list[list[str]] = []
    filled = rows
    for path, length in segments:
        if filled + length > rows:
            packed.append([])
            filled = 0
        packed[-1].append(path)
        filled += length
    return [tuple(group) for group in packed]


def _sets(made_from: dict[str, list[str]], path: str) -> tuple[str, ...]:
    """Names of the derived sets that hold something for a segment."""
    return tuple(sorted(item.split("/")[1] for item in made_from.get(path, ())))


def _rewrite(dataset: Dataset, group: Group) -> None:
    replaced = _replaced(dataset, group)
    pieces = pieces_of(dataset, group)
    written: list[Addition] = []
    try:
        if pieces:
            base = join_segments(dataset, pieces)
            written.append(base)
            names = _sets(derived_of(dataset), group[0])
            written.extend(join_derived(dataset, name, pieces, base.entry) for name in names)

        def change() -> Change:
            if _replaced(dataset, group) != replaced:
                raise _StaleError
            return Change(add=tuple(written), remove=tuple(replaced))

        dataset.commit(change)
    except BaseException:
        discard(dataset, written)
        raise


def _replaced(dataset: Dataset, group: Group) -> dict[str, Entry]:
    """Entries of the segments and of everything derived from them."""
    chosen = set(group)
    return {path: entry for path, entry in dataset.entries.items() if path in chosen or entry.base in chosen}
