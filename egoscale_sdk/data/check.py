"""What an episode must be before it is stored; an episode that is not is refused and nothing of it is written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.images import jpeg_size
from egoscale_sdk.data.tables import TEXT_LABELS
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import Episode, ImageStream
from egoscale_sdk.specs import DatasetDeclaration

Array = NDArray[Any]


def check_episode(episode: Episode, declaration: DatasetDeclaration) -> None:
    """Compare an episode with the declaration of the dataset it is to join.

    Raises:
        DataError: a shape, a time stamp, a number or a caption is not as declared; names episode and array.
    """
    where, layout = f"episode {episode.key!r}", declaration.native.layout
    T, D, G = len(episode.time_ns), layout.dim, len(layout.groups)
    if not episode.key or T == 0:
        raise DataError("has no key or no rows", where=where)
    check_times(episode.time_ns, f"{where}: time_ns")
    if (episode.state is not None) != declaration.has_state:
        raise DataError(f"the declaration says has_state = {declaration.has_state}", where=f"{where}: state")
    check_rows(f"{where}: action", episode.action, (T, D))
    check_flags(f"{where}: valid", episode.valid, (T, G))
    if episode.state is not None:
        check_rows(f"{where}: state", episode.state, (T, D))
        if episode.state_valid is not None:
            check_flags(f"{where}: state_valid", episode.state_valid, (T, G))
    if episode.conf is not None:
        check_rows(f"{where}: conf", episode.conf, (T, G))
        if episode.conf.min() < 0 or episode.conf.max() > 1:
            raise DataError("confidences lie in [0, 1]", where=f"{where}: conf")
    if episode.map_id is not None and episode.map_id.shape != (T,):
        raise DataError(f"has shape {episode.map_id.shape}, not {(T,)}", where=f"{where}: map_id")
    _check_raw(episode, declaration, where)
    _check_images(episode, declaration, where)
    check_labels(episode.labels, f"{where}: labels")
    for span in episode.language:
        if not 0 <= span.start < span.stop <= T:
            raise DataError(f"covers rows {span.start}..{span.stop} of {T}", where=f"{where}: caption {span.text!r}")
        check_text(span.text, f"{where}: caption")


def check_times(time_ns: Array, where: str) -> None:
    """Refuse time stamps that are not int64 or do not increase strictly."""
    if time_ns.ndim != 1 or time_ns.dtype != np.int64:
        raise DataError(f"is {time_ns.dtype} {time_ns.shape}; it must be int64 nanoseconds (T,)", where=where)
    back = np.flatnonzero(np.diff(time_ns) <= 0)
    if len(back):
        raise DataError(f"does not increase after row {back[0]} (and at {len(back) - 1} more)", where=where)


def check_rows(where: str, values: Array, shape: tuple[int, ...]) -> None:
    """Refuse numbers of another shape, or that are not finite."""
    if values.shape != shape:
        raise DataError(f"has shape {values.shape}, declared is {shape}", where=where)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise DataError(
            f"is not finite at {tuple(bad[0].tolist())} (and {len(bad) - 1} more)",
            where=where,
            hint="write 0 with valid = 0 where nothing is known",
        )


def check_flags(where: str, values: Array, shape: tuple[int, ...]) -> None:
    """Refuse validity of another shape, or other than 0 and 1."""
    if values.shape != shape:
        raise DataError(f"has shape {values.shape}, declared is {shape}", where=where)
    if not np.isin(values, (0, 1)).all():
        raise DataError("holds other values than 0 and 1", where=where)


def check_labels(labels: Mapping[str, Any], where: str) -> None:
    """Refuse labels that the table of episodes cannot hold, so that one episode never costs its whole commit."""
    for name, value in labels.items():
        if name in TEXT_LABELS and value is not None:
            check_text(value, f"{where}.{name}")
        elif name == "success" and value not in (False, True):
            raise DataError(f"is {value!r}", where=f"{where}.{name}", allowed=("true", "false"))
        elif name == "quality" and not (isinstance(value, int | float) and math.isfinite(value)):
            raise DataError(f"is {value!r}, not a number", where=f"{where}.{name}")
    try:
        json.dumps(dict(labels), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"are not plain values: {error}", where=where) from None


def check_text(value: Any, where: str) -> None:
    """Refuse what is no text, or has characters that no file can hold (lone surrogates)."""
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise DataError(f"is {value!r}, not a text", where=where)


def _check_raw(episode: Episode, declaration: DatasetDeclaration, where: str) -> None:
    if set(episode.raw) != set(declaration.raw):
        raise DataError(f"has {sorted(episode.raw)}, declared are {sorted(declaration.raw)}", where=f"{where}: raw")
    for name, values in episode.raw.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise DataError(f"{name!r} is not a name", where=f"{where}: raw")
        check_rows(f"{where}: raw/{name}", values, (len(episode.time_ns), *values.shape[1:]))


def _check_images(episode: Episode, declaration: DatasetDeclaration, where: str) -> None:
    sizes = {camera.name: (camera.height_px, camera.width_px) for camera in declaration.cameras}
    for name, stream in episode.images.items():
        if name not in sizes:
            raise DataError(f"camera {name!r} is not declared", where=where, allowed=sizes)
        _check_stream(stream, sizes[name], f"{where}: camera {name!r}")


def _check_stream(stream: ImageStream, size: tuple[int, int], where: str) -> None:
    if len(stream.jpegs) != len(stream.time_ns):
        raise DataError(f"has {len(stream.jpegs)} images and {len(stream.time_ns)} time stamps", where=where)
    check_times(stream.time_ns, f"{where}: time_ns")
    for number, data in enumerate(stream.jpegs):
        height, width = jpeg_size(data, f"{where}: image {number}")
        if (height, width) != size:
            raise DataError(f"image {number} is {height}x{width}, declared is {size[0]}x{size[1]}", where=where)
