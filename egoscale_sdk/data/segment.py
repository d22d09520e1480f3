"""Reading one committed object, and the rows of its episodes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data import tables
from egoscale_sdk.data.arrays import StoredArray
from egoscale_sdk.data.log import Addition
from egoscale_sdk.data.writer import CONF_STEPS, file_record
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import LanguageSpan

Array = NDArray[Any]
RESTORE = "restore it from a copy of the dataset, or import again"


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
    """A committed folder; every file is present with its committed size, and its metadata unchanged."""

    def __init__(self, root: Path, addition: Addition) -> None:
        self.path = addition.entry.path
        self.folder = root / self.path
        self.addition = addition
        self._arrays: dict[str, StoredArray] = {}
        for name, record in addition.files.items():
            self._check(name, record.size, record.sha256 if name.endswith("zarr.json") else None)

    def _check(self, name: str, size: int, sha256: str | None) -> None:
        file = self.folder / name
        actual = file.stat().st_size if file.is_file() else None
        if actual is None:
            raise DataError("is missing", where=str(file), hint=RESTORE)
        if actual != size:
            raise DataError(f"has {actual} bytes, {size} were committed", where=str(file), hint=RESTORE)
        if sha256 is not None and file_record(file).sha256 != sha256:
            raise DataError("was changed after it was committed", where=str(file), hint=RESTORE)

    def contents(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            DataError: they are not those that were committed.
        """
        data = (self.folder / name).read_bytes()
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != self.addition.files[name].sha256:
            raise DataError("was changed after it was committed", where=str(self.folder / name), hint=RESTORE)
        return data

    def check_contents(self) -> None:
        """Compare every file with its checksum; reads everything."""
        for name, record in self.addition.files.items():
            self._check(name, record.size, record.sha256)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays, e.g. ``action`` or ``cams/head/row``."""
        nodes = (name.rpartition("/")[0] for name in self.addition.files if name.endswith("/zarr.json"))
        return tuple(node for node in nodes if self._is_array(node))

    def _is_array(self, name: str) -> bool:
        metadata: dict[str, Any] = json.loads((self.folder / name / "zarr.json").read_bytes())
        return metadata.get("node_type") == "array"

    def array(self, name: str) -> StoredArray:
        """Open an array once."""
        if name not in self._arrays:
            if f"{name}/zarr.json" not in self.addition.files:
                raise DataError(f"has no array {name!r}", where=self.path, allowed=self.names)
            self._arrays[name] = StoredArray(self.folder / name)
        return self._arrays[name]

    def has(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return f"{name}/zarr.json" in self.addition.files

    def read(self, name: str) -> Array:
        """Read a whole array."""
        return self.array(name).read()


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
