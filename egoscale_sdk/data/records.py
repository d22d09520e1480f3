"""What the commit log holds: records of commits, snapshots of the state, and what they say of an object."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

from pydantic import Field, JsonValue, ValidationError, model_validator

from egoscale_sdk.data.episodes import EpisodeTable
from egoscale_sdk.errors import DataError
from egoscale_sdk.specs import DatasetDeclaration, Strict, canonical_json, digest

LOG_FORMAT = 1
MAX_RECORD_BYTES = 2**28
_HEAD = b'{"body":'
_TAIL = re.compile(rb',"digest":"(sha256:[0-9a-f]{64})"}\Z')

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.\-]*"
ObjectPath = Annotated[str, Field(pattern=rf"^(segments|derived/{_PART})/[0-9a-f]{{32}}$", max_length=256)]
FilePath = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART})*$", max_length=512)]
T = TypeVar("T", bound=Strict)
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class FileRecord(Strict):
    """Size and checksum of one file of an object."""

    size: int = Field(ge=0)
    sha256: Digest


class ArrayRecord(Strict):
    """A flat array of an object: all that is needed to read it without looking at its metadata or at an index."""

    shape: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    dtype: Literal["float32", "int64", "int32", "int8", "uint64", "uint32", "uint8"]
    shard_rows: int = Field(gt=0)
    inner_rows: int = Field(gt=0)


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
    """An entry with what is needed once, when the object is opened.

    ``arrays`` are those whose shards are flat. A base segment brings the ``table`` of its episodes.
    """

    entry: Entry
    files: dict[FilePath, FileRecord]
    arrays: dict[FilePath, ArrayRecord] = {}
    statistics: dict[str, Moments] = {}
    table: EpisodeTable | None = None

    @model_validator(mode="after")
    def _episodes_lie_within(self) -> Self:
        if self.table is not None and any(
            start + length > self.entry.rows for start, length in zip(self.table.start, self.table.length, strict=True)
        ):
            raise ValueError(f"{self.entry.path} has episodes beyond its rows")
        return self


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


class ChunkRecord(Strict):
    """A file with the episode tables of the commits up to ``last``, from the one after the chunk before it."""

    name: FilePath
    last: int = Field(ge=0)
    size: int = Field(ge=0)
    sha256: Digest


class Snapshot(Strict):
    """The state after commit ``seq``; a cache of the records up to it."""

    format: int = LOG_FORMAT
    seq: int
    digest: Digest
    declarations: tuple[Digest, ...]
    declaration: dict[str, JsonValue]
    live: tuple[Entry, ...]
    oldest: int = 0
    chunks: tuple[ChunkRecord, ...] = ()


class LogState(NamedTuple):
    """A dataset at one version.

    ``declarations`` are the digests it ever had, the present one last. ``oldest`` is the first version whose objects
    are still all there. The episode tables are in the files ``chunks``, and those that later commits brought in
    ``tables``.
    """

    seq: int
    digest: str
    declaration: DatasetDeclaration
    declarations: tuple[str, ...]
    live: dict[str, Entry]
    oldest: int = 0
    chunks: tuple[ChunkRecord, ...] = ()
    tables: tuple[tuple[str, int, EpisodeTable], ...] = ()


class Change(NamedTuple):
    """What a commit does to a dataset; see `Record`. All of it happens, or nothing."""

    add: tuple[Addition, ...] = ()
    remove: tuple[str, ...] = ()
    update: tuple[Entry, ...] = ()
    declaration: DatasetDeclaration | None = None
    oldest: int | None = None


def encode(value: Strict) -> bytes:
    """Write a record with its digest."""
    body = value.model_dump(mode="json")
    return canonical_json({"digest": digest(body), "body": body}).encode()


def decode(model: type[T], data: bytes, where: str) -> tuple[T, str]:
    """Undo `encode`: return the record and its digest, having compared them.

    Raises:
        DataError: it is no record, was changed, is malformed, or newer than this SDK.
    """
    try:
        body, mark = _body(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"is not a commit record: {error}", where=where, hint="restore it from a copy") from None
    if body is None:
        raise DataError("was changed after it was committed", where=where, hint="restore it from a copy")
    return _parse(model, body, where), mark


def _body(data: bytes) -> tuple[bytes | None, str]:
    """Return the JSON of the body, or None if its digest is another one, and the digest that is given."""
    if data.startswith(_HEAD) and (tail := _TAIL.search(data, max(0, len(data) - 128))):
        body, mark = data[len(_HEAD) : tail.start()], tail[1].decode()
        if f"sha256:{hashlib.sha256(body).hexdigest()}" == mark:
            return body, mark
    value = json.loads(data)  # written by another hand, in another form
    mark = value["digest"]
    return (json.dumps(value["body"]).encode() if digest(value["body"]) == mark else None), mark


def _parse(model: type[T], body: bytes, where: str) -> T:
    try:
        found = model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] != "json_invalid":
            _check_format(json.loads(body), where)
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(first["msg"], where=f"{where}:{field}") from None
    _check_format(found.model_dump(include={"format"}), where)
    return found


def _check_format(value: Any, where: str) -> None:
    newest = value.get("format") if isinstance(value, dict) else None
    if isinstance(newest, int) and newest > LOG_FORMAT:
        raise DataError(
            f"has log format {newest}; this SDK reads up to {LOG_FORMAT}",
            where=where,
            hint="run: pip install --upgrade egoscale-sdk",
        )
