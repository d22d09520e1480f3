"""One EgoDex HDF5 file, newer and older spellings of its attributes included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.data.importers.trajectory import check_rigid
from egoscale_sdk.errors import DataError, require_extra
from egoscale_sdk.geometry import Floats
from egoscale_sdk.specs import SIDES

FPS = 30.0
MAX_ARRAY_BYTES = 16 * 2**20  # two hours of one joint


@dataclass(frozen=True)
class Words:
    """What a file says about its episode: the instruction, and labels of ours."""

    instruction: str
    labels: dict[str, Any]


class EgoDexFile:
    """An opened file.

    Raises:
        DataError: it is missing, truncated, no HDF5, or has no transforms.
        MissingExtraError: h5py is not installed.
    """

    def __init__(self, path: Path) -> None:
        require_extra("h5py", "egodex", "reading EgoDex files")
        import h5py

        self.path = path
        with _damage(str(path)):
            self._file = h5py.File(path, "r")
        if not self._has("transforms"):
            self.close()
            raise DataError("has no group /transforms", where=str(path))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def hands(self, joints: list[str]) -> tuple[Floats, Floats]:
        """Read transforms ``(T, 2, N, 4, 4)`` of joints of both hands, and confidences ``(T, 2, N)``, 1 if not stored.

        Raises:
            DataError: a joint is missing, has another number of rows or is damaged.
        """
        names = [f"{side}{joint}" for side in SIDES for joint in joints]
        rows = len(self.camera_pose())
        transforms = np.stack([self._array(f"/transforms/{name}", (rows, 4, 4)) for name in names], axis=1)
        conf = np.ones((rows, len(names)))
        if self._has("confidences"):
            conf = np.stack([self._array(f"/confidences/{name}", (rows,)) for name in names], axis=1)
        if not np.isfinite(conf).all() or conf.max(initial=0) > 1 + 1e-6:
            raise DataError("confidences do not lie in [0, 1]", where=f"{self.path}:/confidences")
        return transforms.reshape(rows, 2, len(joints), 4, 4), conf.reshape(rows, 2, len(joints))

    def camera_pose(self) -> Floats:
        """Read T_world_camera ``(T, 4, 4)``."""
        pose = self._array("/transforms/camera", None)
        if pose.ndim != 3 or pose.shape[1:] != (4, 4) or not len(pose):
            raise DataError(f"has shape {pose.shape}", where=f"{self.path}:/transforms/camera", allowed=["(T, 4, 4)"])
        check_rigid(pose, f"{self.path}:/transforms/camera")
        return pose

    def intrinsics(self) -> Floats | None:
        """Read the camera matrix (3, 3) of the video's own size, if it is stored."""
        return self._array("/camera/intrinsic", (3, 3)) if self._has("camera/intrinsic") else None

    def words(self) -> Words:
        """Read instruction and labels, under newer or older attribute names.

        A reversible task has two descriptions; older files do not say which one holds, so none is taken there.
        """
        with _damage(f"{self.path}: attributes"):
            attributes = dict(self._file.attrs.items())
        values = {name: _text(value) for name, value in attributes.items()}
        first = values.get("llm_description", values.get("description", ""))
        second = values.get("llm_description2", values.get("description2", ""))
        reversible = values.get("llm_type", values.get("type", "")) == "reversible"
        which = values.get("which_llm_description", "" if reversible and second else "1")
        instruction = {"1": first, "2": second}.get(which, "")
        objects = _list(attributes.get("llm_objects", attributes.get("object")))
        labels: dict[str, Any] = {
            "category": values.get("task") or self.path.resolve().parent.name,
            "scene": values.get("environment", ""),
            "objects": objects,
            "session": values.get("session_name", ""),
        }
        return Words(instruction, {name: value for name, value in labels.items() if value})

    def _has(self, name: str) -> bool:
        with _damage(f"{self.path}:{name}"):
            return name in self._file

    def _array(self, name: str, shape: tuple[int, ...] | None) -> Floats:
        where = f"{self.path}:{name}"
        if not self._has(name):
            raise DataError("is missing", where=where)
        with _damage(where):
            if self._file[name].nbytes > MAX_ARRAY_BYTES:
                raise ValueError(f"{self._file[name].nbytes} bytes in one array; at most {MAX_ARRAY_BYTES} are read")
            values = np.asarray(self._file[name][()], np.float64)
        if shape is not None and values.shape != shape:
            raise DataError(f"has shape {values.shape}, expected is {shape}", where=where)
        return values


@contextmanager
def _damage(where: str) -> Iterator[None]:
    """Turn what h5py raises for a damaged file into one line."""
    try:
        yield
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, MemoryError) as error:
        raise DataError(f"is no readable HDF5, perhaps truncated: {one_line(error)}", where=where) from None


def _text(value: Any) -> str:
    """Text of an attribute that may be bytes, a number, or an array of one."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size == 1 else ", ".join(_text(item) for item in value.ravel())
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list | tuple | np.ndarray) and np.size(value) != 1:
        return [_text(item) for item in np.ravel(np.asarray(value))]
    return [word.strip() for word in _text(value).split(",") if word.strip()]
