"""A person's hand of which something is missing: each finger, then each keypoint, as NaN or without confidence."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.hands import FINGERS, KEYPOINTS
from egoscale_sdk.specs import HandSpec, Side
from egoscale_sdk.testing import gestures
from egoscale_sdk.testing.robot_hand import Floats, Shown, show
from egoscale_sdk.testing.subject import Subject

How = Literal["NaN", "of no confidence"]

ELSEWHERE_M = (0.3, -0.2, 0.4)  # not at the origin, where a zero that stands for nothing would be the wrist
PALM = (0, 5, 9, 13, 17)
MOST = 17  # of 21 keypoints: a hand without its thumb

HOLES: dict[str, tuple[int, ...]] = {**FINGERS, **{name: (index,) for index, name in enumerate(KEYPOINTS)}}
"""Keypoints that are missing, by name."""


def missing() -> NDArray[np.bool_]:
    """Which keypoints are missing, ``(26, 21)``, in the order of `HOLES`."""
    return np.array([np.isin(np.arange(len(KEYPOINTS)), keypoints) for keypoints in HOLES.values()])


def whole_hand(side: Side) -> Floats:
    """The hand before anything of it goes missing, one frame of a wave, ``(1, 21, 3)`` metres."""
    hand: Floats = gestures.clip("wave", side)[14:15] + ELSEWHERE_M
    return hand


@lru_cache(maxsize=8)
def shown_holes(subject: Subject, side: Side, how: How) -> Shown:
    """Show the hand with every hole, each as a clip of one frame: joints ``(26, 1, J)``."""
    hand, holes = whole_hand(side), missing()[:, None]
    if how == "NaN":
        return show(subject, side, np.where(holes[..., None], np.nan, hand), np.ones(holes.shape))
    return show(subject, side, np.broadcast_to(hand, (*holes.shape, 3)), 1.0 - holes)


def determined(hand: HandSpec) -> NDArray[np.bool_]:
    """Which holes ``(26,)`` leave enough: the palm and most keypoints; for a gripper thumb, index and middle too."""
    holes = missing()
    gripper = [keypoint for role in ("thumb", "index", "middle") for keypoint in FINGERS[role]]
    needed = [*PALM, *(gripper if hand.aperture else ())]
    enough: NDArray[np.bool_] = ~holes[:, needed].any(axis=-1) & ((~holes).sum(axis=-1) >= MOST)
    return enough
