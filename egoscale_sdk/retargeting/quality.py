"""How well a robot's hand follows a person's: plain geometry of the points that correspond, whatever found them.

Points come finger by finger, the thumb first: ``(T, frames, 3)`` from the palm to the tip, in canonical wrist axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.specs import FingerSpec, HandSpec

Floats = NDArray[np.float64]
Points = list[Floats]

NEAR_M = 0.020
"""Thumb and finger are about to touch: here their distance should be the person's."""
TOUCH_M = 0.010
"""Below it they pinch."""
APART_M = 0.030
"""Above it they do not."""


def thumb_first(hand: HandSpec) -> list[FingerSpec]:
    """Return the fingers of a hand, the thumb first."""
    return sorted(hand.fingers, key=lambda finger: finger.role != "thumb")


def followed_points(hand: HandSpec, keypoints: Floats) -> Points:
    """Return the person's points that the robot's frames follow, of keypoints ``(T, 21, 3)``."""
    return [
        np.stack([keypoints[:, list(frame.keypoints)].mean(axis=1) for frame in finger.frames], axis=1)
        for finger in thumb_first(hand)
    ]


def size_ratio(robot: Points, person: Points) -> float:
    """Return the robot's way from the wrist along a finger to its tip over the person's, mean of all but the thumb."""
    ratios = [_way_m(r) / _way_m(p) for r, p in zip(robot[1:], person[1:], strict=True)]
    return float(np.mean(ratios)) if ratios else 1.0


def tip_errors_m(robot: Points, person: Points, scale: float) -> list[Floats]:
    """Return per finger the distances ``(T,)`` of its tip to the person's, the person scaled about the wrist."""
    return [np.linalg.norm(r[:, -1] - scale * p[:, -1], axis=-1) for r, p in zip(robot, person, strict=True)]


def bone_angles_rad(robot: Points, person: Points) -> list[Floats]:
    """Return per finger the angles ``(T, frames - 1)`` between its segments and the person's."""
    return [_angle(np.diff(r, axis=1), np.diff(p, axis=1)) for r, p in zip(robot, person, strict=True)]


def thumb_gaps_m(points: Points) -> Floats:
    """Return the distances ``(T, fingers - 1)`` of the thumb's tip to every other."""
    gaps = [np.linalg.norm(finger[:, -1] - points[0][:, -1], axis=-1) for finger in points[1:]]
    return np.stack(gaps, axis=1) if gaps else np.zeros((len(points[0]), 0))


def jitter_rms(joints: Floats, fps: float) -> float | None:
    """Return the root mean square second difference of joints ``(T, J)``, rad/s2; None below three frames."""
    acceleration = np.diff(joints, n=2, axis=0) * fps**2
    return float(np.sqrt(np.square(acceleration).mean())) if acceleration.size else None


def _way_m(points: Floats) -> float:
    """Median length of the way from the wrist along points ``(T, frames, 3)``."""
    steps = np.diff(points, axis=1, prepend=np.zeros((len(points), 1, 3)))
    return float(np.median(np.linalg.norm(steps, axis=-1).sum(axis=1)))


def _angle(a: Floats, b: Floats) -> Floats:
    angle: Floats = np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(axis=-1))
    return angle
