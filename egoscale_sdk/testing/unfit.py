"""Commands that no driver may carry out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.interfaces import RobotCommand
from egoscale_sdk.specs import Side
from egoscale_sdk.testing.bench import Bench

_BEYOND = 0.05  # of a joint's range


def unfit_commands(bench: Bench) -> Iterator[tuple[str, RobotCommand]]:
    """Yield commands that must be refused, for one side after the other; what is fit in them would move everything."""
    for side in bench.joints:
        yield from _unfit_hands(bench, side)
        yield from _unfit_wrists(bench, side)


def _unfit_hands(bench: Bench, side: Side) -> Iterator[tuple[str, RobotCommand]]:
    wrists, hands = bench.moved_wrists(), bench.inward(0.2)

    def hand(q: NDArray[np.float64]) -> RobotCommand:
        return RobotCommand(dict(wrists), hands | {side: q})

    for n, bad in ((0, np.nan), (-1, np.nan), (0, -np.inf), (-1, np.inf)):
        q = hands[side].copy()
        q[n] = bad
        yield f"{bad} for joint {bench.joints[side][n].name!r}", hand(q)
    yield f"a {side} hand of one joint too few", hand(hands[side][:-1])
    yield f"a {side} hand of one joint too many", hand(np.append(hands[side], 0.0))
    yield f"a command without a {side} hand", RobotCommand(dict(wrists), {s: q for s, q in hands.items() if s != side})
    for n, joint in enumerate(bench.joints[side]):
        for limit, sign in ((joint.lower, -1.0), (joint.upper, 1.0)):
            if limit is not None:
                q = hands[side].copy()
                q[n] = limit + sign * _BEYOND * bench.ranges[side][n]
                yield f"{q[n]:.4g} {joint.unit} for joint {joint.name!r} (limit {limit:g})", hand(q)


def _unfit_wrists(bench: Bench, side: Side) -> Iterator[tuple[str, RobotCommand]]:
    wrists, hands = bench.moved_wrists(), bench.inward(0.2)

    def wrist(pose: NDArray[np.float64]) -> RobotCommand:
        return RobotCommand(dict(wrists) | {side: pose}, dict(hands))

    lost = wrists[side].copy()
    lost[2, 3] = np.nan
    yield f"a command without a {side} wrist", RobotCommand({s: w for s, w in wrists.items() if s != side}, dict(hands))
    yield f"NaN in the {side} wrist", wrist(np.full((4, 4), np.nan))
    yield f"NaN for the height of the {side} wrist", wrist(lost)
    yield f"a {side} wrist that is a mirror image", wrist(wrists[side] @ np.diag([1.0, 1.0, -1.0, 1.0]))
    yield f"a {side} wrist that is scaled", wrist(wrists[side] @ np.diag([1.1, 1.1, 1.1, 1.0]))
