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
    """One parquet file, or some of its rows; columns are read when asked for, from the row groups that matter."""

    def __init__(self, path: Path, rows: tuple[int, int] | None = None) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        if not path.is_file():
            raise DataError("file is missing", where=str(path))
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
            self.names: tuple[str, ...] = tuple(self._file.schema_arrow.names)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(
                f"is no readable parquet file, perhaps truncated: {one_line(error)}", where=str(path)
            ) from None
        self._groups, self._start, self.rows = self._locate(*(rows or (0, self._file.metadata.num_rows)))
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

    def texts(self, name: str) -> list[str]:
        """Read a column of texts."""
        values = self._cells(name)
        if not all(isinstance(value, str) for value in values):
            raise DataError("holds something else than texts", where=f"{self.path}:{name}")
        return values

    def pictures(self, name: str) -> list[bytes]:
        """Read a column of encoded images, each ``{bytes, path}`` or bytes."""
        cells = self._cells(name)
        values = [cell.get("bytes") if isinstance(cell, dict) else cell for cell in cells]
        images = [value for value in values if isinstance(value, bytes)]
        if not images or len(images) != len(cells):
            raise DataError("holds rows without an encoded image", where=f"{self.path}:{name}")
        return images

    def _cells(self, name: str) -> list[Any]:
        try:
            cells: list[Any] = self._column(name).to_pylist()
        except ValueError as error:  # such as a text that is not UTF-8
            raise DataError(f"is damaged: {one_line(error)}", where=f"{self.path}:{name}") from None
        return cells

    def _locate(self, start: int, stop: int) -> tuple[list[int], int, int]:
        """Return the row groups that hold the rows, the first row's place in them, and how many rows there are."""
        metadata = self._file.metadata
        sizes = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
        ends = np.cumsum(sizes, dtype=np.int64)
        found = [n for n, end in enumerate(ends) if end > start and end - sizes[n] < stop]
        before = int(ends[found[0]] - sizes[found[0]]) if found else start
        return found, start - before, max(0, min(stop, metadata.num_rows) - start)

    def _check_size(self) -> None:
        """Refuse a file whose few bytes would unpack to more than any episode holds, before anything is unpacked."""
        groups = [self._file.metadata.row_group(n) for n in self._groups]
        columns = range(groups[0].num_columns if groups else 0)  # one is read at a time
        values = max((sum(group.column(n).num_values for group in groups) for n in columns), default=0)
        if self.rows > MAX_ROWS or values > MAX_VALUES or sum(group.total_byte_size for group in groups) > MAX_BYTES:
            what = f"unpacks to {self.rows} rows of {values} values; at most {MAX_ROWS} and {MAX_VALUES} are read"
            raise DataError(what, where=str(self.path))

    def _column(self, name: str) -> Any:
        import pyarrow as pa

        if name not in self.names:
            raise DataError(f"has no column {name!r}", where=str(self.path), allowed=self.names)
        try:
            column = self._file.read_row_groups(self._groups, [name]).column(name)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"is damaged: {one_line(error)}", where=f"{self.path}:{name}") from None
        return column.slice(self._start, self.rows)
