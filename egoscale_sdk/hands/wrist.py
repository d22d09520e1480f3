"""The canonical 21 keypoints and the wrist frame that they define."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.geometry import Floats, inverse_pose, make_pose, transform_points
from egoscale_sdk.specs import Side

FINGERS: dict[str, tuple[int, int, int, int]] = {
    "thumb": (1, 2, 3, 4),
    "index": (5, 6, 7, 8),
    "middle": (9, 10, 11, 12),
    "ring": (13, 14, 15, 16),
    "pinky": (17, 18, 19, 20),
}
_PARTS = dict.fromkeys(FINGERS, ("mcp", "pip", "dip", "tip")) | {"thumb": ("cmc", "mcp", "ip", "tip")}
KEYPOINTS: tuple[str, ...] = ("wrist", *(f"{finger}_{part}" for finger in FINGERS for part in _PARTS[finger]))
"""Names of the canonical keypoints 0..20."""

KEYPOINT_COLUMNS: tuple[str, ...] = tuple(f"p{index:02d}_{axis}" for index in range(21) for axis in "xyz")
"""Columns of the hand space of people: keypoints in the canonical wrist frame, metres."""

BONES: tuple[tuple[int, int], ...] = tuple(
    bone for chain in FINGERS.values() for bone in zip((0, *chain[:-1]), chain, strict=True)
)
"""Pairs of keypoints (nearer to the wrist first) joined by a bone, or by the palm."""

_MIN_SINE = 0.1
_MIN_LENGTH = 1e-6


def wrist_frame(keypoints: ArrayLike, side: Side) -> tuple[Floats, NDArray[np.bool_]]:
    """Build the canonical wrist frame from keypoints p.

    Origin ``p0``; ``z = unit(p9 - p0)`` to the middle knuckle; ``x = unit((p5 - p17) x z)`` on the right hand and
    ``unit((p17 - p5) x z)`` on the left, so that +x leaves the palm; ``y = z x x``, so that the thumb is on +y of
    a right hand and on -y of a left one. The frame of mirrored keypoints is ``M T M`` of the other side.

    Args:
        keypoints: ``(*b, 21, 3)`` canonical order, metres, any rigid frame; NaN allowed.
        side: Which hand.

    Returns:
        ``T (*b, 4, 4)``, the wrist in the keypoints' frame, and ``valid (*b)``. Where the palm is degenerate
        (missing, collapsed, wrist and knuckles on a line) valid is False and T the identity.
    """
    p = np.asarray(keypoints)
    p0, p5, p9, p17 = (p[..., index, :] for index in (0, 5, 9, 17))
    z, long = _direction(p9 - p0)
    across, wide = _direction(p5 - p17 if side == "right" else p17 - p5)
    normal = np.cross(across, z)
    x, _ = _direction(normal)
    R = np.stack([x, np.cross(z, x), z], axis=-1)
    valid = long & wide & np.isfinite(p0).all(-1) & (np.linalg.norm(normal, axis=-1) > _MIN_SINE)
    return np.where(valid[..., None, None], make_pose(R, p0), np.eye(4, dtype=R.dtype)), valid


def keypoints_in_wrist(keypoints: ArrayLike, wrist: ArrayLike) -> Floats:
    """Express keypoints ``(*b, 21, 3)`` in the wrist frame ``(*b, 4, 4)`` (given in the keypoints' frame)."""
    return transform_points(inverse_pose(wrist), keypoints)


def _direction(v: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Unit vectors, zero where ``v (*b, 3)`` is too short or not finite, and where they are good."""
    finite = np.isfinite(v).all(axis=-1, keepdims=True)
    v = np.where(finite, v, 0)
    norm = np.linalg.norm(v, axis=-1, keepdims=True)
    good = norm > _MIN_LENGTH
    return np.where(good, v / np.where(good, norm, 1), 0), good[..., 0]
