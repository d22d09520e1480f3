"""What a person shows to a retargeter: canonical gestures and short motions, as 21 keypoints in the wrist frame.

They are joint angles of the person's hand of the simulation (an adult's proportions), put through the kit's own
kinematics. In a pinch the tip of the thumb and the tip of the finger lie less than 3 mm apart.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.sim.person import KEYPOINTS, person_hand
from egoscale_sdk.specs import Side
from egoscale_sdk.specs.hand import FingerRole
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

Floats = NDArray[np.float64]

FPS = 30
FRAMES = 40
"""Length of every clip of `CLIPS`."""

_CLOSING = 18  # frames from one gesture to another
_MIRROR = np.array([1.0, -1.0, 1.0])

# Degrees: thumb cmc_aa, cmc_fe, mcp_fe, mcp_aa, ip; then mcp_fe, mcp_aa, pip, dip of index, middle, ring and pinky.
_Angles = tuple[tuple[int, ...], ...]
_CURLED = (80, 0, 95, 55)
_GESTURES: dict[str, _Angles] = {
    "open": ((-8, -6, 0, 0, 3), (4, -4, 7, 4), (4, 0, 7, 4), (4, 4, 7, 4), (4, 8, 7, 4)),
    "fist": ((33, 5, 47, 2, 62), _CURLED, _CURLED, _CURLED, _CURLED),
    "point": ((43, 16, 41, -1, 51), (0, 0, 4, 2), _CURLED, _CURLED, _CURLED),
    "pinch_index": ((30, 13, 19, 1, 36), (57, 1, 49, 23), (18, 0, 22, 12), (18, 2, 22, 12), (18, 4, 22, 12)),
    "pinch_middle": ((48, 22, 22, -2, 35), (18, -3, 22, 12), (60, -5, 53, 25), (18, 2, 22, 12), (18, 4, 22, 12)),
    "pinch_ring": ((52, 23, 27, -4, 39), (18, -3, 22, 12), (18, 0, 22, 12), (57, -18, 49, 23), (30, -4, 40, 20)),
    "pinch_pinky": ((58, 43, 22, -13, 23), (18, -3, 22, 12), (18, 0, 22, 12), (18, 2, 22, 12), (59, -18, 21, 7)),
    "thumbs_up": ((-10, -28, -8, 0, -12), _CURLED, _CURLED, _CURLED, _CURLED),
}
_GRASP = ((38, 19, 20, 0, 31), (58, -2, 48, 23), (58, -2, 51, 26), (46, 0, 46, 25), (42, 0, 46, 25))

GESTURES: tuple[str, ...] = tuple(_GESTURES)
PINCHES: dict[str, FingerRole] = {
    "pinch_index": "index",
    "pinch_middle": "middle",
    "pinch_ring": "ring",
    "pinch_pinky": "pinky",
}
"""Which finger meets the thumb, by gesture."""

CLIPS: tuple[str, ...] = ("grasp", "fist", *PINCHES, "wave", "random")
"""Motions of `FRAMES` frames: a grasp, a fist, each pinch (all closed and opened again), a wave, something random.

The grasp brings the thumb between index and middle finger; while it closes, the distance of the thumb to their middle
and that of the fingertips to the wrist fall all the way.
"""

PICK = "pick"
"""A longer motion, not the same backwards: a grasp closes at once, loosens, closes again, and opens slowly."""

_PICK = ((0.0, 1.0, 18), (1.0, 0.4, 13), (0.4, 0.9, 18), (0.9, 0.0, 27))  # share of the grasp: from, to, frames


@cache
def gesture(name: str, side: Side = "right", scale: float = 1.0) -> Floats:
    """Return a gesture's keypoints ``(21, 3)``, metres, in the wrist frame; ``scale`` multiplies every length."""
    keypoints: Floats = _keypoints(angles_rad(name)[None], side, scale)[0]
    return keypoints


@cache
def clip(name: str, side: Side = "right", scale: float = 1.0) -> Floats:
    """Return a motion ``(FRAMES, 21, 3)`` (`PICK`: 77 frames) at 30 Hz, metres, in the wrist frame."""
    return _keypoints(clip_angles_rad(name), side, scale)


