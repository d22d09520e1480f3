"""The pictures of one camera on their way into a LeRobot dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.episodes import EpisodeRef
from egoscale_sdk.data.exporters.grid import GridEpisode
from egoscale_sdk.data.exporters.lerobot_files import VideoRoll
from egoscale_sdk.data.exporters.lerobot_stats import PictureStats, Stats
from egoscale_sdk.data.images import decode_into
from egoscale_sdk.data.importers.images import encode_jpeg
from egoscale_sdk.data.lerobot_own import picture_feature
from egoscale_sdk.specs import CameraStream

_SAMPLES = 32


class CameraExport:
    """Writes a camera's pictures as videos of ``codec``, or gives them as they are where that is None.

    LeRobot has a picture in every row: where a row sees none it is black, and the feature ``egoscale.camera_seen`` 0.
    """

    def __init__(self, dataset: Dataset, stream: CameraStream, root: Path, fps: int, codec: str | None) -> None:
        self.stream, self.name, self.feature = stream, stream.name, picture_feature(stream.name)
        self.stats, self._dataset, self._fps = PictureStats(), dataset, fps
        self._size, self._codec = (stream.height_px, stream.width_px), codec
        self._black = np.zeros((*self._size, 3), np.uint8)
        self._video = VideoRoll(root / "videos" / self.feature, fps, codec, self._size) if codec else None

    @property
    def encodes(self) -> bool:
        """Whether the pictures become videos."""
        return self._video is not None

    def seen(self, ref: EpisodeRef, grid: GridEpisode) -> NDArray[np.uint8]:
        """Which rows ``(T,)`` have a picture."""
        found = {row: self._dataset.jpeg(ref, self.name, row) is not None for row in np.unique(grid.newest).tolist()}
        return np.array([found[row] for row in grid.newest.tolist()], np.uint8)

    def place(self) -> dict[str, Any]:
        """Say where the next episode's pictures begin; nothing where they are in the rows."""
        if self._video is None:
            return {}
        self._video.roll()
        where = {**self._video.place, "from_timestamp": self._video.seconds}
        return {f"videos/{self.feature}/{name}": value for name, value in where.items()}

    def add(self, ref: EpisodeRef, grid: GridEpisode) -> tuple[list[bytes] | None, Stats]:
        """Write an episode's pictures; returns them if they belong into its rows, and their statistics."""
        rows = grid.newest.tolist()
        sampled = set(np.linspace(0, len(rows) - 1, min(_SAMPLES, len(rows))).astype(int).tolist())
        samples: list[NDArray[np.uint8]] = []
        cells: list[bytes] = []
        for number, row in enumerate(rows):
            data = self._dataset.jpeg(ref, self.name, row)
            if self._video is None:
                cells.append(data or encode_jpeg(self._black))
            if self._video is not None or number in sampled:
                image = self._image(data, f"{ref.key}: camera {self.name!r}, row {row}")
                if self._video is not None:
                    self._video.write(image)
                if number in sampled:
                    samples.append(image)
        return (cells if self._video is None else None), self.stats.add(samples)

    def end(self) -> dict[str, Any]:
        """Say where the episode's pictures ended."""
        return {} if self._video is None else {f"videos/{self.feature}/to_timestamp": self._video.seconds}

    def close(self) -> None:
        """Close the last video."""
        if self._video is not None:
            self._video.close()

    def describe(self) -> dict[str, Any]:
        """Return the feature of ``meta/info.json``."""
        height, width = self._size
        shape = {"shape": [height, width, 3], "names": ["height", "width", "channels"]}
        if self._video is None:
            return {"dtype": "image", **shape}
        video = {"height": height, "width": width, "codec": self._codec, "pix_fmt": self._video.pixels}
        video |= {"is_depth_map": False, "fps": self._fps, "channels": 3}
        info = {f"video.{name}": value for name, value in video.items()} | {"has_audio": False}
        return {"dtype": "video", **shape, "info": info}

    def _image(self, data: bytes | None, where: str) -> NDArray[np.uint8]:
        if data is None:
            return self._black
        image = np.empty((*self._size, 3), np.uint8)
        decode_into(data, image, where)
        return image
