"""A dataset: one embodiment that moved, in immutable segments, at one version of its commit log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.declare import check_declaration
from egoscale_sdk.data.derived import DerivedWriter
from egoscale_sdk.data.episodes import EpisodeIndex, EpisodeRef, Episodes
from egoscale_sdk.data.images import decode
from egoscale_sdk.data.log import CommitConflictError, CommitLog, grown_keys
from egoscale_sdk.data.records import Addition, Change, Entry, LogState
from egoscale_sdk.data.root import MAX_ROOT_BYTES, ROOT, create_skeleton, root_declaration, write_root
from egoscale_sdk.data.segment import EpisodeRows, Segment, StoredObject
from egoscale_sdk.data.store import Store, open_store
from egoscale_sdk.data.writer import SegmentWriter
from egoscale_sdk.errors import DataError, DeclarationError, did_you_mean
from egoscale_sdk.interfaces import Episode, LanguageSpan
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import ActionSetSpec, DatasetDeclaration, digest

Arrays = Mapping[str, NDArray[Any]]

OPEN_OBJECTS = 512
"""Segments and derived objects that are kept open."""
Opened = TypeVar("Opened", bound=StoredObject)


class Dataset:
    """A dataset opened at one version; appending moves this object, and nobody else's, to the new version."""

    def __init__(self, store: Store, log: CommitLog, state: LogState, *, newest: bool) -> None:
        self.store, self._log, self._state, self._newest = store, log, state, newest
        self._segments: dict[str, Segment] = {}
        self._derived: dict[str, StoredObject] = {}
        self._keys: set[str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.where, self.version)

    @classmethod
    def create(cls, path: str | Path, declaration: DatasetDeclaration) -> Self:
        """Create an empty dataset (version 0) at a path or at an address such as ``s3://bucket/name.zarr``.

        Raises:
            DataError: something is at ``path`` already, or nothing can be written there.
            DeclarationError: the declaration contradicts itself.
        """
        store = open_store(path)
        check_declaration(declaration, store.where)
        create_skeleton(store, declaration)
        return cls.open(path)

    @classmethod
    def exists(cls, path: str | Path) -> bool:
        """Whether there is a dataset, or something that claims to be one."""
        return open_store(path).read(ROOT, MAX_ROOT_BYTES) is not None

    @classmethod
    def open(cls, path: str | Path, version: int | None = None) -> Self:
        """Open at ``version``, by default the newest.

        Args:
            path: A folder, or an address: ``s3://bucket/name.zarr``, ``gs://``, ``az://``, ``https://host/name.zarr``.
            version: Number of a commit.

        Raises:
            DataError: it is not a dataset, is damaged, or has no such version.
            DeclarationError: the declaration is missing, edited by hand, or newer than this SDK.
            MissingExtraError: it is on an object store, and obstore is not installed.
        """
        store = open_store(path)
        declared = root_declaration(store)
        log = CommitLog(store)
        state = log.state(version)
        known = state if version is None else log.state()
        if state.seq < known.oldest:
            raise DataError(
                f"version {state.seq} was given up", where=store.where, allowed=[f"{known.oldest}..{known.seq}"]
            )
        if digest(declared) not in known.declarations:
            raise DeclarationError(
                "differs from every declaration that was committed",
                where=f"{store.where}/{ROOT}:attributes.egoscale",
                hint="it was edited by hand; restore the file",
            )
        return cls(store, log, state, newest=known.seq == state.seq)

    @property
    def where(self) -> str:
        """Path or address, for messages and for opening it again."""
        return self.store.where

    @property
    def name(self) -> str:
        """Last part of the path or address."""
        return self.store.name

    @property
    def path(self) -> Path:
        """The folder of the dataset.

        Raises:
            DataError: it is on an object store.
        """
        if self.store.local is None:
            what = "lies on an object store, and this needs a dataset on a disk of this machine"
            raise DataError(what, where=self.where, hint="copy it first, and give the path of the copy")
        return self.store.local

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
        """Folder on this machine for what can be computed again."""
        return self.store.cache

    @property
    def segments(self) -> tuple[str, ...]:
        """Paths of the base segments, in the order of their commits."""
        return tuple(path for path, entry in self._state.live.items() if entry.base is None)

    @cached_property
    def index(self) -> EpisodeIndex:
        """All episodes in columns, in the order of their commits; no segment is opened."""
        return self._log.index(self._state)

    @cached_property
    def episodes(self) -> Sequence[EpisodeRef]:
        """All episodes, in the order of their commits; each is made when it is asked for."""
        return Episodes(self.index)

    def keys(self) -> frozenset[str]:
        """Keys of all episodes."""
        return frozenset(self._key_set())

    def _key_set(self) -> set[str]:
        if self._keys is None:
            self._keys = set(self.index.keys())
        return self._keys

    def hidden(self, path: str) -> tuple[int, ...]:
        """Numbers of the episodes of a base segment that another commit had brought first."""
        return self._state.live[path].hidden

    def segment(self, path: str) -> Segment:
        """Open a base segment; it is kept until many others were opened."""
        return _kept(self._segments, path, lambda: Segment(self.store, self._log.addition(self._state.live[path])))

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
            raise DataError("has several action sets; name one", where=self.where, allowed=sets)
        if name not in sets:
            raise DataError(
                f"has no action set {name!r}", where=self.where, allowed=sets, hint=did_you_mean(name, sets)
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
                where=self.where,
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
        return None if data is None else decode(data, f"{self.where}: camera {camera!r}")

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
        known = set(self._key_set())
        with SegmentWriter(self.store, self.declaration) as writer:
            for episode in episodes:
                if episode.key not in known:
                    known.add(episode.key)
                    writer.add(episode)
                    progress(len(writer.keys), None, episode.key)
            return self.commit_segment(writer.finish(), writer.keys) if writer.keys else 0

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
            raise DataError(f"{segment!r} is not a base segment", where=self.where, allowed=self.segments)
        return DerivedWriter(self.store, spec, segment, entry.rows)

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
                raise DataError(f"{gone[0]} was replaced meanwhile", where=self.where, hint="run it again")
            wanted[:] = [each for each in additions if (spec.name, each.entry.base) not in self._derived_entries]
            declaration = self._with_action_set(spec)
            return Change(add=tuple(wanted), declaration=declaration) if wanted or declaration else None

        self.commit(change)
        for late in (addition for addition in additions if addition not in wanted):
            self.store.remove(late.entry.path)
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
            if digest(root_declaration(self.store)) != self._state.declarations[-1]:
                write_root(self.store, self.declaration)
            return True
        return False

    def _with_action_set(self, spec: ActionSetSpec) -> DatasetDeclaration | None:
        present = {action_set.name: action_set for action_set in self.declaration.action_sets}
        if present.get(spec.name, spec) != spec:
            raise DataError(
                f"has an action set {spec.name!r} that was made differently",
                where=self.where,
                hint="choose another name",
            )
        if spec.name in present:
            return None
        return self.declaration.model_copy(update={"action_sets": (*self.declaration.action_sets, spec)})

    def _open_derived(self, entry: Entry) -> StoredObject:
        return _kept(self._derived, entry.path, lambda: StoredObject(self.store, self._log.addition(entry)))

    def commit_segment(self, addition: Addition, keys: tuple[str, ...]) -> int:
        """Publish a finished segment of `SegmentWriter`, whichever process wrote it, in one commit.

        Episodes that another writer brought meanwhile are hidden in ours; if it brought all of them, ours is removed.

        Args:
            addition: What `SegmentWriter.finish` returned.
            keys: Of its episodes, in order.

        Returns:
            How many episodes were added.
        """
        hidden: tuple[int, ...] = ()

        def change() -> Change | None:
            nonlocal hidden
            present = self._key_set()
            hidden = tuple(number for number, key in enumerate(keys) if key in present)
            if len(hidden) == len(keys):
                return None
            entry = addition.entry.model_copy(update={"hidden": hidden})
            return Change(add=(addition.model_copy(update={"entry": entry}),))

        if not self.commit(change):
            self.store.remove(addition.entry.path)
        return len(keys) - len(hidden)

    def _refresh(self, state: LogState) -> None:
        self._keys = grown_keys(self._keys, self._state, state)
        self._state = state
        for name in ("index", "episodes", "_derived_entries"):
            self.__dict__.pop(name, None)

    def _need_newest(self) -> None:
        if not self._newest:
            raise DataError(
                f"was opened at version {self.version}, which is not the newest",
                where=self.where,
                hint="open it without a version to write",
            )


def _kept(objects: dict[str, Opened], path: str, make: Callable[[], Opened]) -> Opened:
    """Return an object that is open, or open it, forgetting the one that was opened first where there are many."""
    found = objects.get(path)
    if found is None:
        found = make()
        while len(objects) >= OPEN_OBJECTS:
            objects.pop(next(iter(list(objects)), ""), None)  # other threads open some meanwhile
        objects[path] = found
    return found


def _reopen(path: str, version: int) -> Dataset:
    return Dataset.open(path, version)
