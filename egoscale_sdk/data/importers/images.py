"""Images of recordings: decoded once and stored as JPEG, at their own size or at the size asked for."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from egoscale_sdk.data.images import Size, check_size, decode, jpeg_size, resize_area
from egoscale_sdk.data.importers.spool import JpegSpool
from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.errors import DataError, require_extra
from egoscale_sdk.geometry import Floats
from egoscale_sdk.specs import CameraStream

QUALITY = 85
_PNG = b"\x89PNG\r\n\x1a\n"


def camera_stream(name: str, native: Size, asked: Size | None, mount: str = "head") -> CameraStream:
    """Declare a camera whose pictures are stored at ``asked``, or at their ``native`` size.

    Raises:
        DataError: the source gives it a name or a size that no dataset can have.
    """
    height, width = asked or native
    try:
        return CameraStream(name=name, height_px=height, width_px=width, mount=mount, native=(height, width) == native)
    except ValidationError as error:
        raise DataError(f"{error.errors()[0]['msg']}: {height}x{width}", where=f"camera {name!r}") from None


def encode_jpeg(rgb: NDArray[np.uint8], size: Size | None = None, quality: int = QUALITY) -> bytes:
    """Encode an image ``(h, w, 3)`` as JPEG, resized to ``size`` if it has another."""
    import simplejpeg

    sized = rgb if size is None else resize_area(rgb, size)
    jpeg: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(sized), quality, colorspace="RGB")
    return jpeg


def as_jpeg(data: bytes, size: Size | None, where: str) -> bytes:
    """Return a JPEG or PNG file as JPEG; a JPEG that has the size already is kept byte for byte.

    Raises:
        DataError: the image cannot be decoded, or is too large.
    """
    native = image_size(data, where)
    if data.startswith(_PNG):
        return encode_jpeg(_decode_png(data, where), size)
    return data if size in (None, native) else encode_jpeg(decode(data, where), size)


def image_size(data: bytes, where: str) -> Size:
    """Height and width of a JPEG or PNG file, from its header.

    Raises:
        DataError: it is neither, or too large to be decoded.
    """
    if not data.startswith(_PNG):
        return jpeg_size(data, where)
    width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))  # of the chunk IHDR, which comes first
    return check_size((height, width), where)


def video_size(path: Path, extra: str) -> Size:
    """Height and width of a video; reads its header only.

    Raises:
        DataError: the file is missing or no video.
        MissingExtraError: PyAV is not installed.
    """
    with _Video(path, extra) as stream:
        return int(stream.height), int(stream.width)


def video_rate(path: Path, extra: str) -> float:
    """Frames per second of a video, as its header says.

    Raises:
        DataError: the file is missing, no video, or does not say.
        MissingExtraError: PyAV is not installed.
    """
    with _Video(path, extra) as stream:
        if not stream.average_rate:
            raise DataError("does not say its frame rate", where=str(path))
        return float(stream.average_rate)


def video_frames(path: Path, extra: str) -> int:
    """Count the frames of a video, as its header says; 0 where it does not.

    Raises:
        DataError: the file is missing or no video.
        MissingExtraError: PyAV is not installed.
    """
    with _Video(path, extra) as stream:
        return int(stream.frames)


def video_jpegs(path: Path, extra: str, size: Size | None = None, wanted: range | None = None) -> JpegSpool:
    """Decode every frame of a video, or those whose numbers are wanted, and encode them as JPEG.

    Raises:
        DataError: the file is missing, truncated or no video.
        MissingExtraError: PyAV is not installed.
    """
    with _Video(path, extra) as stream:
        return JpegSpool(encode_jpeg(image) for _, image in _decoded(stream, path, size, wanted))


def video_jpegs_at(path: Path, extra: str, times_s: Floats, size: Size | None = None) -> JpegSpool:
    """Decode the frames of a video that show ``times_s (T,)``, in order, and encode them as JPEG.

    The decoder starts at the key frame before the first time and stops after the last. A frame is that of a time if
    it is nearer than half a frame period.

    Raises:
        DataError: the file is missing, truncated or no video, or has no frame at one of the times.
        MissingExtraError: PyAV is not installed.
    """
    jpegs = JpegSpool()
    if len(times_s) == 0:
        return jpegs
    with _Video(path, extra) as stream:
        reach = 0.5 / float(stream.average_rate or 30)
        for time_s, image in _frames_from(stream, path, size, float(times_s[0]) - 2 * reach):
            if time_s < times_s[len(jpegs)] - reach:
                continue
            jpeg = encode_jpeg(image)
            while len(jpegs) < len(times_s) and abs(time_s - times_s[len(jpegs)]) <= reach:
                jpegs.append(jpeg)
            if len(jpegs) == len(times_s) or time_s > times_s[len(jpegs)]:
                break
    if len(jpegs) < len(times_s):
        what = f"has no frame at {times_s[len(jpegs)]:.3f} s (picture {len(jpegs)} of {len(times_s)}): truncated?"
        raise DataError(what, where=str(path))
    return jpegs


def _frames_from(
    stream: Any, path: Path, size: Size | None, start_s: float
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Decode frames with their times from the key frame before ``start_s`` on."""
    try:
        stream.container.seek(max(0, int(start_s / stream.time_base)), stream=stream)
    except (OSError, ValueError, OverflowError) as error:
        raise DataError(f"video cannot be searched: {one_line(error)}", where=str(path)) from None
    return ((float(frame.pts * stream.time_base), image) for frame, image in _decoded(stream, path, size))


def _decoded(
    stream: Any, path: Path, size: Size | None, wanted: range | None = None
) -> Iterator[tuple[Any, NDArray[np.uint8]]]:
    import av

    stream.thread_type = "AUTO"
    height, width = size or (stream.height, stream.width)
    try:
        for number, frame in enumerate(stream.container.decode(stream)):
            if wanted is not None and number >= wanted.stop:
                break
            if wanted is None or number in wanted:
                image = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
                yield frame, image
    except (av.FFmpegError, ValueError) as error:
        raise DataError(f"video is damaged or truncated: {one_line(error)}", where=str(path)) from None


class _Video:
    """The first video stream of a file, closed on exit."""

    def __init__(self, path: Path, extra: str) -> None:
        require_extra("av", extra, "decoding video")
        self.path = path

    def __enter__(self) -> Any:
        import av

        if not self.path.is_file():
            raise DataError("video file is missing", where=str(self.path))
        try:
            self.container = av.open(str(self.path))
        except (av.FFmpegError, ValueError) as error:
            raise DataError(f"is no video, or is truncated: {one_line(error)}", where=str(self.path)) from None
        streams = self.container.streams.video
        if not streams or streams[0].codec_context is None or not streams[0].height or not streams[0].width:
            self.container.close()
            raise DataError("has no video stream that can be decoded", where=str(self.path))
        try:
            check_size((streams[0].height, streams[0].width), str(self.path))
        except DataError:
            self.container.close()
            raise
        return streams[0]

    def __exit__(self, *exc: object) -> None:
        self.container.close()


def _decode_png(data: bytes, where: str) -> NDArray[np.uint8]:
    require_extra("av", "lerobot", "decoding PNG images")
    import av

    try:
        with av.open(BytesIO(data)) as container:
            rgb: NDArray[np.uint8] = next(container.decode(video=0)).to_ndarray(format="rgb24")
            return rgb
    except (av.FFmpegError, StopIteration, IndexError):
        raise DataError("PNG image is damaged", where=where) from None
