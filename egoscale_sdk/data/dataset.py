"""A dataset: one embodiment that moved, in immutable segments, at one version of its commit log."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.arrays import open_group, write_array
from egoscale_sdk.data.declare import check_declaration, parse_declaration
from egoscale_sdk.data.derived import DerivedWriter
from egoscale_sdk.data.images import decode
from egoscale_sdk.data.log import Addition, Change, CommitConflictError, CommitLog, Entry, LogState
from egoscale_sdk.data.segment import EpisodeRows, Segment, StoredObject
from egoscale_sdk.data.writer import SegmentWriter
from egoscale_sdk.errors import DataError, DeclarationError, did_you_mean
from egoscale_sdk.interfaces import Episode, LanguageSpan
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import ActionSetSpec, DatasetDeclaration, digest

Arrays = Mapping[str, NDArray[Any]]

# A file under an array is nobody's Zarr node, so these two keep `zarr.open_group(...).members()` quiet.
_OPAQUE = {"commits": "the commit log, one JSON file per commit", "cache": "may be deleted while nobody writes"}


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


class Dataset:
    """A dataset opened at one version; appending moves this object, and nobody else's, to the new version."""

    def __init__(self, path: Path, log: CommitLog, state: LogState, *, newest: bool) -> None:
        self.path, self._log, self._state, self._newest = path, log, state, newest
        self._segments: dict[str, Segment] = {}
        self._derived: dict[str, StoredObject] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self.path), self.version)

    @classmethod
    def create(cls, path: str | Path, declaration: DatasetDeclaration) -> Self:
        """Create an empty dataset (version 0).

        Raises:
            DataError: something is at ``path`` already.
            DeclarationError: the declaration contradicts itself.
        """
        path = Path(path)
        check_declaration(declaration, str(path))
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise DataError("already exists", where=str(path), hint="choose another name, or open it to append")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            _write_skeleton(temporary, declaration)
            CommitLog(temporary).publish(None, declaration=declaration)
            os.rename(temporary, path)
        except OSError as error:
            raise DataError(f"cannot be created: {error.strerror}", where=str(path)) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path, version: int | None = None) -> Self:
        """Open at ``version``, by default the newest.

        Raises:
            DataError: it is not a dataset, is damaged, or has no such version.
            DeclarationError: the declaration is missing, edited by hand, or newer than this SDK.
        """
        path = Path(path)
        declared = _root_declaration(path)
        log = CommitLog(path)
        state = log.state(version)
        known = state if version is None else log.state()
        if state.seq < known.oldest:
            raise DataError(
                f"version {state.seq} was given up", where=str(path), allowed=[f"{known.oldest}..{known.seq}"]
            )
        if digest(declared) not in known.declarations:
            raise DeclarationError(
                "differs from every declaration that was committed",
                where=f"{path}/zarr.json:attributes.egoscale",
                hint="it was edited by hand; restore the file",
            )
        return cls(path, log, state, newest=known.seq == state.seq)

    @property
    def declaration(self) -> DatasetDeclaration:
        """What the dataset declares at this version."""
        return self._state.declaration

    @property
    def version(self) -> int:
        """Number of the last commit that this object sees."""
        return self._state.seq

    @property
    def digest(self) -> str:
        """Digest of that commit: it stands for everything the dataset holds."""
        return self._state.digest

    @property
    def cache(self) -> Path:
        """Folder for what can be computed again."""
        return self.path / "cache"

    @property
    def segments(self) -> tuple[str, ...]:
        """Paths of the base segments, in the order of their commits."""
        return tuple(path for path, entry in self._state.live.items() if entry.base is None)

    @cached_property
    def episodes(self) -> list[EpisodeRef]:
        """All episodes, in the order of their commits."""
        found: list[EpisodeRef] = []
        for path in self.segments:
            hidden = set(self._state.live[path].hidden)
            splits = _splits(self._state.live[path])
            for number, entry in enumerate(self.segment(path).table):
                if number not in hidden:
                    labels = entry.labels | splits.get(number, {})
                    found.append(EpisodeRef(len(found), entry.key, path, number, entry.start, entry.length, labels))
        return found

    def keys(self) -> frozenset[str]:
        """Keys of all episodes."""
        return frozenset(episode.key for episode in self.episodes)

    def segment(self, path: str) -> Segment:
        """Open a base segment once."""
        if path not in self._segments:
            self._segments[path] = Segment(self.path, self._log.addition(self._state.live[path]))
        return self._segments[path]

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of all committed objects, base segments and derived ones."""
        return tuple(self._state.live)

    @property
    def oldest(self) -> int:
        """The first version that can still be opened."""
        return self._state.oldest

    def held_paths(self) -> frozenset[str]:
        """Paths of the objects of every version that can be opened; reads the whole log."""
        return self._log.held_paths(self._state)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What the log says of every committed object, by path."""
        return MappingProxyType(self._state.live)

    def object(self, path: str) -> StoredObject:
        """Open a committed object by its path.

        Raises:
            DataError: a file of it is missing, truncated or changed.
        """
        entry = self._state.live[path]
        return self.segment(path) if entry.base is None else self._open_derived(entry)

    def action_set(self, name: str | None = None) -> ActionSetSpec:
        """Return an action set by name; without one the only set there is.

        Raises:
            DataError: no such set, or no name although there are several.
        """
        sets = {action_set.name: action_set for action_set in self.declaration.action_sets}
        if name is None and len(sets) == 1:
            return self.declaration.native
        if name is None:
            raise DataError("has several action sets; name one", where=str(self.path), allowed=sets)
        if name not in sets:
            raise DataError(
                f"has no action set {name!r}", where=str(self.path), allowed=sets, hint=did_you_mean(name, sets)
            )
        return sets[name]

    def rows(self, episode: int | EpisodeRef, action_set: str | None = "native", *, raw: bool = True) -> EpisodeRows:
        """Read the rows of an episode with the actions of one set; without ``raw`` that field is empty."""
        ref = self.episodes[episode] if isinstance(episode, int) else episode
        name = self.action_set(action_set).name
        derived = None if name == "native" else self.derived(name, ref.segment)
        return self.segment(ref.segment).rows(ref.start, ref.start + ref.length, derived, raw_arrays=raw)

    def derived(self, action_set: str, segment: str) -> StoredObject:
        """Open what an action set adds for a base segment.

        Raises:
            DataError: the segment was appended after the retargeting.
        """
        entry = self._derived_entries.get((action_set, segment))
        if entry is None:
            raise DataError(
                f"action set {action_set!r} has no actions for {segment}",
                where=str(self.path),
                hint="it was appended later, or retargeting was stopped; run egoscale retarget again",
            )
        return self._open_derived(entry)

    @cached_property
    def _derived_entries(self) -> dict[tuple[str, str], Entry]:
        entries = (entry for entry in self._state.live.values() if entry.base is not None)
        return {(entry.path.split("/")[1], entry.base or ""): entry for entry in entries}

    def missing_segments(self, action_set: str) -> dict[str, int]:
        """Base segments for which a derived set has no actions yet, with their numbers of rows."""
        done = {base for name, base in self._derived_entries if name == action_set}
        return {path: self._state.live[path].rows for path in self.segments if path not in done}

    def language(self, episode: int | EpisodeRef) -> list[LanguageSpan]:
        """Captions of an episode."""
        ref = self.episodes[episode] if isinstance(episode, int) else episode
        return self.segment(ref.segment).language[ref.number]

    def jpeg(self, episode: int | EpisodeRef, camera: str, row: int) -> bytes | None:
        """Return the JPEG of a camera that a row of the episode sees, or None."""
        ref = self.episodes[episode] if isinstance(episode, int) else episode
        return self.segment(ref.segment).jpeg(camera, ref.start + row)

    def image(self, episode: int | EpisodeRef, camera: str, row: int) -> NDArray[np.uint8] | None:
        """Return the RGB image ``(h, w, 3)`` of a camera that a row of the episode sees, or None."""
        data = self.jpeg(episode, camera, row)
        return None if data is None else decode(data, f"{self.path}: camera {camera!r}")

    def calibration(self, episode: int | EpisodeRef, camera: str) -> dict[str, Any]:
        """Calibration of a camera in an episode, as the importer gave it."""
        ref = self.episodes[episode] if isinstance(episode, int) else episode
        return self.segment(ref.segment).calibrations(camera)[ref.number]

    def append(self, episodes: Iterable[Episode], progress: Progress = silent) -> int:
        """Add episodes as one segment in one commit; those whose key is there already are skipped.

        Returns:
            How many were added. If one is refused, none is.

        Raises:
            DataError: an episode is not as declared, or this object is not at the newest version.
        """
        self._need_newest()
        known = set(self.keys())
        with SegmentWriter(self.path, self.declaration) as writer:
            for episode in episodes:
                if episode.key not in known:
                    known.add(episode.key)
                    writer.add(episode)
                    progress(len(writer.keys), None, episode.key)
            return self._commit_segment(writer.finish(), writer.keys) if writer.keys else 0

    def add_action_set(self, spec: ActionSetSpec, arrays: Mapping[str, Arrays] | Iterable[tuple[str, Arrays]]) -> None:
        """Add a derived action set, or what an existing one lacks, in one commit; no base segment is touched.

        Args:
            spec: The set; its name is new, or ``spec`` equals the set of that name.
            arrays: For each base segment (its path) ``action (T, D)``, ``valid (T, G)`` in the set's layout and any
                further arrays over its rows, e.g. ``residual_m (T, 2)``.

        Raises:
            DataError: a shape is wrong, a number not finite, or another set has the name.
        """
        self._need_newest()
        self.check_action_set(spec)
        pairs = arrays.items() if isinstance(arrays, Mapping) else arrays
        added = []
        for segment, values in pairs:
            with self.derived_writer(spec, segment) as writer:
                writer.add(values)
                added.append(writer.finish())
        self.commit_derived(spec, added)

    def check_action_set(self, spec: ActionSetSpec) -> None:
        """Refuse a set whose name another one has, before anything is computed.

        Raises:
            DataError: a set of this name was made differently.
        """
        self._with_action_set(spec)

    def derived_writer(self, spec: ActionSetSpec, segment: str) -> DerivedWriter:
        """Write what an action set adds for a base segment; any process may, at any version that has the segment.

        Raises:
            DataError: there is no such base segment.
        """
        entry = self._state.live.get(segment)
        if entry is None or entry.base is not None:
            raise DataError(f"{segment!r} is not a base segment", where=str(self.path), allowed=self.segments)
        return DerivedWriter(self.path, spec, segment, entry.rows)

    def commit_derived(self, spec: ActionSetSpec, additions: Sequence[Addition]) -> int:
        """Publish finished objects of an action set, and the set if it is new, in one commit.

        What the set has already for a base segment, because another writer was first, stays, and ours is removed.

        Returns:
            How many of the objects were published.

        Raises:
            DataError: another set has the name, or a base segment was replaced meanwhile.
        """
        wanted: list[Addition] = []

        def change() -> Change | None:
            gone = [addition.entry.base for addition in additions if addition.entry.base not in self._state.live]
            if gone:
                raise DataError(f"{gone[0]} was replaced meanwhile", where=str(self.path), hint="run it again")
            wanted[:] = [each for each in additions if (spec.name, each.entry.base) not in self._derived_entries]
            declaration = self._with_action_set(spec)
            return Change(add=tuple(wanted), declaration=declaration) if wanted or declaration else None

        self.commit(change)
        for late in (addition for addition in additions if addition not in wanted):
            shutil.rmtree(self.path / late.entry.path, ignore_errors=True)
        return len(wanted)

    def commit(self, change: Callable[[], Change | None]) -> bool:
        """Publish what ``change()`` asks for, in one commit; it is asked anew where another writer was first.

        When it is asked, this object is at the newest version. None means that there is nothing to do.

        Returns:
            Whether there was anything to do.

        Raises:
            DataError: this object is not at the newest version, or ``change`` refuses.
        """
        self._need_newest()
        while (wanted := change()) is not None:
            try:
                state = self._log.publish(self._state, **wanted._asdict())
            except CommitConflictError:
                self._refresh(self._log.state())
                continue
            self._refresh(state)
            if digest(_root_declaration(self.path)) != self._state.declarations[-1]:
                _write_root(self.path, self.declaration)
            return True
        return False

    def _with_action_set(self, spec: ActionSetSpec) -> DatasetDeclaration | None:
        present = {action_set.name: action_set for action_set in self.declaration.action_sets}
        if present.get(spec.name, spec) != spec:
            raise DataError(
                f"has an action set {spec.name!r} that was made differently",
                where=str(self.path),
                hint="choose another name",
            )
        if spec.name in present:
            return None
        return self.declaration.model_copy(update={"action_sets": (*self.declaration.action_sets, spec)})

    def _open_derived(self, entry: Entry) -> StoredObject:
        if entry.path not in self._derived:
            self._derived[entry.path] = StoredObject(self.path, self._log.addition(entry))
        return self._derived[entry.path]

    def _commit_segment(self, addition: Addition, keys: tuple[str, ...]) -> int:
        """Publish a segment; episodes that another writer brought meanwhile are hidden in ours."""
        hidden: tuple[int, ...] = ()

        def change() -> Change | None:
            nonlocal hidden
            present = self.keys()
            hidden = tuple(number for number, key in enumerate(keys) if key in present)
            if len(hidden) == len(keys):
                return None
            entry = addition.entry.model_copy(update={"hidden": hidden})
            return Change(add=(addition.model_copy(update={"entry": entry}),))

        if not self.commit(change):
            shutil.rmtree(self.path / addition.entry.path)
        return len(keys) - len(hidden)

    def _refresh(self, state: LogState) -> None:
        self._state = state
        for name in ("episodes", "_derived_entries"):
            self.__dict__.pop(name, None)

    def _need_newest(self) -> None:
        if not self._newest:
            raise DataError(
                f"was opened at version {self.version}, which is not the newest",
                where=str(self.path),
                hint="open it without a version to write",
            )


