"""A Project Aria VRS file: on-device hand tracking, odometry, pictures and calibration, on the device's clock."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.images import Size
from egoscale_sdk.data.importers.images import encode_jpeg
from egoscale_sdk.data.importers.spool import JpegSpool
from egoscale_sdk.data.importers.trajectory import poses_at
from egoscale_sdk.errors import DataError, require_extra
from egoscale_sdk.geometry import Floats
from egoscale_sdk.interfaces import ImageStream

EXTRA = "aria"
RGB = "camera-rgb"
_HANDS, _VIO, _FAST_VIO = "handtracking", "vio", "vio_high_frequency"
_DROPPED = re.compile(r"(\d+) records are beyond the end of the file")
_NEAR_NS = 150_000_000


class VrsFile:
    """An opened VRS file; all stamps are int64 nanoseconds of the device's own clock.

    Raises:
        DataError: it is missing, truncated or no VRS.
        MissingExtraError: projectaria-tools is not installed.
    """

    def __init__(self, path: Path) -> None:
        require_extra("projectaria_tools", EXTRA, "reading VRS files")
        from projectaria_tools.core import data_provider

        self.path = path
        if not path.is_file():
            raise DataError("file is missing", where=str(path))
        try:
            with _native_log() as log:
                self._provider: Any = data_provider.create_vrs_data_provider(str(path))
        except RuntimeError:
            self._provider = None
        if self._provider is None:
            raise DataError("is no VRS file, or is truncated", where=str(path))
        dropped = _DROPPED.search(log[0])
        if dropped:
            raise DataError(f"is truncated: {dropped[1]} records are missing at its end", where=str(path))

    def hands(self) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Read hand tracking: stamps ``(T,)``, landmarks ``(T, 2, 21, 3)`` in the device frame, confidence ``(T, 2)``.

        An absent hand has confidence -1 and zeros.
        """
        stream = self._stream(_HANDS, "records no hands")
        count = self._provider.get_num_data(stream)
        time_ns, points, conf = np.zeros(count, np.int64), np.zeros((count, 2, 21, 3)), np.full((count, 2), -1.0)
        for row in range(count):
            sample = self._provider.get_hand_pose_data_by_index(stream, row)
            time_ns[row] = _nanoseconds(sample.tracking_timestamp)
            for hand, seen in enumerate((sample.left_hand, sample.right_hand)):
                if seen is not None:
                    points[row, hand] = np.asarray(seen.landmark_positions_device)
                    conf[row, hand] = seen.confidence
        return time_ns, points, conf

    def hand_times(self) -> NDArray[np.int64]:
        """Stamps of the hand samples, without reading them."""
        from projectaria_tools.core.sensor_data import TimeDomain

        stream = self._stream(_HANDS, "records no hands")
        return np.asarray(self._provider.get_timestamps_ns(stream, TimeDomain.DEVICE_TIME), np.int64)

    def device_poses(self, query_ns: NDArray[np.int64]) -> tuple[Floats | None, NDArray[np.int32]]:
        """Return T_world_device ``(T, 4, 4)``, NaN where odometry is not valid (None without any), and its map.

        The world is the frame of the device's odometry; a new session of it is a new map.
        """
        found = self._fast_odometry() or self._slow_odometry()
        if found is None:
            return None, np.zeros(len(query_ns), np.int32)
        stamps, poses, sessions = found
        nearest = np.clip(np.searchsorted(stamps, query_ns), 0, len(stamps) - 1)
        unknown = ~self._odometry_valid(query_ns)
        at_query = np.where(unknown[:, None, None], np.nan, poses_at(stamps, poses, query_ns))
        return at_query, sessions[nearest]

    def camera_extrinsics(self) -> Floats:
        """T_device_camera ``(4, 4)`` of the colour camera, optical."""
        return np.asarray(self._camera().get_transform_device_camera().to_matrix(), np.float64)

    def image_size(self) -> Size:
        """Height and width of the colour pictures."""
        width, height = self._camera().get_image_size()
        return int(height), int(width)

    def images(self, size: Size | None) -> ImageStream:
        """Decode every colour picture and encode it as JPEG."""
        stream = self._stream(RGB, "has no colour camera")
        jpegs, stamps = JpegSpool(), []
        with _native_log():
            for index in range(self._provider.get_num_data(stream)):
                picture, record = self._provider.get_image_data_by_index(stream, index)
                if not picture.is_valid():
                    raise DataError(f"colour picture {index} cannot be decoded", where=str(self.path))
                jpegs.append(encode_jpeg(picture.to_numpy_array(), size))
                stamps.append(record.capture_timestamp_ns)
        return ImageStream(jpegs, np.array(stamps, np.int64), self.calibration())

    def calibration(self) -> dict[str, Any]:
        """Model, parameters and extrinsics of the colour camera; they refer to the native size."""
        camera, (height, width) = self._camera(), self.image_size()
        return {
            "model": str(camera.get_model_name()).rpartition(".")[2],
            "params": np.asarray(camera.get_projection_params()).tolist(),
            "height_px": height,
            "width_px": width,
            "T_device_camera": self.camera_extrinsics().tolist(),
        }

    def _camera(self) -> Any:
        self._stream(RGB, "has no colour camera")
        return self._provider.get_device_calibration().get_camera_calib(RGB)

    def _stream(self, label: str, complaint: str) -> Any:
        stream = self._provider.get_stream_id_from_label(label)
        if stream is None or self._provider.get_num_data(stream) == 0:
            raise DataError(f"{complaint} (stream {label!r})", where=str(self.path))
        return stream

    def _fast_odometry(self) -> tuple[NDArray[np.int64], Floats, NDArray[np.int32]] | None:
        stream = self._provider.get_stream_id_from_label(_FAST_VIO)
        count = 0 if stream is None else self._provider.get_num_data(stream)
        samples = [self._provider.get_vio_high_freq_data_by_index(stream, index) for index in range(count)]
        return _increasing(
            [_nanoseconds(sample.tracking_timestamp) for sample in samples],
            [sample.transform_odometry_device.to_matrix() for sample in samples],
            [str(sample.session_uid) for sample in samples],
        )

    def _slow_odometry(self) -> tuple[NDArray[np.int64], Floats, NDArray[np.int32]] | None:
        samples = [sample for sample in self._vio() if sample.status.name == "VALID"]
        return _increasing(
            [sample.capture_timestamp_ns for sample in samples],
            [(sample.transform_odometry_bodyimu @ sample.transform_bodyimu_device).to_matrix() for sample in samples],
            [str(sample.frontend_session_uid) for sample in samples],
        )

    def _odometry_valid(self, query_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the slow stream, which alone has a status, calls the nearest of its samples valid."""
        samples = self._vio()
        if not samples:
            return np.ones(len(query_ns), bool)
        stamps = np.array([sample.capture_timestamp_ns for sample in samples])
        good = np.array([sample.status.name == "VALID" for sample in samples])
        after = np.clip(np.searchsorted(stamps, query_ns), 1, max(len(stamps) - 1, 1))
        after = np.minimum(after, len(stamps) - 1)
        before = np.maximum(after - 1, 0)
        nearest = np.where(query_ns - stamps[before] <= stamps[after] - query_ns, before, after)
        near = np.abs(query_ns - stamps[nearest]) <= _NEAR_NS
        return np.asarray(good[nearest] & near, bool)

    def _vio(self) -> list[Any]:
        stream = self._provider.get_stream_id_from_label(_VIO)
        count = 0 if stream is None else self._provider.get_num_data(stream)
        return [self._provider.get_vio_data_by_index(stream, index) for index in range(count)]


def _increasing(
    stamps: list[int], poses: list[Any], sessions: list[str]
) -> tuple[NDArray[np.int64], Floats, NDArray[np.int32]] | None:
    """Arrays of an odometry stream without samples that repeat a stamp or go back; None without any."""
    if not stamps:
        return None
    times = np.array(stamps, np.int64)
    kept = np.concatenate([[True], times[1:] > np.maximum.accumulate(times)[:-1]])
    numbers = {name: number for number, name in enumerate(dict.fromkeys(sessions))}
    maps = np.array([numbers[name] for name in sessions], np.int32)
    return times[kept], np.array(poses, np.float64)[kept], maps[kept]


def _nanoseconds(delta: Any) -> int:
    return int((delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000


@contextmanager
def _native_log() -> Iterator[list[str]]:
    """Keep what the C++ reader writes to the terminal, which it cannot be told to leave: the list's one item."""
    log = [""]
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {stream: os.dup(stream) for stream in (1, 2)}
    with tempfile.TemporaryFile() as file:
        for stream in saved:
            os.dup2(file.fileno(), stream)
        try:
            yield log
        finally:
            for stream, copy in saved.items():
                os.dup2(copy, stream)
                os.close(copy)
            file.seek(0)
            log[0] = file.read().decode(errors="replace")
