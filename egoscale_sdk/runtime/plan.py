"""A plan: the targets of a chunk in time, and which command they give at a moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egoscale_sdk.geometry import Floats, interpolate_poses, pose_from_vec9
from egoscale_sdk.interfaces import RobotCommand
from egoscale_sdk.specs import RowLayout, Side


@dataclass(frozen=True)
class Plan:
    """Targets of the sides that are there; element k is reached at the end of ``start + [k, k+1) dt``.

    Attributes:
        start_ns: When the observation was made.
        dt_s: Duration of an element.
        wrists: Canonical wrist poses in the base frame, ``(H, 4, 4)`` per side.
        hands: Hand vectors, ``(H, J)`` per side.
    """

    start_ns: int
    dt_s: float
    wrists: dict[Side, Floats]
    hands: dict[Side, Floats]

    @property
    def length(self) -> int:
        """Number of elements."""
        return len(next(iter(self.hands.values())))

    def element(self, now_ns: int) -> int:
        """Index of the element in force at a time; `length` or more once the plan is used up."""
        return int((now_ns - self.start_ns) / (1e9 * self.dt_s) + 1e-6)

    def command(self, now_ns: int, period_s: float, before: RobotCommand) -> RobotCommand:
        """Return the target for the control period that begins now.

        Within an element the target moves evenly from the one before it, so that a control rate above the chunk's
        gives a smooth motion; the first element starts at ``before``, the command in force when the plan was made.
        """
        k = min(self.element(now_ns), self.length - 1)
        end_ns = now_ns + 1e9 * period_s
        share = float(np.clip((end_ns - self.start_ns) / (1e9 * self.dt_s) - k, 0.0, 1.0))
        wrists: dict[Side, np.ndarray] = {}
        hands: dict[Side, np.ndarray] = {}
        for side in self.hands:
            wrist_from = self.wrists[side][k - 1] if k else before.wrists[side]
            hand_from = self.hands[side][k - 1] if k else before.hands[side]
            wrists[side] = _between(wrist_from, self.wrists[side][k], share)
            hands[side] = hand_from + share * (self.hands[side][k] - hand_from)
        return RobotCommand(wrists, hands)


def plan_from_rows(rows: Floats, layout: RowLayout, sides: tuple[Side, ...], start_ns: int, dt_s: float) -> Plan:
    """Return the plan that absolute rows ``(H, D)`` describe, for the sides that are there."""
    wrists = {side: pose_from_vec9(rows[:, layout.blocks[f"{side}_wrist"]]) for side in sides}
    hands = {side: rows[:, layout.blocks[f"{side}_hand"]] for side in sides}
    return Plan(start_ns, dt_s, wrists, hands)


def _between(a: Floats, b: Floats, share: float) -> Floats:
    if share >= 1.0:
        return b
    pose: Floats = interpolate_poses(np.array([0, 10**9]), np.stack([a, b]), np.array([round(1e9 * share)]))[0]
    return pose
