"""Shapes of links: primitives and meshes of a URDF, as the points that they reach in the link's frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import transform_points
from egoscale_sdk.scaffold.meshes import is_there, mesh_points

_LARGEST_M = 1.0
_ROUND = 16  # points around a cylinder: its extent within 2 percent
Kind = Literal["box", "cylinder", "capsule", "sphere", "mesh"]


@dataclass(frozen=True)
class Shape:
    """One shape of a link.

    Attributes:
        kind: What it is.
        pose: ``T_link_shape (4, 4)``.
        size: Half extents of a box; radius and whole length along z of a cylinder or capsule (a capsule's without its
            caps); radius of a sphere; scale of a mesh.
        mesh: The file that a mesh names, there or not.
    """

    kind: Kind
    pose: NDArray[np.float64]
    size: tuple[float, ...]
    mesh: Path | None = None

    def points(self) -> NDArray[np.float64]:
        """Return points ``(N, 3)`` that span the shape, in the link's frame, metres.

        There are none where a mesh is not there, or the shape reaches farther than 1 m: it is in another unit.
        """
        points = np.asarray(transform_points(self.pose, self._local()), np.float64)
        return points if np.abs(points).max(initial=0) < _LARGEST_M else points[:0]

    def lost(self) -> str:
        """Why a mesh gives no points, with the path that was tried; empty where it does."""
        if self.mesh is None or len(self.points()):
            return ""
        tried = "/".join(self.mesh.parts[-3:])
        if not is_there(self.mesh):
            return f"mesh {tried} is not there"
        if mesh_points(self.mesh) is None:
            return f"mesh {tried} is no binary STL"
        return f"mesh {tried} reaches farther than {_LARGEST_M:g} m: it lacks a scale"

    def _local(self) -> NDArray[np.float64]:
        if self.kind == "mesh":
            corners = None if self.mesh is None else mesh_points(self.mesh)
            return np.zeros((0, 3)) if corners is None else corners * self.size
        if self.kind == "box":
            return np.array(list(product((-1.0, 1.0), repeat=3))) * self.size
        radius = self.size[0]
        half = self.size[1] / 2 if len(self.size) > 1 else 0.0
        if self.kind == "cylinder":
            angles = np.linspace(0, 2 * np.pi, _ROUND, endpoint=False)
            ring = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.zeros(_ROUND)], axis=-1)
            return _both_ends(ring, half)
        ball = radius * np.concatenate([np.eye(3), -np.eye(3)])
        return _both_ends(ball, half)


def _both_ends(points: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    along = np.array([0.0, 0.0, half])
    return np.concatenate([points - along, points + along])