def _splits(entry: Entry) -> dict[int, dict[str, str]]:
    """Split labels that episodes of a segment were given later, by number."""
    return {number: {"split": name} for name, numbers in entry.split.items() for number in numbers}


def _reopen(path: str, version: int) -> Dataset:
    return Dataset.open(path, version)


def _root_declaration(path: Path) -> Any:
    """Read ``attrs["egoscale"]`` and refuse a newer one before anything else is looked at."""
    file = path / "zarr.json"
    try:
        attributes = json.loads(file.read_bytes())["attributes"]
        value = attributes.get("egoscale")
    except FileNotFoundError:
        raise DataError("there is no dataset", where=str(path), hint="make one with: egoscale import") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"is not the metadata of a Zarr group: {error}", where=str(file)) from None
    parse_declaration(value, f"{file}:attributes.egoscale")
    return value


def _write_skeleton(path: Path, declaration: DatasetDeclaration) -> None:
    path.mkdir()
    _write_root(path, declaration)
    for name in ("segments", "derived"):
        open_group(path / name, create=True)
    root = open_group(path, create=True)
    for name, purpose in _OPAQUE.items():
        write_array(root, name, np.empty(0, np.uint8))
        root[name].attrs["purpose"] = purpose


def _write_root(path: Path, declaration: DatasetDeclaration) -> None:
    attributes = {"egoscale": declaration.model_dump(mode="json")}
    temporary = path / f".zarr.json.{uuid.uuid4().hex}"
    temporary.write_text(
        json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}), encoding="utf-8"
    )
    os.replace(temporary, path / "zarr.json")
