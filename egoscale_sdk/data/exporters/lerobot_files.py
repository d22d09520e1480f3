"""The files of a LeRobot v3.0 dataset: episodes go into one after the other until a file is full."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.errors import DataError

CHUNK_FILES = 1000
DATA_MB, VIDEO_MB = 100, 200
NAME = "chunk-{chunk_index:03d}/file-{file_index:03d}"
CODECS = {
    "av1": ("libsvtav1", {"g": "2", "crf": "30", "preset": "12"}),
    "h264": ("libx264", {"g": "2", "crf": "23", "preset": "fast"}),
}
_MB = 2**20


class _Roll:
    """Numbered files in ``folder``; a new one is begun after the last has grown to ``limit`` bytes."""

    def __init__(self, folder: Path, suffix: str, limit: int) -> None:
        self._folder, self._suffix, self._limit = folder, suffix, limit
        self._number = -1

    @property
    def place(self) -> dict[str, int]:
        """Chunk and file in which the next episode is going to be."""
        number = self._number + (self._size() is None)
        return {"chunk_index": number // CHUNK_FILES, "file_index": number % CHUNK_FILES}

    def roll(self) -> None:
        """Close the file if it is full."""
        size = self._size()
        if size is not None and size >= self._limit:
            self.close()

    def close(self) -> None:
        """Close the file, if one is open."""

    def _size(self) -> int | None:
        """Bytes of the open file; None if there is none."""

    def _begin(self) -> Path:
        path = self._folder / f"{NAME.format(**self.place)}{self._suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._number += 1
        return path


class TableRoll(_Roll):
    """Parquet files; what is written at once is a row group of its own."""

    def __init__(self, folder: Path, limit: int = DATA_MB * _MB) -> None:
        super().__init__(folder, ".parquet", limit)
        self._writer: Any = None
        self._file: Any = None

    def write(self, table: Any) -> None:
        """Append a pyarrow table."""
        import pyarrow.parquet as pq

        if self._writer is None:
            self._file = self._begin().open("wb")
            self._writer = pq.ParquetWriter(self._file, table.schema, compression="snappy")
        self._writer.write_table(table)

    def close(self) -> None:
        """Close the file, if one is open."""
        if self._writer is not None:
            self._writer.close()
            self._file.close()
            self._writer = self._file = None

    def _size(self) -> int | None:
        return None if self._file is None else int(self._file.tell())


class VideoRoll(_Roll):
    """MP4 files of one camera at a constant rate."""

    def __init__(self, folder: Path, fps: int, codec: str, size: tuple[int, int], limit: int = VIDEO_MB * _MB) -> None:
        super().__init__(folder, ".mp4", limit)
        self._fps, self._codec, self._height, self._width = fps, codec, *size
        if codec == "av1" and self.pixels != "yuv420p":
            what = f"pictures of {size[0]}x{size[1]} have an odd side, which the AV1 encoder does not take"
            raise DataError(what, where=folder.name, hint="add --codec h264, or --images jpeg")
        self._container: Any = None
        self._stream: Any = None
        self._bytes = self._frames = 0

    @property
    def pixels(self) -> str:
        """Pixel format: colours at half resolution, except where a side is odd."""
        return "yuv420p" if self._height % 2 == self._width % 2 == 0 else "yuv444p"

    @property
    def seconds(self) -> float:
        """When the next frame is shown."""
        return 0.0 if self._container is None else self._frames / self._fps

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append a frame ``(h, w, 3)`` RGB."""
        import av

        if self._container is None:
            self._open()
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = self._frames, Fraction(1, self._fps)
        self._frames += 1
        self._mux(frame)

    def close(self) -> None:
        """Close the file, if one is open."""
        if self._container is not None:
            self._mux(None)
            self._container.close()
            self._container = None

    def _open(self) -> None:
        import av

        os.environ.setdefault("SVT_LOG", "1")  # else the AV1 encoder reports its settings on stderr, file by file
        encoder, options = CODECS[self._codec]
        self._container = av.open(str(self._begin()), "w")
        try:
            self._stream = self._container.add_stream(encoder, rate=self._fps, options=options)
        except (av.FFmpegError, ValueError):
            raise DataError(f"this PyAV cannot encode {encoder}", where="--codec", allowed=CODECS) from None
        self._stream.height, self._stream.width, self._stream.pix_fmt = self._height, self._width, self.pixels
        self._bytes = self._frames = 0

    def _mux(self, frame: Any) -> None:
        import av

        try:
            for packet in self._stream.encode(frame):
                self._bytes += packet.size
                self._container.mux(packet)
        except av.FFmpegError as error:
            raise DataError(f"cannot be encoded as {self._codec}: {one_line(error)}", where=self._folder.name) from None

    def _size(self) -> int | None:
        return None if self._container is None else self._bytes
