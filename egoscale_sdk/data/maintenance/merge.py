"""Several datasets of one embodiment become one: committed objects are copied as they are, in one commit."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.declare import in_words, written_by
from egoscale_sdk.data.doctor.clocks import RATE_OFF
from egoscale_sdk.data.maintenance.joined import derived_of, discard
from egoscale_sdk.data.records import Addition, Change
from egoscale_sdk.data.segment import StoredObject
from egoscale_sdk.data.writer import StagedFolder
from egoscale_sdk.errors import DataError, DeclarationError
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import ActionSetSpec, DatasetDeclaration

SAME = ("embodiment", "action_fingerprint", "kind", "base_frame", "has_state", "wrist_source", "fps", "cameras", "raw")
"""What datasets must declare alike to become one."""


@dataclass(frozen=True)
class Merged:
    """What a merging did: episodes and segments copied, keys that were there already, sets that lack segments."""

    episodes: int
    segments: int
    skipped: tuple[str, ...]
    incomplete: dict[str, int]


def merge(
    sources: Sequence[Dataset],
    out: str | Path,
    duplicates: Literal["refuse", "skip"] = "refuse",
    progress: Progress = silent,
) -> Merged:
    """Copy the segments of datasets, and what is derived from them, into one; ``out`` may exist.

    Checksums are compared while copying. An episode whose key is there already is left out of sight, and one whose
    segment holds nothing else is not copied.

    Raises:
        DeclarationError: the datasets differ in what an action means, or in cameras or arrays.
        DataError: two have an episode of the same key and ``duplicates`` is "refuse", or an object is damaged.
    """
    declaration = joined_declaration(sources)
    target = Dataset.open(out) if Dataset.exists(out) else None
    if target is not None:
        _extended(target.declaration, declaration, target)  # refused before anything is copied
    skipped = _duplicates([*([target] if target else []), *sources])
    if skipped and duplicates == "refuse":
        raise DataError(
            f"{len(skipped)} episodes occur twice, the first is {skipped[0]!r}",
            where=" + ".join(source.where for source in sources),
            hint="take the first of each with --duplicates skip",
        )
    target = target or Dataset.create(out, declaration)
    return _copy_all(sources, target, declaration, tuple(skipped), progress)


def joined_declaration(sources: Sequence[Dataset]) -> DatasetDeclaration:
    """Return what the datasets declare together, under a uid of its own.

    Raises:
        DeclarationError: they contradict each other; names the field and both values.
    """
    first, sets = sources[0].declaration, dict[str, ActionSetSpec]()
    for source in sources:
        _check_same(first, source)
        sets |= _joined_sets(sets, source)
    declarations = [source.declaration for source in sources]
    texts = {
        name: "; ".join(dict.fromkeys(text for text in (getattr(d, name) for d in declarations) if text))
        for name in ("importer", "source", "licence")
    }
    assumptions = tuple(dict.fromkeys(text for d in declarations for text in d.assumptions))
    return first.model_copy(
        update={
            "uid": uuid.uuid4().hex,
            "action_sets": tuple(sets.values()),
            "assumptions": assumptions,
            "written_by": written_by(),
            **texts,
        }
    )


def _check_same(first: DatasetDeclaration, source: Dataset) -> None:
    for name in SAME:
        mine, other = getattr(first, name), getattr(source.declaration, name)
        if not _alike(name, mine, other):
            raise DeclarationError(
                f"has {name} {in_words(other)}, the first dataset has {in_words(mine)}",
                where=source.where,
                hint="train on both as a mixture: egoscale train RECIPE --data A.zarr B.zarr",
            )


def _alike(name: str, mine: Any, other: Any) -> bool:
    """Whether two declare a field alike; rates that were measured of two recordings never agree to the last digit."""
    if name == "fps":
        return bool(abs(other / mine - 1) <= RATE_OFF)
    return bool(mine == other)


def _joined_sets(known: dict[str, ActionSetSpec], source: Dataset) -> dict[str, ActionSetSpec]:
    for spec in source.declaration.action_sets:
        if known.get(spec.name, spec) != spec:
            raise DeclarationError(
                f"made the action set {spec.name!r} differently",
                where=source.where,
                hint="retarget it again under another name",
            )
    return {spec.name: spec for spec in source.declaration.action_sets}


def _extended(present: DatasetDeclaration, joined: DatasetDeclaration, target: Dataset) -> DatasetDeclaration:
    """Return what the target declares, with the action sets that it lacks."""
    for name in SAME:
        if not _alike(name, getattr(present, name), getattr(joined, name)):
            what = f"has {name} {in_words(getattr(present, name))}, the others have {in_words(getattr(joined, name))}"
            raise DeclarationError(what, where=target.where)
    known = {spec.name: spec for spec in joined.action_sets}
    return present.model_copy(update={"action_sets": tuple((_joined_sets(known, target) | known).values())})


def _duplicates(datasets: Sequence[Dataset]) -> list[str]:
    seen: set[str] = set()
    twice = []
    for dataset in datasets:
        keys = dataset.keys()
        twice += sorted(seen & keys)
        seen |= keys
    return twice


def _copy_all(
    sources: Sequence[Dataset],
    target: Dataset,
    declaration: DatasetDeclaration,
    skipped: tuple[str, ...],
    progress: Progress,
) -> Merged:
    copied: list[tuple[Addition, tuple[str, ...]]] = []
    derived: list[Addition] = []
    total, present = sum(len(source.paths) for source in sources), set(target.keys())
    done = 0
    try:
        for source in sources:
            made_from = derived_of(source)
            for path in source.segments:
                objects = made_from.get(path, [])
                keys = tuple(entry.key for entry in source.segment(path).table)
                visible = _visible(keys, source.entries[path].hidden)
                if not visible <= present:
                    base = _copy(source.object(path), target, None)
                    copied.append((base, keys))
                    derived += [_copy(source.object(item), target, base.entry.path) for item in objects]
                    present |= visible
                done += 1 + len(objects)
                progress(done, total, f"{source.name}: {len(copied)} segments copied")
        episodes = publish_copies(target, copied, derived, declaration)
    except BaseException:
        discard(target, [*(addition for addition, _ in copied), *derived])
        raise
    sets = [spec.name for spec in target.declaration.action_sets if spec.name != "native"]
    incomplete = {name: len(target.missing_segments(name)) for name in sets if target.missing_segments(name)}
    return Merged(episodes, len(copied), skipped, incomplete)


def _visible(keys: Sequence[str], hidden: Sequence[int]) -> set[str]:
    unseen = set(hidden)
    return {key for number, key in enumerate(keys) if number not in unseen}


def _copy(stored: StoredObject, target: Dataset, base: str | None) -> Addition:
    """Copy the files of an object into a folder of the target, comparing their checksums."""
    kind = stored.path.rpartition("/")[0]
    with StagedFolder(target.store) as staged:
        for name in stored.addition.files:
            file = staged.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(stored.contents(name))
        path = f"{kind}/{staged.folder.name}"
        entry = stored.addition.entry.model_copy(update={"path": path, "base": base})
        return stored.addition.model_copy(update={"entry": entry, "files": staged.move(path)})


def publish_copies(
    target: Dataset,
    copied: Sequence[tuple[Addition, tuple[str, ...]]],
    derived: Sequence[Addition],
    declaration: DatasetDeclaration,
) -> int:
    """Publish copied segments, with the keys of their episodes, and what is derived from them, in one commit.

    Returns:
        How many episodes were added; those that the target has by then are hidden in what is added.
    """
    episodes = 0

    def change() -> Change | None:
        nonlocal episodes
        present, added, episodes = set(target.keys()), [], 0
        for addition, keys in copied:
            was = set(addition.entry.hidden)
            hidden = tuple(n for n, key in enumerate(keys) if n in was or key in present)
            present |= _visible(keys, hidden)
            episodes += len(keys) - len(hidden)
            entry = addition.entry.model_copy(update={"hidden": hidden})
            added.append(addition.model_copy(update={"entry": entry}))
        wanted = _extended(target.declaration, declaration, target)
        changed = wanted if wanted != target.declaration else None
        return Change(add=(*added, *derived), declaration=changed) if added else None

    target.commit(change)
    return episodes
