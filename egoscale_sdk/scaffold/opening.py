"""The open pose of a hand with fingers: stretched out, the thumb swung to where it can close against the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.posture import Motion, Pose, Posture

_CLOSING = tuple(step / 8 for step in range(9))
_STEPS = 9
_PRICE_M = 0.006  # per rad: a swing must bring thumb and finger nearer by more than this


def open_pose(posture: Posture, motions: Sequence[Motion], order: Sequence[int]) -> tuple[Pose, Guess]:
    """Swing the thumb's joints that do not bend it, so that it comes nearest to all other tips as all close.

    Args:
        posture: The hand's fingers.
        motions: How each closes.
        order: Fingers in the order thumb, index, ..

    Returns:
        Every driven joint's value in rad or m, and the guess about it.
    """
    thumb = order[0]
    targets = [_path(posture, motions, number, {}) for number in order[1:]]
    bent = motions[thumb].bend
    swings = dict.fromkeys(
        posture.leader(joint)
        for joint in posture.fingers[thumb].chain.movable
        if joint.kind != "prismatic" and posture.leader(joint) not in bent
    )
    chosen: Pose = {name: posture.stretched[name] for name in swings}
    for _ in range(2 if swings else 0):
        for name in swings:
            grid = [posture.stretched[name], *np.linspace(*posture.range_of(name), _STEPS)]
            costs = [_cost(posture, motions, thumb, {**chosen, name: float(value)}, targets) for value in grid]
            chosen[name] = round(float(grid[int(np.argmin(costs))]), 3)
    chosen = {name: posture.joints[name].clamp(value) for name, value in chosen.items()}
    pose = posture.stretched | chosen
    gap = _nearest(_path(posture, motions, thumb, chosen), targets)
    before = _nearest(_path(posture, motions, thumb, {}), targets)
    moved = ", ".join(f"{name} at {value:.2f}" for name, value in chosen.items() if value) or "thumb as it stands"
    evidence = (
        f"closing, its tip comes to {1e3 * gap:.0f} mm from the others' on average ({1e3 * before:.0f} mm without)"
    )
    return pose, Guess("open pose", f"fingers stretched out, {moved}", evidence)


def _path(posture: Posture, motions: Sequence[Motion], number: int, swung: Pose) -> NDArray[np.float64]:
    """Tip of one finger as it closes, ``(S, 3)``."""
    start = posture.stretched | swung
    return np.stack([posture.tips(posture.closed(motions[number], share, start))[number] for share in _CLOSING])


def _nearest(path: NDArray[np.float64], targets: Sequence[NDArray[np.float64]]) -> float:
    """Least distance to each of the other tips' paths, on average over them."""
    return float(np.mean([np.linalg.norm(path[:, None] - target[None], axis=-1).min() for target in targets]))


def _cost(
    posture: Posture, motions: Sequence[Motion], thumb: int, swung: Pose, targets: Sequence[NDArray[np.float64]]
) -> float:
    price = _PRICE_M * sum(abs(value - posture.stretched[name]) for name, value in swung.items())
    return _nearest(_path(posture, motions, thumb, swung), targets) + price
