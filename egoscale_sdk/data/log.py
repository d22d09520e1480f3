"""The commit log: what a dataset consists of at every version, published one file at a time.

``commits/<seq>.json`` is written once, by hard-linking a finished temporary file, which fails if the number is taken.
Each record names the digest of the one before, so that an edited, missing or exchanged record is noticed. Every
`SNAPSHOT_EVERY` commits the state is written out, so that opening reads one snapshot and the few records after it.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import Field, JsonValue, ValidationError

from egoscale_sdk.data.declare import parse_declaration
from egoscale_sdk.errors import DataError
from egoscale_sdk.specs import DatasetDeclaration, Strict, canonical_json, digest

LOG_FORMAT = 1
SNAPSHOT_EVERY = 100
MAX_RECORD_BYTES = 2**28

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.\-]*"
ObjectPath = Annotated[str, Field(pattern=rf"^(segments|derived/{_PART})/[0-9a-f]{{32}}$", max_length=256)]
FilePath = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART})*$", max_length=512)]
T = TypeVar("T", bound=Strict)
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class FileRecord(Strict):
    """Size and checksum of one file of an object."""

    size: int = Field(ge=0)
    sha256: Digest


class Moments(Strict):
    """Mergeable statistics of one absolute array over valid rows, one number per column."""

    count: tuple[int, ...]
    mean: tuple[float, ...]
    m2: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


class Entry(Strict):
    """An object of a dataset: a base segment, or what an action set adds for the base segment ``base``.

    ``hidden`` are episodes of a segment that another commit had brought first; ``seq`` is the commit that added it.
    ``split`` gives episodes, by their number in the segment, another split label than they were recorded with.
    """

    path: ObjectPath
    rows: int = Field(ge=0)
    episodes: int = Field(ge=0, default=0)
    base: ObjectPath | None = None
    hidden: tuple[int, ...] = ()
    split: dict[str, tuple[int, ...]] = {}
    seq: int = 0


class Addition(Strict):
    """An entry with what is needed once, when the object is opened."""

    entry: Entry
    files: dict[FilePath, FileRecord]
    statistics: dict[str, Moments] = {}


class Record(Strict):
    """One commit.

    ``declaration`` is present where it changed. ``update`` are live entries with other labels; their files stay.
    ``oldest`` is the first version that can still be opened, where that changed.
    """

    format: int = LOG_FORMAT
    seq: int = Field(ge=0)
    previous: Digest | None
    declaration_digest: Digest
    declaration: dict[str, JsonValue] | None = None
    add: tuple[Addition, ...] = ()
    remove: tuple[ObjectPath, ...] = ()
    update: tuple[Entry, ...] = ()
    oldest: int | None = Field(ge=0, default=None)


class Snapshot(Strict):
    """The state after commit ``seq``; a cache of the records up to it."""

    format: int = LOG_FORMAT
    seq: int
    digest: Digest
    declarations: tuple[Digest, ...]
    declaration: dict[str, JsonValue]
    live: tuple[Entry, ...]
    oldest: int = 0


class LogState(NamedTuple):
    """A dataset at one version.

    ``declarations`` are the digests it ever had, the present one last. ``oldest`` is the first version whose objects
    are still all there.
    """

    seq: int
    digest: str
    declaration: DatasetDeclaration
    declarations: tuple[str, ...]
    live: dict[str, Entry]
    oldest: int = 0


class Change(NamedTuple):
    """What a commit does to a dataset; see `Record`. All of it happens, or nothing."""

    add: tuple[Addition, ...] = ()
    remove: tuple[str, ...] = ()
    update: tuple[Entry, ...] = ()
    declaration: DatasetDeclaration | None = None
    oldest: int | None = None


class CommitConflictError(DataError):
    """Another writer published this commit number first; read the log again and retry."""


class CommitLog:
    """The log of the dataset at ``root``."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "commits"
        self._staging = root / "cache" / "staging"

    def state(self, version: int | None = None) -> LogState:
        """Replay the log up to ``version`` (the newest if None).

        Raises:
            DataError: there is no log or no such version; a record is missing, edited or malformed.
            DeclarationError: the declaration is malformed or newer than this SDK.
        """
        commits, snapshots = self._numbers()
        newest = len(commits) - 1
        version = newest if version is None else version
        if not 0 <= version <= newest:
            raise DataError(f"has no version {version}", where=str(self.folder.parent), allowed=[f"0..{newest}"])
        start = max((seq for seq in snapshots if seq <= version), default=None)
        state = None if start is None else self._snapshot(start)
        for seq in range(0 if start is None else start + 1, version + 1):
            state = self._advance(state, seq)
        assert state is not None
        return state

    def held_paths(self, state: LogState) -> frozenset[str]:
        """Paths of the objects of every version from ``state.oldest`` to ``state``."""
        later = (self._record(seq)[0].add for seq in range(state.oldest + 1, state.seq + 1))
        added = {addition.entry.path for additions in later for addition in additions}
        return frozenset(self.state(state.oldest).live) | added

    def addition(self, entry: Entry) -> Addition:
        """Return files and statistics of an entry, from the commit that added it."""
        record, _ = self._record(entry.seq)
        for addition in record.add:
            if addition.entry.path == entry.path:
                return addition
        raise DataError(f"does not add {entry.path}", where=str(self._file(entry.seq)))

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
        self._link(record, self._file(seq))
        after = self._advance(state, seq)
        if seq and seq % SNAPSHOT_EVERY == 0:
            with suppress(CommitConflictError):  # the commit stands, with a snapshot or without
                self._write_snapshot(after)
        return after

    def _numbers(self) -> tuple[list[int], list[int]]:
        if not self.folder.is_dir():
            raise DataError("is not a dataset: it has no commit log", where=str(self.folder.parent))
        names = sorted(os.listdir(self.folder))
        commits = [int(name[:12]) for name in names if re.fullmatch(r"[0-9]{12}\.json", name)]
        snapshots = [int(name[9:21]) for name in names if re.fullmatch(r"snapshot-[0-9]{12}\.json", name)]
        for expected, seq in enumerate(commits):
            if expected != seq:
                raise DataError(
                    f"commit {expected} is missing although {commits[-1]} exists",
                    where=str(self.folder),
                    hint="restore the file from a copy of the dataset",
                )
        if not commits:
            raise DataError("has an empty commit log", where=str(self.folder))
        return commits, snapshots

    def _advance(self, state: LogState | None, seq: int) -> LogState:
        record, mark = self._record(seq)
        where = str(self._file(seq))
        if record.seq != seq or record.previous != (state.digest if state else None):
            raise DataError("does not follow the commit before it", where=where, hint="restore it from a copy")
        declared = record.declaration
        if (declared is None and record.declaration_digest != _present(state)) or (
            declared is not None and digest(declared) != record.declaration_digest
        ):
            raise DataError("names another declaration than it has", where=where, hint="restore it from a copy")
        live = dict(state.live) if state else {}
        for path in record.remove:
            live.pop(path, None)
        live |= {addition.entry.path: addition.entry for addition in record.add}
        for entry in record.update:
            if entry.path not in live or live[entry.path].seq != entry.seq:
                raise DataError(f"updates {entry.path}, which is not there", where=where, hint="restore it from a copy")
            live[entry.path] = entry
        oldest = record.oldest if record.oldest is not None else state.oldest if state else 0
        known = state.declarations if state else ()
        if declared is None:
            assert state is not None
            return LogState(seq, mark, state.declaration, known, live, oldest)
        return LogState(
            seq, mark, parse_declaration(declared, where), (*known, record.declaration_digest), live, oldest
        )

    def _record(self, seq: int) -> tuple[Record, str]:
        value, mark = _read(self._file(seq))
        return _parse(Record, value, self._file(seq)), mark

    def _snapshot(self, seq: int) -> LogState:
        file = self._snapshot_file(seq)
        value, _ = _read(file)
        snapshot = _parse(Snapshot, value, file)
        _, mark = _read(self._file(seq))
        declared = digest(snapshot.declaration)
        if snapshot.seq != seq or snapshot.digest != mark or snapshot.declarations[-1:] != (declared,):
            raise DataError(
                "does not belong to this log", where=str(file), hint="delete it: it only makes opening faster"
            )
        declaration = parse_declaration(snapshot.declaration, str(file))
        live = {entry.path: entry for entry in snapshot.live}
        return LogState(seq, mark, declaration, snapshot.declarations, live, snapshot.oldest)

    def _write_snapshot(self, state: LogState) -> None:
        snapshot = Snapshot(
            seq=state.seq,
            digest=state.digest,
            declarations=state.declarations,
            declaration=state.declaration.model_dump(mode="json"),
            live=tuple(state.live.values()),
            oldest=state.oldest,
        )
        self._link(snapshot, self._snapshot_file(state.seq))

    def _link(self, value: Strict, target: Path) -> None:
        body = value.model_dump(mode="json")
        text = canonical_json({"digest": digest(body), "body": body})
        self._staging.mkdir(parents=True, exist_ok=True)
        temporary = self._staging / f"{uuid.uuid4().hex}.json"
        with temporary.open("w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise CommitConflictError("was published by another writer", where=str(target)) from None
        finally:
            temporary.unlink()
        sync_folder(self.folder)

    def _file(self, seq: int) -> Path:
        return self.folder / f"{seq:012d}.json"

    def _snapshot_file(self, seq: int) -> Path:
        return self.folder / f"snapshot-{seq:012d}.json"


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _present(state: LogState | None) -> str:
    if state is None:
        raise DataError("the first commit must bring the declaration")
    return state.declarations[-1]


def _stamped(addition: Addition, seq: int) -> Addition:
    return addition.model_copy(update={"entry": addition.entry.model_copy(update={"seq": seq})})


def _read(file: Path) -> tuple[Any, str]:
    """Return the body of a record and its digest, having compared them."""
    try:
        if file.stat().st_size > MAX_RECORD_BYTES:
            raise ValueError(f"larger than {MAX_RECORD_BYTES} bytes")
        value = json.loads(file.read_bytes())
        body, mark = value["body"], value["digest"]
        matches = digest(body) == mark
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"is not a commit record: {error}", where=str(file), hint="restore it from a copy") from None
    if not matches:
        raise DataError("was changed after it was committed", where=str(file), hint="restore it from a copy")
    return body, mark


def _parse(model: type[T], value: Any, file: Path) -> T:
    newest = value.get("format") if isinstance(value, dict) else None
    if isinstance(newest, int) and newest > LOG_FORMAT:
        raise DataError(
            f"has log format {newest}; this SDK reads up to {LOG_FORMAT}",
            where=str(file),
            hint="run: pip install --upgrade egoscale-sdk",
        )
    try:
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(first["msg"], where=f"{file}:{field}") from None
