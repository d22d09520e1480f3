"""From stored JPEGs to a batch of images."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import DataError

Images = NDArray[np.uint8]
Jpeg = bytes | memoryview | NDArray[np.uint8]
"""A compressed image, or a view of one."""
Size = tuple[int, int]
"""Height and width in pixels."""
MAX_SIDE_PX = 8192


def jpeg_size(data: Jpeg, where: str = "") -> Size:
    """Read height and width from a JPEG's header.

    Raises:
        DataError: it is no JPEG, or larger than any camera's picture: it is not decoded then.
    """
    import simplejpeg

    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise DataError(f"is not a JPEG image: {' '.join(str(error).split())}", where=where) from None
    return check_size((int(height), int(width)), where)


def check_size(size: Size, where: str) -> Size:
    """Return the size of a picture, refusing one that would not fit into memory when decoded."""
    if not all(0 < side <= MAX_SIDE_PX for side in size):
        what = f"is {size[0]}x{size[1]} pixels; at most {MAX_SIDE_PX} a side are read"
        raise DataError(what, where=where)
    return size


def decode(data: Jpeg, where: str = "") -> Images:
    """Decode a JPEG to RGB ``(h, w, 3)`` uint8.

    Raises:
        DataError: the data are not a JPEG, or too large; names ``where``.
    """
    out = np.empty((*jpeg_size(data, where), 3), np.uint8)
    decode_into(data, out, where)
    return out


def decode_into(data: Jpeg, out: Images, where: str = "") -> None:
    """Decode a JPEG into ``out (h, w, 3)`` uint8 RGB, resized by area where its size is another.

    Nothing is copied, and other threads run meanwhile.

    Raises:
        DataError: the data are not a JPEG, or too large; names ``where``.
    """
    decode_jpeg = _decoder()
    try:
        if decode_jpeg(data, "RGB", buffer=out).shape == out.shape:
            return
    except ValueError:
        pass  # it is larger than `out`, or damaged
    jpeg_size(data, where)
    height, width = out.shape[:2]
    try:
        # libjpeg scales down by powers of two for free; the rest is ours
        out[:] = resize_area(decode_jpeg(data, "RGB", min_height=height, min_width=width), out.shape[:2])
    except ValueError as error:
        raise DataError(f"JPEG image is damaged: {' '.join(str(error).split())}", where=where) from None


@cache
def _decoder() -> Any:
    import simplejpeg

    return simplejpeg.decode_jpeg


def resize_area(image: Images, size: tuple[int, int]) -> Images:
    """Resize ``(h, w, 3)`` to ``size`` (height, width): each new pixel is the mean of the area that it covers."""
    if image.shape[:2] == size:
        return image
    rows, columns = _coverage(image.shape[0], size[0]), _coverage(image.shape[1], size[1])
    tall = rows @ image.reshape(image.shape[0], -1).astype(np.float32)  # (h', w * 3)
    wide = np.tensordot(columns, tall.reshape(size[0], image.shape[1], 3), axes=(1, 1))  # (w', h', 3)
    return np.clip(np.round(wide), 0, 255).astype(np.uint8).transpose(1, 0, 2)


@lru_cache(maxsize=64)
def _coverage(old: int, new: int) -> NDArray[np.float32]:
    """Share of every old pixel in every new one, ``(new, old)``; rows sum to 1."""
    edges = np.arange(new + 1) * (old / new)
    upper = np.minimum(edges[1:, None], np.arange(1, old + 1))
    lower = np.maximum(edges[:-1, None], np.arange(old))
    share: NDArray[np.float32] = (np.clip(upper - lower, 0, None) * (new / old)).astype(np.float32)
    return share
