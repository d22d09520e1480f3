"""The open pose of a hand with fingers: stretched out, the thumb swung to where it can close against the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.posture import Motion, Pose, Posture, degrees_between, unit
from egoscale_sdk.specs import Side

_CLOSING = tuple(step / 8 for step in range(9))
_STEPS = 17
_PRICE_M = 0.004  # per rad: a swing must gain more than this
_HALF_WAY = np.array([0.6, 0.5, 0.6])  # where a person's right thumb points, half-way to opposition, in wrist axes
_TURN_M = 0.04  # per rad off that direction


def open_pose(
    posture: Posture, motions: Sequence[Motion], order: Sequence[int], axes: NDArray[np.float64], side: Side
) -> tuple[Pose, Guess]:
    """Swing the thumb's joints that do not bend it to where a thumb opposes.

    That is where it points as a person's does, half-way from beside the palm to before it, and where its tip comes near
    to all other tips as all close.

    Args:
        posture: The hand's fingers.
        motions: How each closes.
        order: Fingers in the order thumb, index, ..
        axes: Axes of the wrist frame in the root, as columns.
        side: Which hand.

    Returns:
        Every driven joint's value in rad or m, and the guess about it.
    """
    wanted = axes @ unit(_HALF_WAY * ([1, 1, 1] if side == "right" else [1, -1, 1]))
    targets = [_path(posture, motions, number, posture.stretched) for number in order[1:]]
    thumb = _Thumb(posture, motions, order[0], wanted, tuple(targets))
    pose = dict(posture.stretched)
    swings = thumb.swings()
    for _ in range(2 if swings else 0):
        for name in swings:
            grid = [posture.stretched[name], *np.linspace(*posture.range_of(name), _STEPS)]
            costs = [thumb.cost({**pose, name: float(value)}) for value in grid]
            pose[name] = posture.joints[name].clamp(round(float(grid[int(np.argmin(costs))]), 3))
    moved = ", ".join(f"{name} at {pose[name]:.2f}" for name in swings if pose[name]) or "thumb as it stands"
    turned, gap = float(np.degrees(thumb.turned(pose))), 1e3 * thumb.gap(pose)
    evidence = (
        f"it then points {turned:.0f} deg off a person's thumb half-way to opposition, and as all close its tip comes "
        f"to {gap:.0f} mm from the others' on average"
    )
    return pose, Guess("open pose", f"fingers stretched out, {moved}", evidence)


@dataclass(frozen=True)
class _Thumb:
    """The thumb, where it should point, and the others' paths."""

    posture: Posture
    motions: Sequence[Motion]
    number: int
    wanted: NDArray[np.float64]
    targets: tuple[NDArray[np.float64], ...]

    def swings(self) -> list[str]:
        """Driven joints that swing the thumb rather than bend it."""
        joints = self.posture.fingers[self.number].chain.movable
        leaders = dict.fromkeys(self.posture.leader(joint) for joint in joints if joint.kind != "prismatic")
        return [name for name in leaders if name not in self.motions[self.number].bend]

    def cost(self, pose: Pose) -> float:
        """What a pose lacks, in metres."""
        price = sum(abs(pose[name] - self.posture.stretched[name]) for name in self.swings())
        return self.gap(pose) + _TURN_M * self.turned(pose) + _PRICE_M * price

    def turned(self, pose: Pose) -> float:
        """Angle between thumb and wanted direction, rad."""
        tip = self.posture.tips(pose)[self.number]
        return float(np.radians(degrees_between(unit(tip - self.motions[self.number].base), self.wanted)))

    def gap(self, pose: Pose) -> float:
        """Least distance of the closing thumb's tip to each of the other tips' paths, on average over them, metres."""
        path = _path(self.posture, self.motions, self.number, pose)
        return float(np.mean([np.linalg.norm(path[:, None] - target[None], axis=-1).min() for target in self.targets]))


def _path(posture: Posture, motions: Sequence[Motion], number: int, start: Pose) -> NDArray[np.float64]:
    """Tip of one finger as it closes, ``(S, 3)``."""
    return np.stack([posture.tips(posture.closed(motions[number], share, start))[number] for share in _CLOSING])
