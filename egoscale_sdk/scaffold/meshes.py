"""Meshes of a URDF, distrusting it: no path leads out of the package, and only plain triangle files are read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import SpecError

MAX_MESH_BYTES = 64 * 2**20
MAX_POINTS = 4000
_HEADER_BYTES, _TRIANGLE_BYTES = 84, 50


def package_root(urdf: Path) -> Path:
    """Return the folder that meshes must stay in: the nearest with a ``package.xml``, else the one above the URDF's."""
    folder = urdf.resolve().parent
    return next((parent for parent in (folder, *folder.parents) if (parent / "package.xml").is_file()), folder.parent)


def mesh_file(name: str, urdf: Path, where: str) -> Path:
    """Return the file that a mesh element names, whether it is there or not.

    ``package://name/path`` counts from the package's root, any other path from the URDF's own folder.

    Raises:
        SpecError: the path is absolute, of another scheme, or climbs out of the package, also by a symbolic link.
    """
    root = package_root(urdf)
    scheme, _, rest = name.partition("://") if "://" in name else ("", "", name)
    if scheme not in ("", "package"):
        raise SpecError(f"mesh {name!r} is not a file of the package", where=where, allowed=["package://", "a path"])
    if rest.startswith("/") or "\\" in rest or "\0" in rest or rest[1:2] == ":":
        raise SpecError(f"mesh path {name!r} is not relative to the package", where=where)
    start = PurePosixPath() if scheme else PurePosixPath(urdf.resolve().parent.relative_to(root))
    inside = _inside(start, PurePosixPath(*PurePosixPath(rest).parts[1:]) if scheme else PurePosixPath(rest))
    if inside is None:
        raise SpecError(f"mesh path {name!r} climbs out of the package", where=where)
    file = root.joinpath(*inside)
    try:
        if not file.resolve().is_relative_to(root):
            raise SpecError(f"mesh path {name!r} climbs out of the package by a link", where=where)
    except (OSError, RuntimeError):  # a name too long for this system, or links in a circle: it is not there
        pass
    return file


def is_there(file: Path) -> bool:
    """Whether a mesh is a file that can be opened; no pipe, no device, no name that this system cannot hold."""
    try:
        return file.is_file()
    except (OSError, RuntimeError):
        return False


@lru_cache(maxsize=256)
def mesh_points(file: Path) -> NDArray[np.float64] | None:
    """Return corners ``(N, 3)`` of a binary STL in its own unit, evenly some of many, and the outermost.

    None for any other or a damaged file.
    """
    if not is_there(file):
        return None
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_MESH_BYTES + 1)
    except OSError:
        return None
    if not _HEADER_BYTES < len(data) <= MAX_MESH_BYTES:
        return None
    count = int.from_bytes(data[80:84], "little")
    if len(data) != _HEADER_BYTES + count * _TRIANGLE_BYTES:
        return None
    rows = np.frombuffer(data, np.uint8, offset=_HEADER_BYTES).reshape(count, _TRIANGLE_BYTES)
    corners = rows[:, 12:48].copy().view("<f4").astype(np.float64).reshape(-1, 3)  # after the normal
    if not len(corners) or not np.isfinite(corners).all():
        return None
    outermost = np.concatenate([corners.argmin(0), corners.argmax(0)])
    return np.concatenate([corners[:: 1 + len(corners) // MAX_POINTS], corners[outermost]])


def _inside(start: PurePosixPath, path: PurePosixPath) -> list[str] | None:
    """Parts of ``start / path`` without dots, or None where it steps above the root on its way."""
    parts = list(start.parts)
    for part in path.parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    return parts
