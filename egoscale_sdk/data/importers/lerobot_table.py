"""One parquet file of a LeRobot dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.errors import DataError

MAX_ROWS, MAX_VALUES, MAX_BYTES = 2**20, 2**26, 16 * 2**30


class LeRobotTable:
    """One parquet file; columns are read when asked for."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        if not path.is_file():
            raise DataError("file is missing", where=str(path))
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
            self._names = list(self._file.schema_arrow.names)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(
                f"is no readable parquet file, perhaps truncated: {one_line(error)}", where=str(path)
            ) from None
        self.rows = int(self._file.metadata.num_rows)
        self._check_size()

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Read a column of numbers or of equally long lists of numbers, ``(T,)`` or ``(T, N)``."""
        try:
            return np.array(self._column(name).to_pylist(), np.float64)
        except (TypeError, ValueError):
            raise DataError("holds no numbers, or rows of different length", where=f"{self.path}:{name}") from None

    def scalars(self, name: str) -> NDArray[np.float64]:
        """Read a column of one number per row, ``(T,)``, also where each is a list of one."""
        values = self.numbers(name)
        if values.size != self.rows:
            raise DataError(f"has shape {values.shape}, expected is one number per row", where=f"{self.path}:{name}")
        return values.reshape(self.rows)

    def pictures(self, name: str) -> list[bytes]:
        """Read a column of encoded images, each ``{bytes, path}`` or bytes."""
        cells = self._column(name).to_pylist()
        values = [cell.get("bytes") if isinstance(cell, dict) else cell for cell in cells]
        images = [value for value in values if isinstance(value, bytes)]
        if not images or len(images) != len(cells):
            raise DataError("holds rows without an encoded image", where=f"{self.path}:{name}")
        return images

    def _check_size(self) -> None:
        """Refuse a file whose few bytes would unpack to more than any episode holds, before anything is unpacked."""
        groups = [self._file.metadata.row_group(n) for n in range(self._file.metadata.num_row_groups)]
        values = sum(group.column(n).num_values for group in groups for n in range(group.num_columns))
        if self.rows > MAX_ROWS or values > MAX_VALUES or sum(group.total_byte_size for group in groups) > MAX_BYTES:
            what = f"unpacks to {self.rows} rows of {values} values; at most {MAX_ROWS} and {MAX_VALUES} are read"
            raise DataError(what, where=str(self.path))

    def _column(self, name: str) -> Any:
        import pyarrow as pa

        if name not in self._names:
            raise DataError(f"has no column {name!r}", where=str(self.path), allowed=self._names)
        try:
            return self._file.read([name]).column(name)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"is damaged: {one_line(error)}", where=f"{self.path}:{name}") from None