@cache
def slow_clip(name: str, side: Side = "right", scale: float = 1.0, times: int = 2) -> Floats:
    """Return the same motion so many times slower, ``((T - 1) times + 1, 21, 3)``; the frames of `clip` are in it."""
    angles = clip_angles_rad(name)
    frames = np.arange(len(angles))
    between = np.linspace(0, frames[-1], frames[-1] * times + 1)
    slow = np.stack([np.interp(between, frames, joint) for joint in angles.T], axis=-1)
    return _keypoints(slow, side, scale)


@cache
def long_clip(side: Side, times: int) -> Floats:
    """Return `PICK` again and again without a pause, ``(76 times + 1, 21, 3)``."""
    once = clip(PICK, side)
    return np.concatenate([*[once[:-1]] * times, once[-1:]])


def gestures(side: Side = "right", scale: float = 1.0) -> Floats:
    """Return all gestures, ``(8, 21, 3)``, in the order of `GESTURES`."""
    return np.stack([gesture(name, side, scale) for name in GESTURES])


def clips(side: Side = "right", scale: float = 1.0) -> Floats:
    """Return all motions, ``(8, FRAMES, 21, 3)``, in the order of `CLIPS`."""
    return np.stack([clip(name, side, scale) for name in CLIPS])


def angles_rad(name: str) -> Floats:
    """Return the joints ``(21,)`` of the person's hand in a gesture or in the grasp."""
    posture = _GRASP if name == "grasp" else _GESTURES[name]
    return np.deg2rad([float(angle) for finger in posture for angle in finger])


@cache
def clip_angles_rad(name: str) -> Floats:
    """Return the joints ``(FRAMES, 21)`` (`PICK`: 77 frames) of the person's hand in a motion."""
    if name == "wave":
        return _wave()
    if name == "random":
        return _random()
    if name == PICK:
        return _pick()
    return _there_and_back(angles_rad("open"), angles_rad(name))


def _there_and_back(start: Floats, end: Floats) -> Floats:
    share = _minimum_jerk(np.arange(FRAMES) / (_CLOSING - 1))
    share = np.minimum(share, share[::-1])[:, None]
    return (1 - share) * start + share * end


def _pick() -> Floats:
    start, end = angles_rad("open"), angles_rad("grasp")
    parts = [a + (b - a) * _minimum_jerk(np.arange(frames) / frames) for a, b, frames in _PICK]
    share = np.concatenate([*parts, [0.0]])[:, None]
    return (1 - share) * start + share * end


def _wave() -> Floats:
    """From the open hand the fingers bend one after the other and come back."""
    angles = np.tile(angles_rad("open"), (FRAMES, 1))
    for finger in range(4):
        phase = np.clip((np.arange(FRAMES) - 4 * finger) / (FRAMES - 13), 0, 1)
        bend = np.deg2rad([55.0, 0.0, 60.0, 30.0])
        angles[:, 5 + 4 * finger : 9 + 4 * finger] += (0.5 - 0.5 * np.cos(2 * np.pi * phase))[:, None] * bend
    return angles


def _random() -> Floats:
    """Between four random postures inside the middle of the ranges of motion."""
    joints = person_hand().joints
    lower, upper = (np.array([getattr(joint, end) for joint in joints], float) for end in ("lower", "upper"))
    knots = lower + (upper - lower) * np.random.default_rng(7).uniform(0.2, 0.75, (4, len(joints)))
    time = np.linspace(0, 1, FRAMES // 3 + 1)[:-1]
    parts = [(1 - s) * a + s * b for a, b in pairwise(knots) for s in [_minimum_jerk(time)[:, None]]]
    return np.concatenate([*parts, knots[-1:]])[:FRAMES]


def _minimum_jerk(time: Floats) -> Floats:
    u = np.clip(time, 0, 1)
    share: Floats = u**3 * (10 - 15 * u + 6 * u * u)
    return share


def _keypoints(angles: Floats, side: Side, scale: float) -> Floats:
    """Keypoints ``(T, 21, 3)`` of joints ``(T, 21)``; read-only, since they are cached."""
    kinematics, names = _person()
    poses = [kinematics.poses(dict(zip(names, row, strict=True))) for row in angles]
    points = np.array([[pose[name][:3, 3] for name in KEYPOINTS] for pose in poses]) * scale
    points = points * _MIRROR if side == "left" else points
    points.flags.writeable = False
    return points


@cache
def _person() -> tuple[NumpyKinematics, tuple[str, ...]]:
    hand = person_hand()
    assert hand.tree is not None
    return NumpyKinematics(hand.tree, hand.joints, hand.root), tuple(joint.name for joint in hand.joints)
