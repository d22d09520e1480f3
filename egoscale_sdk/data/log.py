"""The commit log: what a dataset consists of at every version, published one file at a time.

``commits/<seq>.json`` is written once, with put-if-absent (a hard link on a disk, a conditional put on an object
store), which fails if the number is taken. Each record names the digest of the one before, so that an edited, missing
or exchanged record is noticed. Every `SNAPSHOT_EVERY` commits the state is written out, so that opening reads one
snapshot and the few records after it.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path

from egoscale_sdk.data.chunks import FileChunk, load_chunk, pack_chunk
from egoscale_sdk.data.declare import parse_declaration
from egoscale_sdk.data.episodes import EpisodeIndex, TableChunk
from egoscale_sdk.data.records import (
    MAX_RECORD_BYTES,
    Addition,
    ChunkRecord,
    Entry,
    LogState,
    Record,
    Snapshot,
    decode,
    encode,
)
from egoscale_sdk.data.store import Store, open_store
from egoscale_sdk.errors import DataError
from egoscale_sdk.specs import DatasetDeclaration, digest

SNAPSHOT_EVERY = 100
FOLDER = "commits"
NEWEST_SNAPSHOT = f"{FOLDER}/newest-snapshot"
"""Holds the number of a snapshot, for stores that cannot be listed; it may lag behind."""
PROBE = 8
"""Commits that are asked for at once, at first, where they cannot be listed."""
RESTORE = "restore it from a copy"
KEPT_RECORDS = 16


class CommitConflictError(DataError):
    """Another writer published this commit number first; read the log again and retry."""


class CommitLog:
    """The log of the dataset at ``root``."""

    def __init__(self, root: Store | Path) -> None:
        self.store = open_store(root)
        self._fetched: dict[str, bytes] = {}
        self._additions: dict[int, dict[str, Addition]] = {}
        self._chunks: dict[str, FileChunk] = {}

    def state(self, version: int | None = None) -> LogState:
        """Replay the log up to ``version`` (the newest if None).

        Raises:
            DataError: there is no log or no such version; a record is missing, edited or malformed.
            DeclarationError: the declaration is malformed or newer than this SDK.
        """
        newest, snapshots = self._extent(version)
        version = newest if version is None else version
        if not 0 <= version <= newest:
            raise DataError(f"has no version {version}", where=self.store.where, allowed=[f"0..{newest}"])
        start = max((seq for seq in snapshots if seq <= version), default=None)
        first = 0 if start is None else start
        self._fetch([_snapshot_name(start)] if start is not None else [], range(first, version + 1))
        state = None if start is None else self._snapshot(start)
        for seq in range(0 if start is None else start + 1, version + 1):
            state = self._advance(state, seq)
        self._fetched.clear()
        assert state is not None
        return state

    def held_paths(self, state: LogState) -> frozenset[str]:
        """Paths of the objects of every version from ``state.oldest`` to ``state``."""
        later = (self._record(seq)[0].add for seq in range(state.oldest + 1, state.seq + 1))
        added = {addition.entry.path for additions in later for addition in additions}
        return frozenset(self.state(state.oldest).live) | added

    def addition(self, entry: Entry) -> Addition:
        """Return files and statistics of an entry, from the commit that added it."""
        added = self._additions.get(entry.seq)
        if added is None:
            record, _ = self._record(entry.seq)
            if len(self._additions) >= KEPT_RECORDS:
                self._additions.pop(next(iter(list(self._additions)), -1), None)  # other threads read some meanwhile
            added = self._additions[entry.seq] = {addition.entry.path: addition for addition in record.add}
        found = added.get(entry.path)
        if found is not None:
            return found
        raise DataError(f"does not add {entry.path}", where=self._where(_name(entry.seq)))

    def index(self, state: LogState) -> EpisodeIndex:
        """Return the index of the episodes of a state."""
        self._chunks |= {
            chunk.sha256: load_chunk(self.store, chunk) for chunk in state.chunks if chunk.sha256 not in self._chunks
        }
        chunks = [self._chunks[chunk.sha256] for chunk in state.chunks]
        bases = [entry for entry in state.live.values() if entry.base is None]
        return EpisodeIndex(
            [*chunks, TableChunk(state.tables)],
            [(entry.path, entry.seq, entry.hidden, dict(entry.split)) for entry in bases],
        )

    def publish(
        self,
        state: LogState | None,
        *,
        add: tuple[Addition, ...] = (),
        remove: tuple[str, ...] = (),
        update: tuple[Entry, ...] = (),
        declaration: DatasetDeclaration | None = None,
        oldest: int | None = None,
    ) -> LogState:
        """Commit on top of ``state`` (None: the first commit, which must bring the declaration).

        Raises:
            CommitConflictError: somebody else committed on top of ``state`` meanwhile.
        """
        seq = 0 if state is None else state.seq + 1
        value = None if declaration is None else declaration.model_dump(mode="json")
        record = Record(
            seq=seq,
            previous=state.digest if state else None,
            declaration_digest=digest(value) if value is not None else _present(state),
            declaration=value,
            add=tuple(_stamped(addition, seq) for addition in add),
            remove=remove,
            update=update,
            oldest=oldest,
        )
        self._create(_name(seq), encode(record))
        after = self._advance(state, seq)
        if seq and seq % SNAPSHOT_EVERY == 0:
            with suppress(CommitConflictError):  # the commit stands, with a snapshot or without
                return self._write_snapshot(after)
        return after

    def _extent(self, version: int | None) -> tuple[int, list[int]]:
        """Return the number of the newest commit, and the numbers of snapshots that may be read."""
        listed = self.store.names(FOLDER, "snapshot-" if self.store.local is None else "")
        if listed is None:
            return self._probe(version)
        snapshots = [int(name[9:21]) for name in listed if re.fullmatch(r"snapshot-[0-9]{12}\.json", name)]
        first = 0
        if self.store.local is None:
            first = max((seq for seq in snapshots if version is None or seq <= version), default=0)
            listed = self.store.names(FOLDER, _name(first - 1)[len(FOLDER) + 1 :] if first else "") or []
        commits = [int(name[:12]) for name in listed if re.fullmatch(r"[0-9]{12}\.json", name)]
        for expected, seq in enumerate(commits, first):
            if expected != seq:
                self._refuse_hole(expected, commits[-1])
        if not commits:
            raise self._no_log()
        if snapshots and snapshots[-1] > commits[-1]:
            self._refuse_hole(commits[-1] + 1, snapshots[-1])
        return commits[-1], snapshots

    def _probe(self, version: int | None) -> tuple[int, list[int]]:
        """Find the newest commit of a store that cannot be listed, from the last known snapshot on."""
        hint = self.store.read(NEWEST_SNAPSHOT, 64)
        newest_snapshot = int(hint) if hint and re.fullmatch(rb"[0-9]{1,12}", hint) else None
        snapshots = [] if newest_snapshot is None else [newest_snapshot]
        if version is not None and newest_snapshot is not None and version < newest_snapshot:
            seq = version // SNAPSHOT_EVERY * SNAPSHOT_EVERY
            known = seq and self.store.read(_snapshot_name(seq), MAX_RECORD_BYTES) is not None
            return newest_snapshot, [seq] if known else []
        newest, width = (newest_snapshot or 0) - 1, PROBE
        while True:
            numbers = range(newest + 1, newest + 1 + width)
            there = [body is not None for body in self._fetch([], numbers)]
            count = there.index(False) if False in there else width
            if True in there[count:]:
                self._refuse_hole(numbers[count], numbers[max(n for n, found in enumerate(there) if found)])
            newest += count
            if count < width:
                break
            width *= 2
        if newest < 0:
            raise self._no_log()
        return newest, snapshots

    def _refuse_hole(self, missing: int, newest: int) -> None:
        raise DataError(
            f"commit {missing} is missing although {newest} exists",
            where=self._where(FOLDER),
            hint="restore the file from a copy of the dataset",
        )

    def _no_log(self) -> DataError:
        local = self.store.local
        if local is not None and (local / FOLDER).is_dir():
            return DataError("has an empty commit log", where=self._where(FOLDER))
        return DataError("is not a dataset: it has no commit log", where=self.store.where)

    def _advance(self, state: LogState | None, seq: int) -> LogState:
        record, mark = self._record(seq)
        where = self._where(_name(seq))
        if record.seq != seq or record.previous != (state.digest if state else None):
            raise DataError("does not follow the commit before it", where=where, hint=RESTORE)
        declared = record.declaration
        if (declared is None and record.declaration_digest != _present(state)) or (
            declared is not None and digest(declared) != record.declaration_digest
        ):
            raise DataError("names another declaration than it has", where=where, hint=RESTORE)
        new = [(a.entry.path, a.entry.seq, a.table) for a in record.add]
        tables = (*(state.tables if state else ()), *((path, at, table) for path, at, table in new if table))
        known = state.declarations if state else ()
        if declared is not None:
            known, present = (*known, record.declaration_digest), parse_declaration(declared, where)
        else:
            assert state is not None
            present = state.declaration
        return LogState(
            seq=seq,
            digest=mark,
            declaration=present,
            declarations=known,
            live=_changed(state.live if state else {}, record, where),
            oldest=record.oldest if record.oldest is not None else state.oldest if state else 0,
            chunks=state.chunks if state else (),
            tables=tables,
        )

    def _record(self, seq: int) -> tuple[Record, str]:
        return decode(Record, self._body(_name(seq)), self._where(_name(seq)))

    def _snapshot(self, seq: int) -> LogState:
        where = self._where(_snapshot_name(seq))
        snapshot, _ = decode(Snapshot, self._body(_snapshot_name(seq)), where)
        _, mark = self._record(seq)
        declared = digest(snapshot.declaration)
        if snapshot.seq != seq or snapshot.digest != mark or snapshot.declarations[-1:] != (declared,):
            raise DataError("does not belong to this log", where=where, hint="delete it: it only makes opening faster")
        return LogState(
            seq=seq,
            digest=mark,
            declaration=parse_declaration(snapshot.declaration, where),
            declarations=snapshot.declarations,
            live={entry.path: entry for entry in snapshot.live},
            oldest=snapshot.oldest,
            chunks=snapshot.chunks,
        )

    def _write_snapshot(self, state: LogState) -> LogState:
        state = self._pack_tables(state)
        snapshot = Snapshot(
            seq=state.seq,
            digest=state.digest,
            declarations=state.declarations,
            declaration=state.declaration.model_dump(mode="json"),
            live=tuple(state.live.values()),
            oldest=state.oldest,
            chunks=state.chunks,
        )
        self._create(_snapshot_name(state.seq), encode(snapshot))
        self.store.replace(NEWEST_SNAPSHOT, str(state.seq).encode())
        return state

    def _pack_tables(self, state: LogState) -> LogState:
        """Publish the tables that no chunk holds yet; at round numbers together with those of the chunks before.

        The chunks of 10,400 commits are so 1 of 10,000, and 4 of 100.
        """
        span = SNAPSHOT_EVERY
        while state.seq % (span * 10) == 0:
            span *= 10
        kept = tuple(chunk for chunk in state.chunks if chunk.last <= state.seq - span)
        joined = [load_chunk(self.store, chunk) for chunk in state.chunks[len(kept) :]]
        data = pack_chunk([*joined, TableChunk(state.tables)], set(_sources(state)))
        mark = f"sha256:{hashlib.sha256(data).hexdigest()}"
        chunk = ChunkRecord(name=f"{FOLDER}/episodes-{mark[7:39]}.npz", last=state.seq, size=len(data), sha256=mark)
        self.store.create(chunk.name, data)
        return state._replace(chunks=(*kept, chunk), tables=())

    def _create(self, name: str, data: bytes) -> None:
        # a conditional put whose answer was lost is sent again, and then finds what it wrote itself
        if not self.store.create(name, data) and self.store.read(name, MAX_RECORD_BYTES) != data:
            raise CommitConflictError("was published by another writer", where=self._where(name))

    def _fetch(self, names: list[str], commits: range) -> list[bytes | None]:
        """Read files into memory where they are far away; return those of the commits."""
        if self.store.local is not None:
            return []
        wanted = [name for name in (*names, *map(_name, commits)) if name not in self._fetched]
        bodies = zip(wanted, self.store.read_many(wanted, MAX_RECORD_BYTES), strict=True)
        self._fetched |= {name: body for name, body in bodies if body is not None}
        return [self._fetched.get(_name(seq)) for seq in commits]

    def _body(self, name: str) -> bytes:
        body = self._fetched.get(name) or self.store.read(name, MAX_RECORD_BYTES)
        if body is None:
            raise DataError("is not a commit record: it is missing", where=self._where(name), hint=RESTORE)
        return body

    def _where(self, name: str) -> str:
        return f"{self.store.where}/{name}"


def grown_keys(keys: set[str] | None, before: LogState, after: LogState) -> set[str] | None:
    """Return the keys of the episodes of ``after``, from those of ``before``; None where that cannot be told."""
    if keys is None or any(after.live.get(path) != entry for path, entry in before.live.items()):
        return None
    tables = {(path, seq): table for path, seq, table in after.tables}
    for path in after.live.keys() - before.live.keys():
        entry = after.live[path]
        table = tables.get((path, entry.seq))
        if table is None and entry.base is None:
            return None
        keys |= {key for number, key in enumerate(table.key if table else ()) if number not in entry.hidden}
    return keys


def _name(seq: int) -> str:
    return f"{FOLDER}/{seq:012d}.json"


def _snapshot_name(seq: int) -> str:
    return f"{FOLDER}/snapshot-{seq:012d}.json"


def _present(state: LogState | None) -> str:
    if state is None:
        raise DataError("the first commit must bring the declaration")
    return state.declarations[-1]


def _stamped(addition: Addition, seq: int) -> Addition:
    return addition.model_copy(update={"entry": addition.entry.model_copy(update={"seq": seq})})


def _sources(state: LogState) -> list[tuple[str, int]]:
    return [(entry.path, entry.seq) for entry in state.live.values() if entry.base is None]


def _changed(before: dict[str, Entry], record: Record, where: str) -> dict[str, Entry]:
    """Return the live entries after a commit."""
    live = dict(before)
    for path in record.remove:
        live.pop(path, None)
    live |= {addition.entry.path: addition.entry for addition in record.add}
    for entry in record.update:
        if entry.path not in live or live[entry.path].seq != entry.seq:
            raise DataError(f"updates {entry.path}, which is not there", where=where, hint=RESTORE)
        live[entry.path] = entry
    return live
