"""Is this a human hand in metres? Checks that find wrong units, wrong sides and left-handed axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats
from egoscale_sdk.hands.wrist import BONES, keypoints_in_wrist, wrist_frame
from egoscale_sdk.specs import Side

PALM_M = (0.04, 0.14)
"""Plausible lengths from the wrist to the middle knuckle, metres: small children to large men, any tracker."""

MAX_BONE_M = 0.18
_UNITS = {1.0: "metres", 1e2: "centimetres", 1e3: "millimetres"}
_BACKWARDS_M = 0.015  # a flat hand may bend back by about 10 degrees over 100 mm of finger


def plausible_hands(keypoints: ArrayLike) -> NDArray[np.bool_]:
    """Tell, frame by frame, whether keypoints ``(*b, 21, 3)`` can be a hand in metres.

    They cannot where a value is not finite, where the hand is absent (all zero), or where the palm or a bone is of
    an impossible length. The result is ``(*b)`` bool.
    """
    p = np.asarray(keypoints)
    finite = np.isfinite(p).all(axis=(-2, -1))
    p = np.where(finite[..., None, None], p, 0)
    near, far = np.array(BONES).T
    longest = np.linalg.norm(p[..., far, :] - p[..., near, :], axis=-1).max(axis=-1)
    palm = _palm_length(p)
    good: NDArray[np.bool_] = finite & (palm >= PALM_M[0]) & (palm <= PALM_M[1]) & (longest <= MAX_BONE_M)
    return good


def check_hand_scale(keypoints: ArrayLike, where: str = "") -> None:
    """Refuse a recording whose hands are not in metres.

    Args:
        keypoints: ``(*b, 21, 3)``; frames without a hand (NaN or all zero) are passed over.
        where: File and field, for the message.

    Raises:
        DataError: the median length of the palm is impossible in metres; says which unit would make it possible.
    """
    palm = _palm_length(np.asarray(keypoints, np.float64))
    palm = palm[np.isfinite(palm) & (palm > 0)]
    if palm.size == 0 or PALM_M[0] <= np.median(palm) <= PALM_M[1]:
        return
    length = float(np.median(palm))
    fits = [unit for factor, unit in _UNITS.items() if PALM_M[0] <= length / factor <= PALM_M[1]]
    hint = f"the values look like {fits[0]}: divide them" if fits else "normalised image coordinates will not do"
    what = f"wrist to middle knuckle is {length:.4g} m (median), which is no human hand"
    raise DataError(what, where=where, allowed=[f"{PALM_M[0]} to {PALM_M[1]} m"], hint=hint)


def check_chirality(keypoints: ArrayLike, side: Side, where: str = "") -> None:
    """Refuse a recording whose fingers bend backwards: a swapped side or left-handed axes.

    Fingers curl to the palm, +x of the wrist frame. A recording of flat hands passes.

    Args:
        keypoints: ``(*b, 21, 3)`` metres; frames without a plausible hand are passed over.
        side: Which hand it is said to be.
        where: File and field, for the message.

    Raises:
        DataError: the fingertips lie behind the knuckles by more than 15 mm (median).
    """
    frame, valid = wrist_frame(keypoints, side)
    good = valid & plausible_hands(keypoints)
    p = keypoints_in_wrist(np.asarray(keypoints)[good], frame[good])
    if not good.any() or float(np.median(_curl(p))) > -_BACKWARDS_M:
        return
    other = "right" if side == "left" else "left"
    hint = f"the hand is a {other} one, or the axes are left-handed (as in Unity): negate one axis"
    raise DataError(f"the fingers of the {side} hand bend backwards", where=where, hint=hint)


def _curl(p: Floats) -> Floats:
    """How far the tips ``(*b, 21, 3)`` are in front of their knuckles, mean over four fingers, metres."""
    curl: Floats = (p[..., (8, 12, 16, 20), 0] - p[..., (5, 9, 13, 17), 0]).mean(axis=-1)
    return curl


def _palm_length(p: Floats) -> Floats:
    length: Floats = np.linalg.norm(p[..., 9, :] - p[..., 0, :], axis=-1)
    return length
