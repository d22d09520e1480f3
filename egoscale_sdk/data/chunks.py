"""Files of episode tables: columns of many segments in one ``.npz``, each read when it is asked for."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import ValidationError

from egoscale_sdk.data.episodes import CODED, NUMBERS, Chunk, Piece, ragged
from egoscale_sdk.data.records import ChunkRecord
from egoscale_sdk.data.spans import RAGGED, UNSAID
from egoscale_sdk.data.store import Store, open_file
from egoscale_sdk.data.tables import UNKNOWN, Texts, pack_texts, unpack_texts
from egoscale_sdk.errors import DataError

Array = NDArray[Any]
_BLOBS = ("keys", "key_ends", "texts", "text_ends")
HINT = "delete the snapshots in commits/ from that commit on: they only make opening faster"


class FileChunk:
    """A chunk in a file on this machine.

    Raises:
        DataError: it is not the file of this record.
    """

    def __init__(self, file: Path, record: ChunkRecord, where: str) -> None:
        self._file, self._where = file, where
        self._kept: dict[str, Array] = {}
        handle = open_file(file)
        if handle is None:
            raise DataError("is missing", where=where, hint=HINT)
        with handle:
            if os.fstat(handle.fileno()).st_size != record.size:
                raise DataError("is not as long as it was", where=where, hint=HINT)
            found = hashlib.file_digest(handle, "sha256").hexdigest()
        if f"sha256:{found}" != record.sha256:
            raise DataError("was changed after it was written", where=where, hint=HINT)
        try:
            pieces = json.loads(self.column("pieces").tobytes())
            self.pieces = tuple(Piece.model_validate(piece) for piece in pieces)
        except (ValueError, ValidationError) as error:
            raise DataError(f"holds no episode tables: {error}", where=where, hint=HINT) from None

    def column(self, name: str) -> Array:
        """Return a column; texts are kept, of numbers the last one that was asked for."""
        if name not in self._kept:
            column = self._load(name)
            self._kept = {kept: values for kept, values in self._kept.items() if kept in _BLOBS} | {name: column}
        return self._kept[name]

    def _load(self, name: str) -> Array:
        try:
            with np.load(self._file, allow_pickle=False) as arrays:
                if name in RAGGED and name not in arrays:
                    return np.empty(0, np.int64)
                if name == "known_runs" and name not in arrays:  # of an older log
                    return np.full(len(arrays["start"]), UNSAID, NUMBERS[name])
                return np.asarray(arrays[name])
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"cannot be read: {error}", where=f"{self._where}:{name}", hint=HINT) from None


def load_chunk(store: Store, record: ChunkRecord) -> FileChunk:
    """Open a chunk; that of an object store is first copied into the cache, where it stays.

    Raises:
        DataError: it is missing, or not what the snapshot says.
    """
    where = f"{store.where}/{record.name}"
    if store.local is not None:
        return FileChunk(store.local / record.name, record, where)
    file = store.cache / record.name
    if not file.is_file() or file.stat().st_size != record.size:
        data = store.read(record.name, record.size)
        if data is None or len(data) != record.size:
            raise DataError("is missing or not as long as it was", where=where, hint=HINT)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = store.staged() / "chunk"
        temporary.write_bytes(data)
        temporary.replace(file)
        temporary.parent.rmdir()
    return FileChunk(file, record, where)


def pack_chunk(chunks: Sequence[Chunk], wanted: set[tuple[str, int]]) -> bytes:
    """Join the tables of chunks as one file; those of segments that are gone are left out."""
    runs = [(chunk, piece) for chunk in chunks for piece in chunk.pieces if (piece.path, piece.seq) in wanted]
    ends = np.cumsum([0, *(piece.stop - piece.start for _, piece in runs)]).tolist()
    pieces = [
        Piece(path=piece.path, seq=piece.seq, start=a, stop=b).model_dump()
        for (_, piece), (a, b) in zip(runs, pairwise(ends), strict=True)
    ]
    columns = {name: _joined(runs, name, dtype) for name, dtype in NUMBERS.items()}
    places = [(chunk, piece.start, piece.stop) for chunk, piece in runs]
    columns |= {name: ragged(places, name) for name in RAGGED}
    columns["keys"], columns["key_ends"] = pack_texts([key for run in runs for key in _keys(*run)])
    texts = Texts()
    columns |= {name: _coded(runs, name, texts) for name in CODED}
    columns["texts"], columns["text_ends"] = pack_texts(texts.texts())
    columns["pieces"] = np.frombuffer(json.dumps(pieces).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **columns)  # type: ignore[arg-type]
    return buffer.getvalue()


def _joined(runs: Sequence[tuple[Chunk, Piece]], name: str, dtype: DTypeLike) -> Array:
    return np.concatenate(
        [np.empty(0, dtype), *(chunk.column(name)[piece.start : piece.stop] for chunk, piece in runs)]
    )


def _keys(chunk: Chunk, piece: Piece) -> list[str]:
    return unpack_texts(chunk.column("keys"), chunk.column("key_ends")[piece.start : piece.stop + 1])


def _coded(runs: Sequence[tuple[Chunk, Piece]], name: str, texts: Texts) -> Array:
    """Number the texts of a label anew, for all chunks together."""
    parts, maps = [np.empty(0, np.int32)], dict[int, Array]()
    for chunk, piece in runs:
        codes = chunk.column(name)
        if id(chunk) not in maps:
            own = unpack_texts(chunk.column("texts"), chunk.column("text_ends"))
            used = np.zeros(len(own), bool)
            used[codes[codes >= 0]] = True
            new = [texts.number(text) if flag else UNKNOWN for text, flag in zip(own, used.tolist(), strict=True)]
            maps[id(chunk)] = np.array([*new, UNKNOWN], np.int32)  # -1 picks the last
        parts.append(maps[id(chunk)][codes[piece.start : piece.stop]])
    return np.concatenate(parts)
