"""How a hand would hold a ball between its fingertips: the posture in which they come together, found in numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from egoscale_sdk.specs import HandSpec
from egoscale_sdk.testing.check import NotApplicable
from egoscale_sdk.testing.links import above
from egoscale_sdk.testing.numpy_body import Array, configurations, matrix
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

_ROUNDS, _STEP, _DAMPING, _EASE_M = 12, 1e-4, 1e-5, 2e-3
_FINGER_M, _RADII_M = 0.01, (0.015, 0.03)


@dataclass(frozen=True)
class Grip:
    """A closed posture.

    Attributes:
        q: Hand vector ``(J,)`` in which the fingertips are as near to each other as the joints allow.
        center_m: Where they meet, in the canonical wrist frame, ``(3,)``.
        radius_m: Of a ball there that the fingers cannot pass by.
    """

    q: Array
    center_m: Array
    radius_m: float


def grip(hand: HandSpec, fk: NumpyKinematics, start: Array) -> Grip:
    """Bring the tips of all fingers to that of the thumb (the first finger, where none is one), from ``start (J,)``.

    Raises:
        NotApplicable: the hand has fewer than two fingers.
    """
    fingers = sorted(hand.fingers, key=lambda finger: finger.role != "thumb")
    if len(fingers) < 2:
        raise NotApplicable(f"the {hand.side} hand has no two fingers with frames")
    tips = [finger.frames[-1].frame for finger in fingers]
    names = [joint.name for joint in hand.actuated]

    def points(q: Array) -> Array:
        poses = fk.poses(dict(zip(names, q.tolist(), strict=True)))
        return np.array([poses[tip][:3, 3] for tip in tips])

    def apart(q: Array) -> Array:
        found = points(q)
        return np.concatenate([(found[1:] - found[0]).ravel(), _EASE_M * (q - start)])

    lower, upper = configurations(hand.actuated, 2)
    found = [_least(apart, begin, lower, upper) for begin in (start, (lower + upper) / 2)]
    q = min(found, key=lambda q: float(np.square(apart(q)).sum()))
    meeting = points(q)
    center = (meeting[0] + meeting[1:].mean(axis=0)) / 2
    beside = float(np.linalg.norm(meeting - center, axis=-1).mean())
    T_wrist_root = np.linalg.inv(matrix(hand.T_root_wrist))
    return Grip(q, T_wrist_root[:3, :3] @ center + T_wrist_root[:3, 3], float(np.clip(beside + _FINGER_M, *_RADII_M)))


def links_of_fingers(hand: HandSpec) -> dict[str, frozenset[str]]:
    """Return by role the links of every finger: from its first frame to its tip, and those that only it hangs on."""
    ways = {finger.role: inwards(hand, finger.frames[-1].frame) for finger in hand.fingers}
    found = {}
    for finger in hand.fingers:
        way = ways[finger.role]
        others = {link for role, links in ways.items() if role != finger.role for link in links}
        first = finger.frames[0].frame
        named = way[: way.index(first) + 1] if first in way else [finger.frames[-1].frame]
        found[str(finger.role)] = frozenset({*named, *way} - (others - set(named)))
    return found


def inwards(hand: HandSpec, link: str) -> list[str]:
    """Return a link and all that it hangs on, the root of the tree last."""
    assert hand.tree is not None
    return [*(joint.child for joint in reversed(above(hand.tree, link))), hand.tree.root]


def _solve(J: Array, downhill: Array) -> Array:
    step: Array = np.linalg.solve(J.T @ J + _DAMPING * np.eye(J.shape[1]), downhill).astype(np.float64)
    return step


def _least(residual: Callable[[Array], Array], start: Array, lower: Array, upper: Array) -> Array:
    """Minimise squares from ``start`` by damped Gauss-Newton steps within limits; slopes by differences."""
    q, value = start, residual(start)
    for _ in range(_ROUNDS):
        J = np.stack([residual(q + step) - value for step in _STEP * np.eye(len(q))], axis=1) / _STEP
        downhill = -J.T @ value
        free = ~((q <= lower) & (downhill < 0) | (q >= upper) & (downhill > 0))  # the others stay at their limits
        step = np.zeros_like(q)
        step[free] = _solve(J[:, free], downhill[free])
        for share in (1.0, 0.3, 0.1):
            tried = np.clip(q + share * step, lower, upper)
            if (after := residual(tried)) @ after < value @ value:
                q, value = tried, after
                break
        else:
            return q
    return q
