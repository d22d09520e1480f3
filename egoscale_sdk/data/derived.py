"""Writing what an action set adds for a base segment, block by block, so that a long one is never held whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.arrays import RowStream
from egoscale_sdk.data.check import check_flags, check_rows
from egoscale_sdk.data.records import Addition, Entry
from egoscale_sdk.data.store import Store
from egoscale_sdk.data.writer import StagedFolder
from egoscale_sdk.errors import DataError
from egoscale_sdk.specs import ActionSetSpec

Arrays = Mapping[str, NDArray[Any]]


class DerivedWriter(StagedFolder):
    """Collects the rows of one base segment for an action set; seen by nobody before `Dataset.commit_derived`."""

    def __init__(self, root: Store | Path | str, spec: ActionSetSpec, base: str, rows: int) -> None:
        super().__init__(root)
        self._spec, self._base, self._total = spec, base, rows
        self._streams: dict[str, RowStream] = {}
        self.rows = 0

    def add(self, arrays: Arrays) -> None:
        """Check and add rows: ``action (n, D)``, ``valid (n, G)`` and any further arrays, the same ones every time.

        Raises:
            DataError: a shape is wrong, a number not finite, or there are more rows than the segment has.
        """
        where, rows = f"{self._base}: {self._spec.name}", len(arrays["action"])
        if self.rows + rows > self._total:
            raise DataError(f"has more than {self._total} rows", where=where)
        check_rows(f"{where}/action", arrays["action"], (rows, self._spec.layout.dim))
        check_flags(f"{where}/valid", arrays["valid"], (rows, len(self._spec.layout.groups)))
        for name, values in arrays.items():
            check_rows(f"{where}/{name}", values, (rows, *values.shape[1:]))
            self._stream(name, values).append(values)
        self.rows += rows

    def finish(self) -> Addition:
        """Write what is left, move the folder to ``derived/<set>/<uuid>`` and say what a commit must record.

        Raises:
            DataError: rows are missing.
        """
        if self.rows != self._total:
            raise DataError(f"has {self.rows} rows of {self._total}", where=f"{self._base}: {self._spec.name}")
        for stream in self._streams.values():
            stream.close()
        path = f"derived/{self._spec.name}/{self.folder.name}"
        return self.addition(Entry(path=path, rows=self._total, base=self._base))

    def _stream(self, name: str, values: NDArray[Any]) -> RowStream:
        if name not in self._streams:
            kind = np.uint8 if name == "valid" else np.float32
            self._streams[name] = RowStream(self.group, name, (self._total, *values.shape[1:]), kind)
        return self._streams[name]
