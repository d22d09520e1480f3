"""Whether a left hand is the mirror image of a right one, as ``mirror_signs`` claims."""

from __future__ import annotations

import numpy as np

from egoscale_sdk.specs import HandSpec
from egoscale_sdk.testing.numpy_body import Array, configurations, matrix
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

FLIP = np.array([1.0, -1.0, 1.0])  # the plane y = 0 of the canonical wrist frame
COUNT = 6
CLEARLY_M = 1e-4


class Mirror:
    """Finger frames of both hands, each in its own canonical wrist frame, at mirrored configurations.

    Args:
        left: The left hand.
        right: The right hand; its ``mirror_signs`` are judged.
        left_fk: The kit's kinematics of the left hand.
        right_fk: The kit's kinematics of the right hand.
    """

    def __init__(self, left: HandSpec, right: HandSpec, left_fk: NumpyKinematics, right_fk: NumpyKinematics) -> None:
        self._left, self._left_fk = left, left_fk
        self._pairs = _pairs(left, right)
        self._q = configurations(right.actuated, COUNT)
        self._names = [joint.name for joint in right.actuated]
        self._signs = np.array(right.mirror_signs)
        self._wanted = FLIP * _points(right, right_fk, [pair[1] for pair in self._pairs], self._q)

    @property
    def frames(self) -> list[str]:
        """The left hand's frames that have a counterpart."""
        return [pair[0] for pair in self._pairs]

    def farthest(self) -> tuple[str, float]:
        """Return the left frame that is farthest from the mirror image, and how far, metres."""
        off = self._off(self._signs).max(axis=0)
        return self.frames[int(off.argmax())], float(off.max())

    def better_flipped(self) -> str | None:
        """Return the right hand's joint whose other sign makes the better mirror image, if there is one."""
        stated = self._off(self._signs).mean()
        for index, name in enumerate(self._names):
            signs = self._signs.copy()
            signs[index] *= -1
            if self._off(signs).mean() < stated - CLEARLY_M:
                return name
        return None

    def _off(self, signs: Array) -> Array:
        """Distance of each left frame to the mirrored right one, ``(N, frames)``."""
        found = _points(self._left, self._left_fk, self.frames, signs * self._q)
        off: Array = np.linalg.norm(found - self._wanted, axis=-1)
        return off


def _pairs(left: HandSpec, right: HandSpec) -> list[tuple[str, str]]:
    """Frames of both hands that follow the same keypoints of the same finger."""
    mine = {(f.role, target.keypoints): target.frame for f in left.fingers for target in f.frames}
    other = {(f.role, target.keypoints): target.frame for f in right.fingers for target in f.frames}
    return [(mine[key], other[key]) for key in mine if key in other]


def _points(hand: HandSpec, fk: NumpyKinematics, frames: list[str], q: Array) -> Array:
    """Origins of frames in the hand's wrist frame, ``(N, frames, 3)``, for ``q (N, J)``."""
    T_wrist_root = np.linalg.inv(matrix(hand.T_root_wrist))
    names = [joint.name for joint in hand.actuated]
    found = [fk.poses(dict(zip(names, one.tolist(), strict=True))) for one in q]
    return np.array([[(T_wrist_root @ poses[frame])[:3, 3] for frame in frames] for poses in found]).reshape(
        len(q), -1, 3
    )
