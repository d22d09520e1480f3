"""Pictures of an episode between their decoder and the dataset: in memory while they are few, else in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from typing import IO, Any, overload

MEMORY_BYTES = 64 * 2**20


class JpegSpool(Sequence[bytes]):
    """A sequence of JPEG files, of which at most 64 MiB are held in memory; the rest goes to an unnamed file.

    It behaves as a list that only grows. The file is gone with the sequence, whatever becomes of the process.
    """

    def __init__(self, jpegs: Iterable[bytes] = ()) -> None:
        self._held: list[bytes] = []
        self._ends = [0]
        self._file: IO[bytes] | None = None
        self._spilled = 0  # pictures in the file
        for jpeg in jpegs:
            self.append(jpeg)

    def append(self, jpeg: bytes) -> None:
        """Add a picture."""
        self._held.append(jpeg)
        self._ends.append(self._ends[-1] + len(jpeg))
        if self._ends[-1] - self._ends[self._spilled] > MEMORY_BYTES:
            self._spill()

    @property
    def total_bytes(self) -> int:
        """Bytes of all pictures."""
        return self._ends[-1]

    @property
    def held_bytes(self) -> int:
        """Bytes that are in memory."""
        return self._ends[-1] - self._ends[self._spilled]

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        if number >= self._spilled:
            return self._held[number - self._spilled]
        assert self._file is not None
        self._file.seek(self._ends[number])
        return self._file.read(self._ends[number + 1] - self._ends[number])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __reduce__(self) -> tuple[Any, ...]:
        return JpegSpool, (list(self),)

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the sequence
        self._file.seek(0, 2)
        self._file.write(b"".join(self._held))
        self._spilled = len(self)
        self._held.clear()
