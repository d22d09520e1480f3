"""One episode of hand keypoints as a file holds it, in the tracker's own joint order, and how an NPZ becomes that."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue, ValidationError

from egoscale_sdk.data.importers.exchange import LABELS, KeypointFrame, ScaleStatus
from egoscale_sdk.data.importers.people import nanoseconds
from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats
from egoscale_sdk.specs import Strict

Bools = NDArray[np.bool_]
SideChoice = Literal["left", "right", "both"]
Row3 = Annotated[tuple[float, ...], Field(min_length=3, max_length=3)]
MAX_UNPACKED_BYTES = 4 * 2**30
# What numpy and zipfile raise for a damaged archive.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error)
_DAMAGE = (MemoryError, OSError, ValueError, EOFError, LookupError, RuntimeError, *_UNREADABLE)


class Caption(Strict):
    """A caption over rows ``[start, stop)``."""

    text: str
    start: int = Field(ge=0)
    stop: int = Field(gt=0)
    kind: str = "task"


class EpisodeFacts(Strict):
    """What a file says about itself beside its arrays; scalars of an NPZ, or ``<stem>.json`` beside a CSV or NPZ."""

    layout: str | None = None
    side: SideChoice | None = None
    frame: KeypointFrame | None = None
    scale: ScaleStatus | None = None
    rate_hz: float | None = Field(default=None, gt=0)
    task: str = ""
    video: str | None = None
    intrinsics: tuple[Row3, Row3, Row3] | None = None
    captions: tuple[Caption, ...] = ()
    labels: dict[str, JsonValue] = {}


@dataclass(frozen=True)
class KeypointTable:
    """Arrays of one file; ``facts`` may be overruled by flags.

    Attributes:
        points: ``(T, 2, N, 3)`` left then right, in the layout's joint order; NaN or 0 where absent.
        time_ns: ``(T,)``, or None where only a rate is known.
        seen: ``(T, 2)`` as the file states it, or None where only the values tell.
        conf: ``(T, 2)`` or None.
        one_hand: The file has one hand and does not say which; it stands in both places.
        rotations: ``(T, 2, N, 4)`` quaternions wxyz of the joints, or None.
        camera_pose: ``(T, 4, 4)`` T_world_camera, or None.
    """

    where: str
    points: Floats
    facts: EpisodeFacts
    time_ns: NDArray[np.int64] | None = None
    seen: Bools | None = None
    conf: Floats | None = None
    one_hand: bool = False
    rotations: Floats | None = None
    camera_pose: Floats | None = None
    map_id: NDArray[np.int32] | None = None
    jpegs: list[bytes] = field(default_factory=list)
    image_time_ns: NDArray[np.int64] | None = None


def parse_facts(values: Mapping[str, Any], where: str) -> EpisodeFacts:
    """Validate what a file says about itself.

    Raises:
        DataError: a field is unknown or has a wrong value; names file:field.
    """
    try:
        return EpisodeFacts.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise DataError(first["msg"], where=f"{where}:{name}", allowed=EpisodeFacts.model_fields) from None


def read_npz(path: Path) -> KeypointTable:
    """Read an NPZ in the exchange form, or with no more than ``keypoints`` and a rate.

    Raises:
        DataError: truncated, holds objects, lacks ``keypoints``, or an array has a wrong shape; names file:key.
    """
    arrays = load_npz(path)
    if "keypoints" not in arrays:
        raise DataError("has no array 'keypoints'", where=str(path), allowed=sorted(arrays))
    points, one_hand = _two_hands(arrays["keypoints"], f"{path}:keypoints")
    rows = len(points)
    return KeypointTable(
        where=str(path),
        points=points,
        facts=_facts(arrays, path),
        time_ns=_times(arrays, rows, path),
        seen=_optional(arrays, "valid", path, [(rows, 2)], np.bool_),
        conf=_confidence(arrays, rows, points.shape[2], path),
        one_hand=one_hand,
        rotations=_optional(arrays, "keypoint_quat_wxyz", path, [(*points.shape[:3], 4)], np.float64),
        camera_pose=_optional(arrays, "T_world_camera", path, [(rows, 4, 4)], np.float64),
        map_id=_optional(arrays, "map_id", path, [(rows,)], np.int32),
        jpegs=_jpegs(arrays, path),
        image_time_ns=_optional(arrays, "image_time_ns", path, None, np.int64),
    )


def load_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of an NPZ.

    Raises:
        DataError: it is missing or damaged, holds objects, or unpacks to more than 4 GiB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise DataError(f"unpacks to {unpacked} bytes; at most {MAX_UNPACKED_BYTES} are read", where=str(path))
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _DAMAGE as error:
        raise DataError(f"is no readable NPZ of plain arrays: {one_line(error)}", where=str(path)) from None


def _two_hands(points: NDArray[Any], where: str) -> tuple[Floats, bool]:
    if points.dtype.kind not in "fiu" or points.ndim not in (3, 4) or points.shape[-1] != 3:
        raise DataError(
            f"has shape {points.shape} of {points.dtype}", where=where, allowed=["(T, 2, N, 3)", "(T, N, 3)"]
        )
    values = points.astype(np.float64)
    if values.ndim == 3:
        return np.stack([values, values], axis=1), True
    if values.shape[1] != 2:
        raise DataError(f"has {values.shape[1]} hands", where=where, allowed=["2: left, right"])
    return values, False


def _facts(arrays: Mapping[str, NDArray[Any]], path: Path) -> EpisodeFacts:
    simple = ("layout", "side", "frame", "scale", "rate_hz", "task", "video")
    values = {name: arrays[name].item() for name in simple if name in arrays and arrays[name].size == 1}
    values["labels"] = {name: arrays[name].tolist() for name in LABELS if name in arrays}
    if "intrinsics" in arrays:
        values["intrinsics"] = arrays["intrinsics"].tolist()
    if "caption_text" in arrays and "caption_rows" in arrays:
        texts = arrays["caption_text"].ravel().tolist()
        rows = _optional(arrays, "caption_rows", path, [(len(texts), 2)], np.int64)
        spans = [] if rows is None else rows.tolist()
        pairs = zip(texts, spans, strict=True)
        values["captions"] = [{"text": text, "start": start, "stop": stop} for text, (start, stop) in pairs]
    return parse_facts(values, str(path))


def _times(arrays: Mapping[str, NDArray[Any]], rows: int, path: Path) -> NDArray[np.int64] | None:
    if "time_ns" in arrays:
        return _optional(arrays, "time_ns", path, [(rows,)], np.int64)
    seconds = _optional(arrays, "time_s", path, [(rows,)], np.float64)
    return None if seconds is None else nanoseconds(seconds, f"{path}:time_s")


def _confidence(arrays: Mapping[str, NDArray[Any]], rows: int, joints: int, path: Path) -> Floats | None:
    conf = _optional(arrays, "confidence", path, [(rows,), (rows, 2), (rows, 2, joints)], np.float64)
    if conf is None:
        return None
    if conf.ndim == 1:
        conf = np.stack([conf, conf], axis=1)
    return conf.mean(axis=-1) if conf.ndim == 3 else conf


def _jpegs(arrays: Mapping[str, NDArray[Any]], path: Path) -> list[bytes]:
    if "jpegs" not in arrays:
        return []
    where = f"{path}:jpeg_offsets"
    if "jpeg_offsets" not in arrays or arrays["jpegs"].dtype != np.uint8:
        raise DataError("jpegs (uint8) and jpeg_offsets belong together", where=where)
    ends = _optional(arrays, "jpeg_offsets", path, [(arrays["jpeg_offsets"].size,)], np.int64)
    blob, offsets = arrays["jpegs"].tobytes(), [] if ends is None else ends.tolist()
    if sorted(offsets) != offsets or not offsets or offsets[0] != 0 or offsets[-1] != len(blob):
        raise DataError(f"must rise from 0 to {len(blob)}, the size of jpegs", where=where)
    return [blob[start:stop] for start, stop in pairwise(offsets)]


def _optional(
    arrays: Mapping[str, NDArray[Any]], name: str, path: Path, shapes: list[tuple[int, ...]] | None, dtype: Any
) -> NDArray[Any] | None:
    if name not in arrays:
        return None
    values = arrays[name]
    if values.dtype.kind not in "bfiu" or (shapes is not None and values.shape not in shapes):
        allowed = [str(shape) for shape in shapes or []]
        raise DataError(f"has shape {values.shape} of {values.dtype}", where=f"{path}:{name}", allowed=allowed)
    with np.errstate(invalid="ignore"):
        cast = values.astype(dtype)
    if cast.dtype.kind == "i" and not (cast == values).all():
        raise DataError(f"holds values that are no {cast.dtype}", where=f"{path}:{name}")
    return cast
