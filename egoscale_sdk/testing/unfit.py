"""Commands that no driver may carry out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.interfaces import RobotCommand
from egoscale_sdk.testing.bench import Bench


def unfit_commands(bench: Bench) -> Iterator[tuple[str, RobotCommand]]:
    """Yield commands that must be refused; all but one value of them would move every joint."""
    wrists, hands, last = bench.home().wrists, bench.inward(0.2), bench.driver.sides[-1]

    def hand(q: NDArray[np.float64]) -> RobotCommand:
        return RobotCommand(dict(wrists), hands | {last: q})

    for bad in (np.nan, np.inf):
        yield f"{bad} for joint {bench.joints[last][-1].name!r}", hand(np.append(hands[last][:-1], bad))
    yield f"a {last} hand of one joint too few", hand(hands[last][:-1])
    yield f"a {last} hand of one joint too many", hand(np.append(hands[last], 0.0))
    yield f"a command without a {last} hand", RobotCommand(dict(wrists), {s: q for s, q in hands.items() if s != last})
    yield f"a command without a {last} wrist", RobotCommand({s: w for s, w in wrists.items() if s != last}, hands)
    yield f"NaN in the {last} wrist", RobotCommand(dict(wrists) | {last: np.full((4, 4), np.nan)}, hands)
    yield (
        f"a {last} wrist that is no rotation",
        RobotCommand(dict(wrists) | {last: np.diag([1.0, 1.0, -1.0, 1.0])}, hands),
    )
    for n, joint in enumerate(bench.joints[last]):
        for limit, sign in ((joint.lower, -1.0), (joint.upper, 1.0)):
            if limit is not None:
                q = hands[last].copy()
                q[n] = limit + sign * 0.1 * bench.ranges[last][n]
                yield f"{q[n]:.4g} {joint.unit} for joint {joint.name!r} (limit {limit:g})", hand(q)
