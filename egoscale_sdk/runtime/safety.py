"""What stands between a policy and a motor: nothing that is not finite passes, and nothing beyond the limits.

This is a software stop, not a safety-rated one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import SafetyError
from egoscale_sdk.geometry import Floats, interpolate_poses, rotation_angle
from egoscale_sdk.interfaces import RobotCommand, RobotState, check_command
from egoscale_sdk.specs import EmbodimentSpec, HandSpec, Side

_SLACK = 1e-9


@dataclass(frozen=True)
class Checked:
    """A command within the limits, and what had to be held back, e.g. ``right_wrist speed``."""

    command: RobotCommand
    held_back: tuple[str, ...]


class SafetyFilter:
    """Keeps commands within the position, velocity and acceleration limits of a spec.

    Every command is limited relative to the one before, so `reset` must be called with a measured state first.
    A limit that the spec does not know is not kept: it cannot be.
    """

    def __init__(self, spec: EmbodimentSpec, sides: tuple[Side, ...]) -> None:
        self._spec, self._control = spec, spec.control
        self._hands = {side: _HandLimits(spec.hand(side)) for side in sides}
        self._last: RobotCommand | None = None

    @property
    def last(self) -> RobotCommand:
        """The last command that passed; after `reset`, the measured state, within the limits."""
        if self._last is None:
            raise SafetyError("no state has been measured yet", hint="call reset(state) first")
        return self._last

    def reset(self, state: RobotState) -> None:
        """Start from a measured state, at rest; what was measured beyond a limit is not held there."""
        self.check(RobotCommand(dict(state.wrists), dict(state.hands)))
        hands = {side: limits.reset(state.hands[side]) for side, limits in self._hands.items()}
        self._last = RobotCommand(dict(state.wrists), hands)

    def limit(self, command: RobotCommand, period_s: float) -> Checked:
        """Return the nearest command that keeps every limit over one control period.

        Raises:
            SafetyError: a value is not finite, a side is missing, a shape is wrong, or a rotation is none; the last
                command stays in force.
        """
        self.check(command)
        held: list[str] = []
        wrists: dict[Side, np.ndarray] = {}
        hands: dict[Side, np.ndarray] = {}
        for side, limits in self._hands.items():
            wrists[side], slowed = self._wrist(self.last.wrists[side], command.wrists[side], period_s)
            hands[side], kept = limits.limit(command.hands[side], period_s)
            held += [f"{side}_wrist speed"] * slowed + [f"{side}_hand {kind}" for kind in kept]
        self._last = RobotCommand(wrists, hands)
        return Checked(self._last, tuple(held))

    def hold(self) -> RobotCommand:
        """Return the last command, from now on at rest."""
        for limits in self._hands.values():
            limits.rest()
        return self.last

    def _wrist(self, last: Floats, target: Floats, period_s: float) -> tuple[Floats, bool]:
        """Move at most ``speed * period`` and turn at most ``turn * period``, both in the same share."""
        distance = float(np.linalg.norm(target[:3, 3] - last[:3, 3]))
        angle = float(rotation_angle(last[:3, :3], target[:3, :3]))
        excess = max(
            distance / (self._control.wrist_speed_m_s * period_s), angle / (self._control.wrist_turn_rad_s * period_s)
        )
        if excess <= 1.0 + _SLACK:
            return target, False
        share = np.array([int(1e9 / excess)])
        pose: Floats = interpolate_poses(np.array([0, 10**9]), np.stack([last, target]), share)[0]
        return pose, True

    def check(self, command: RobotCommand) -> None:
        """Raise `SafetyError` if a command is not finite, lacks a side, or has a wrong shape."""
        check_command(command, self._spec, self._hands)


class _HandLimits:
    """Limits of one hand vector, and its last position and speed."""

    def __init__(self, hand: HandSpec) -> None:
        joints = hand.actuated
        self._lower = np.array([-np.inf if joint.lower is None else joint.lower for joint in joints])
        self._upper = np.array([np.inf if joint.upper is None else joint.upper for joint in joints])
        self._speed = np.array([np.inf if joint.velocity is None else joint.velocity for joint in joints])
        self._acceleration = np.array(
            [np.inf if joint.acceleration is None else joint.acceleration for joint in joints]
        )
        self._q = np.zeros(len(joints))
        self._v = np.zeros(len(joints))

    def reset(self, q: Floats) -> NDArray[np.float64]:
        self._q = np.clip(q, self._lower, self._upper)
        self.rest()
        return self._q

    def rest(self) -> None:
        self._v = np.zeros_like(self._q)

    def limit(self, target: Floats, period_s: float) -> tuple[Floats, list[str]]:
        inside = np.clip(target, self._lower, self._upper)
        wanted = (inside - self._q) / period_s
        slow = np.clip(wanted, -self._speed, self._speed)
        step = self._acceleration * period_s
        braking = self._stoppable(np.abs(inside - self._q), step, period_s)
        smooth = np.clip(np.clip(slow, -braking, braking), self._v - step, self._v + step)
        q = np.clip(self._q + smooth * period_s, self._lower, self._upper)
        changes = {"position": (target, inside), "velocity": (wanted, slow), "acceleration": (slow, smooth)}
        self._v = (q - self._q) / period_s
        self._q = q
        return q, [name for name, (a, b) in changes.items() if np.abs(a - b).max(initial=0.0) > _SLACK]

    @staticmethod
    def _stoppable(distance: Floats, step: Floats, period_s: float) -> Floats:
        """Return the speed from which a joint can still stop within ``distance``, losing ``step`` each period.

        It moves ``v + (v - step) + ...`` periods far until it stands: n more periods after this one.
        """
        limited = np.isfinite(step)
        safe = np.where(limited, step, 1.0)
        x = distance / (safe * period_s)
        n = np.ceil(np.maximum(0.0, (np.sqrt(1 + 8 * x) - 3) / 2))
        return np.where(limited, safe * (x / (n + 1) + n / 2), np.inf)
