"""The exchange form of hand keypoints: one NPZ per episode, written here and read by the ``keypoints`` importer.

`docs/keypoints_exchange.md` documents every key. Arrays only, never objects: files are read with
``allow_pickle=False``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.errors import DataError

KeypointFrame = Literal["world", "camera", "wrist"]
ScaleStatus = Literal["metric", "unknown"]
LABELS = ("scene", "objects", "category", "operator", "split", "aligned_group", "success", "quality")


@dataclass(frozen=True)
class ExchangeImages:
    """JPEG images of the one camera of an exchange episode, with their stamps and, if known, its 3x3 intrinsics."""

    jpegs: Sequence[bytes]
    time_ns: ArrayLike  # (N,) int64
    intrinsics: ArrayLike | None = None  # (3, 3) pixels, of the images' own resolution


def write_exchange_episode(
    path: str | Path,
    *,
    time_ns: ArrayLike,
    keypoints: ArrayLike,
    valid: ArrayLike,
    confidence: ArrayLike | None = None,
    frame: KeypointFrame = "world",
    T_world_camera: ArrayLike | None = None,
    scale: ScaleStatus = "metric",
    images: ExchangeImages | None = None,
    task: str = "",
    labels: Mapping[str, str | int | float | bool] | None = None,
) -> Path:
    """Write one episode of hand keypoints as an exchange NPZ; the file appears whole or not at all.

    Args:
        path: File to write, ``*.npz``; a folder of such files is one recording of several episodes.
        time_ns: ``(T,)`` int64 nanoseconds, strictly increasing.
        keypoints: ``(T, 2, 21, 3)`` canonical order, left then right, metres, in ``frame``; an absent hand holds 0.
        valid: ``(T, 2)``, 1 where the hand was seen.
        confidence: ``(T, 2)`` or ``(T, 2, 21)`` in [0, 1].
        frame: The frame of ``keypoints``: ``world`` is fixed over the episode, ``camera`` is optical (x right, y down,
            z forward), ``wrist`` is centred on the hand.
        T_world_camera: ``(T, 4, 4)`` pose of the optical camera in the world.
        scale: ``unknown`` if the trajectory is of a monocular SLAM, so that its metres are not metres.
        images: What the camera saw.
        task: The instruction.
        labels: Any of scene, objects, category, operator, split, aligned_group, success, quality.

    Returns:
        The path of the file.

    Raises:
        DataError: an array has a wrong shape, is not finite, or the stamps do not increase.
    """
    path = Path(path)
    arrays: dict[str, NDArray[Any]] = {
        "time_ns": np.asarray(time_ns, np.int64),
        "keypoints": np.asarray(keypoints, np.float32),
        "valid": np.asarray(valid).astype(np.uint8),
        "layout": np.asarray("mediapipe"),
        "frame": np.asarray(frame),
        "scale": np.asarray(scale),
        "task": np.asarray(task),
    }
    if confidence is not None:
        arrays["confidence"] = np.asarray(confidence, np.float32)
    if T_world_camera is not None:
        arrays["T_world_camera"] = np.asarray(T_world_camera, np.float64)
    arrays |= {} if images is None else _image_arrays(images)
    arrays |= {name: np.asarray(value) for name, value in (labels or {}).items()}
    _check(arrays, set(labels or {}), path)
    _write_whole(path, arrays)
    return path


def _image_arrays(images: ExchangeImages) -> dict[str, NDArray[Any]]:
    sizes = [len(jpeg) for jpeg in images.jpegs]
    arrays: dict[str, NDArray[Any]] = {
        "jpegs": np.frombuffer(b"".join(images.jpegs), np.uint8),
        "jpeg_offsets": np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint64),
        "image_time_ns": np.asarray(images.time_ns, np.int64),
    }
    if images.intrinsics is not None:
        arrays["intrinsics"] = np.asarray(images.intrinsics, np.float64)
    return arrays


def _check(arrays: Mapping[str, NDArray[Any]], labels: set[str], path: Path) -> None:
    unknown = sorted(labels - set(LABELS))
    if unknown:
        raise DataError(f"label {unknown[0]!r} is not known", where=f"{path}:labels", allowed=LABELS)
    rows = arrays["time_ns"].shape[0] if arrays["time_ns"].ndim else 0
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "time_ns": ((rows,),),
        "keypoints": ((rows, 2, 21, 3),),
        "valid": ((rows, 2),),
        "confidence": ((rows, 2), (rows, 2, 21)),
        "T_world_camera": ((rows, 4, 4),),
        "intrinsics": ((3, 3),),
        "image_time_ns": ((arrays["jpeg_offsets"].size - 1,),) if "jpeg_offsets" in arrays else (),
    }
    for name, allowed in shapes.items():
        if name in arrays and arrays[name].shape not in allowed:
            raise DataError(f"has shape {arrays[name].shape}", where=f"{path}:{name}", allowed=map(str, allowed))
        if name in arrays and not np.isfinite(arrays[name]).all():
            raise DataError("has NaN or infinity; write 0 and valid 0 for an absent hand", where=f"{path}:{name}")
    for name in ("time_ns", "image_time_ns"):
        if name in arrays and (np.diff(arrays[name]) <= 0).any():
            raise DataError("stamps do not increase", where=f"{path}:{name}")


def _write_whole(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # no name of ours is "allow_pickle"
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
