"""Reading one committed object, and the rows of its episodes."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data import tables
from egoscale_sdk.data.checksums import NAME, places
from egoscale_sdk.data.records import Addition
from egoscale_sdk.data.remote_arrays import RemoteArray
from egoscale_sdk.data.store import RESTORE, Store, open_store
from egoscale_sdk.data.stored import MAX_FOREIGN_BYTES, ArrayReader, Committed, StoredArray
from egoscale_sdk.data.writer import CONF_STEPS
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import LanguageSpan

Array = NDArray[Any]


@dataclass(frozen=True)
class EpisodeRows:
    """The rows of one episode, read-only views into the dataset.

    Attributes:
        time_ns: ``(T,)`` int64.
        action: ``(T, D)`` float32 absolute rows of the action set that was asked for.
        valid: ``(T, G)`` uint8 per group of that set's layout.
        state: ``(T, D')`` float32 measured rows in the layout of the embodiment that moved, or None.
        state_valid: ``(T, G')`` uint8, or None.
        conf_steps: ``(T, G')`` uint8, 0..254, of the recording.
        map_id: ``(T,)`` int32.
        raw: Arrays ``(T, ...)`` as recorded, and what a derived set adds, such as ``residual_m``.
    """

    time_ns: NDArray[np.int64]
    action: NDArray[np.float32]
    valid: NDArray[np.uint8]
    state: NDArray[np.float32] | None
    state_valid: NDArray[np.uint8] | None
    conf_steps: NDArray[np.uint8]
    map_id: NDArray[np.int32]
    raw: dict[str, NDArray[np.float32]]

    @property
    def conf(self) -> NDArray[np.float32]:
        """Confidence ``(T, G')`` in [0, 1]."""
        return self.conf_steps.astype(np.float32) / np.float32(CONF_STEPS)


class StoredObject:
    """A committed folder; each file is compared with what was committed when it is first needed.

    Raises:
        DataError: a file is missing, or not what was committed; names it.
    """

    def __init__(self, root: Store | Path, addition: Addition) -> None:
        self.store = open_store(root)
        self.path, self.addition = addition.entry.path, addition
        self.where = f"{self.store.where}/{self.path}"
        self._arrays: dict[str, ArrayReader] = {}

    @property
    def folder(self) -> Path:
        """Where it lies on this machine."""
        if self.store.local is None:
            raise DataError("is on an object store", where=self.where, hint="copy the dataset to a disk first")
        return self.store.local / self.path

    def contents(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            DataError: they are not those that were committed.
        """
        record, where = self.addition.files[name], f"{self.where}/{name}"
        data = self.store.read(f"{self.path}/{name}", MAX_FOREIGN_BYTES)
        if data is None:
            raise DataError("is missing", where=where, hint=RESTORE)
        if len(data) != record.size:
            raise DataError(f"has {len(data)} bytes, {record.size} were committed", where=where, hint=RESTORE)
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != record.sha256:
            raise DataError("was changed after it was committed", where=where, hint=RESTORE)
        return data

    def check_contents(self) -> None:
        """Compare every file with its checksum; reads everything."""
        for name in self.addition.files:
            self.contents(name)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays, e.g. ``action`` or ``cams/head/row``, without that of the checksums."""
        files = list(self.addition.files)
        nodes = (name.rpartition("/")[0] for name in files if name.endswith("/zarr.json"))
        filled = {match[1] for name in files if (match := re.match(r"(.+)/c/[0-9]", name))}
        return tuple(node for node in nodes if (node in self.addition.arrays or node in filled) and node != NAME)

    def array(self, name: str) -> ArrayReader:
        """Open an array once."""
        if name not in self._arrays:
            if not self.has(name):
                raise DataError(f"has no array {name!r}", where=self.where, allowed=self.names)
            self._arrays[name] = self._open(name)
        return self._arrays[name]

    def _open(self, name: str) -> ArrayReader:
        files, record = ArrayFiles(self, name), self.addition.arrays.get(name)
        if self.store.local is not None:
            self.contents(f"{name}/zarr.json")
            return StoredArray(self.folder / name, files)
        if record is not None:
            return RemoteArray(self.store, f"{self.path}/{name}", record, files)
        return self._downloaded(name)

    def _downloaded(self, name: str) -> ArrayReader:
        """Copy an array of another layout into the cache and open it there."""
        folder = self.store.staged()
        for file in ArrayFiles(self, name).names:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.contents(f"{name}/{file}"))
        return StoredArray(folder)

    def has(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return f"{name}/zarr.json" in self.addition.files

    def read(self, name: str) -> Array:
        """Read a whole array."""
        return self.array(name).read()

    @cached_property
    def sum_places(self) -> dict[str, tuple[int, int]]:
        """Where the checksums of each file lie."""
        return places({name: record.size for name, record in self.addition.files.items()})


class ArrayFiles:
    """What was committed of the files of an array of an object."""

    def __init__(self, stored: StoredObject, array: str) -> None:
        self._stored, self._array = stored, array

    @property
    def names(self) -> list[str]:
        """Names of the files, relative to the array."""
        prefix = f"{self._array}/"
        return [name.removeprefix(prefix) for name in self._stored.addition.files if name.startswith(prefix)]

    def committed(self, name: str) -> Committed | None:
        """Return what was committed of a file, or None where there was none."""
        full = f"{self._array}/{name}"
        record = self._stored.addition.files.get(full)
        if record is None:
            return None
        if self._array == NAME:
            return Committed(record.size, None)
        start, _ = self._stored.sum_places[full]
        return Committed(record.size, lambda a, b: self._stored.array(NAME).read(start + a, start + b))

    def check_all(self) -> None:
        """Compare every file with what was committed."""
        for name in self.names:
            self._stored.contents(f"{self._array}/{name}")


class Segment(StoredObject):
    """A base segment."""

    @cached_property
    def table(self) -> list[tables.EpisodeEntry]:
        """Its episodes."""
        return tables.read_episodes(self.read)

    @cached_property
    def language(self) -> list[list[LanguageSpan]]:
        """Captions of every episode."""
        return tables.read_language(self.read)

    def rows(
        self, start: int, stop: int, derived: StoredObject | None = None, *, raw_arrays: bool = True
    ) -> EpisodeRows:
        """Read rows ``[start, stop)``, the actions from ``derived`` if given."""
        source = derived or self

        def read(name: str, of: StoredObject = self) -> Any:
            return of.array(name).read(start, stop) if of.has(name) else None

        raw = {}
        if raw_arrays:
            raw = {name[4:]: read(name) for name in self.names if name.startswith("raw/")}
        if raw_arrays and derived is not None:
            raw |= {name: read(name, derived) for name in derived.names if name not in ("action", "valid")}
        return EpisodeRows(
            time_ns=read("time"),
            action=read("action", source),
            valid=read("valid", source),
            state=read("state"),
            state_valid=read("state_valid"),
            conf_steps=read("conf"),
            map_id=read("map_id"),
            raw=raw,
        )

    def jpeg(self, camera: str, row: int) -> bytes | None:
        """Return the JPEG that a row of the segment sees, or None."""
        image = int(self.array(f"cams/{camera}/row").read(row, row + 1)[0])
        if image < 0:
            return None
        start, stop = self.array(f"cams/{camera}/offsets").read(image, image + 2).tolist()
        return bytes(self.array(f"cams/{camera}/data").read(start, stop))

    def calibrations(self, camera: str) -> list[dict[str, Any]]:
        """Calibration of a camera per episode."""
        texts = tables.unpack_texts(self.read(f"calib/{camera}/data"), self.read(f"calib/{camera}/offsets"))
        return [json.loads(text) for text in texts]
