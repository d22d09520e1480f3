"""Robots: does each command go with the measurement of its own column, and of its own side?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from egoscale_sdk.data.doctor.base import Array, Case, Check, Places
from egoscale_sdk.data.validation import Finding

MATCH, MISMATCH = 0.9, 0.5
MOTION = {"m": 0.01, "rad": 0.1, "1": 0.05}
"""Standard deviation of a column below which it tells nothing about order; also the least difference that tells."""
NEARER = 2.0
"""How many times nearer a command is to another column's measurement than to its own if it is in the wrong place."""
APART_M = 0.05
"""Wrists that are nearer to each other can be taken for one another."""
RECORDINGS = "correct the order of the columns in the importer or the plugin's [[recordings]], and import again"


class JointOrder(Check):
    """A robot's joints: whether each command goes with the measurement of its own column.

    Correlations of commands with later measurements, and distances between them, are taken over all hands. Columns
    whose command goes with another column's measurement, and not with its own, are in the wrong place; one that goes
    against it has a sign.
    """

    def __init__(self) -> None:
        self._sums: Array | None = None
        self._case: Case | None = None

    def look(self, case: Case) -> None:
        """Add the products of this episode."""
        if not _commanded(case):
            return
        self._case = case
        hands = [group for group in case.layout.groups if group.endswith("hand")]
        good = np.logical_and.reduce([case.both(group) for group in hands])
        ahead = max(1, round(0.1 * case.fps))
        good = good[:-ahead] & good[ahead:]
        if good.sum() < 10:
            return
        action = np.concatenate([case.block(group) for group in hands], 1)[:-ahead][good]
        state = np.concatenate([case.block(group, "state") for group in hands], 1)[ahead:][good]
        both = np.concatenate([action, state, np.ones((len(action), 1))], 1)
        self._sums = both.T @ both + (0 if self._sums is None else self._sums)

    def findings(self) -> Iterator[Finding]:
        """One finding for columns in the wrong place, one for columns with another sign."""
        if self._case is None or self._sums is None:
            return
        layout = self._case.layout
        first = next(block.start for group, block in layout.blocks.items() if group.endswith("hand"))
        names, units = layout.names[first:], layout.units[first:]
        corr, spread = _correlation(self._sums, len(names))
        least = np.array([MOTION[unit] for unit in units])
        moves = spread.reshape(2, -1) > least
        tells: Array = np.all(moves, axis=0)
        together: Array = (corr > MATCH) & moves[0][:, None] & moves[1][None]
        moved = _moved(corr, tells) or _nearer(_distance(self._sums, len(names)), together, least)
        if moved:
            yield _exchanged(moved, names)
        turned = [names[i] for i in np.flatnonzero(tells & (corr.diagonal() < -MATCH))]
        if turned:
            message = f"command and measurement go against each other: {', '.join(turned[:6])}"
            hint = "correct the sign in the plugin's wire table or [[recordings]], and import again"
            group = turned[0].partition(".")[0]
            yield Finding("joint_sign", "error", "action against state", message, len(turned), hint, group=group)


class WristSides(Check):
    """A robot's wrists: whether what the left one is commanded is where the right one goes, and the reverse."""

    def __init__(self) -> None:
        self._places = Places()

    def look(self, case: Case) -> None:
        """Compare distances of commands to both measured wrists."""
        if not _commanded(case) or len(case.layout.sides) < 2:
            return
        good = case.both("left_wrist") & case.both("right_wrist")
        if good.sum() < 10:
            return
        action, state = (
            np.stack([case.block(f"{side}_wrist", of)[good, :3] for side in ("left", "right")])
            for of in ("action", "state")
        )
        own, other = (np.linalg.norm(action - values, axis=-1) for values in (state, state[::-1]))
        if np.linalg.norm(state[0] - state[1], axis=-1).mean() > APART_M and (other * NEARER < own).mean() > MATCH:
            self._places.add("wrists", case.ref.key, int(good.sum()))

    def findings(self) -> Iterator[Finding]:
        """One finding for all episodes."""
        if count := self._places.counts["wrists"]:
            message = "the left wrist's commands are where the right wrist goes, and the reverse: they are exchanged"
            where, keys = self._places.where("wrists"), self._places.keys("wrists")
            yield Finding("swapped_hands", "error", where, message, count, RECORDINGS, keys, "left_wrist")


def _commanded(case: Case) -> bool:
    return case.rows.state is not None and case.dataset.declaration.native.action_source == "commanded"


def _moved(corr: Array, tells: Array) -> list[tuple[int, int]]:
    """Columns that go with another column than their own, each with that one."""
    own, best = corr.diagonal(), np.where(tells[None], corr, -1).argmax(1)
    wrong = [
        (int(i), int(best[i]))
        for i in np.flatnonzero(tells)
        if own[i] < MISMATCH and corr[i, best[i]] > MATCH and own[best[i]] < MISMATCH
    ]
    return wrong if len(wrong) > 1 else []


def _nearer(distance: Array, together: Array, least: Array) -> list[tuple[int, int]]:
    """Columns that exchange places, each nearer to the other's measurement: fingers that close together correlate.

    A command that stops short of its goal is near some other column too; only a closed round of columns, in which one
    goes with what it is near to, is believed.
    """
    best, own = distance.argmin(1), distance.diagonal()
    far = (own > least) & (own > NEARER * distance.min(1))
    found = []
    for i in np.flatnonzero(far):
        round_ = [int(i)]
        while far[round_[-1]] and (after := int(best[round_[-1]])) not in round_:
            round_.append(after)
        closed = far[round_[-1]] and best[round_[-1]] == round_[0]
        if closed and any(together[j, best[j]] for j in round_):
            found.append((int(i), int(best[i])))
    return found


def _exchanged(moved: Sequence[tuple[int, int]], names: Sequence[str]) -> Finding:
    pairs = ", ".join(f"{names[i]} moves {names[j]}" for i, j in moved[:4])
    crossed = any(names[i].split("_")[0] != names[j].split("_")[0] for i, j in moved)
    code, what = ("swapped_hands", "hands") if crossed else ("joint_order", "joints")
    message = f"{what} are exchanged between action and state, by their motion: {pairs}"
    group = names[moved[0][0]].partition(".")[0]
    return Finding(code, "error", "action against state", message, len(moved), RECORDINGS, group=group)


def _correlation(sums: Array, width: int) -> tuple[Array, Array]:
    """Correlation ``(D, D)`` of actions with states and the standard deviation ``(2 D,)`` of all, from sums."""
    count = sums[-1, -1]
    mean = sums[-1, :-1] / count
    covariance = sums[:-1, :-1] / count - np.outer(mean, mean)
    spread = np.sqrt(np.maximum(covariance.diagonal(), 0))
    corr: Array = covariance / np.maximum(np.outer(spread, spread), 1e-12)
    return corr[:width, width:], spread


def _distance(sums: Array, width: int) -> Array:
    """Root mean square distance ``(D, D)`` of actions to states, from sums."""
    squares = sums.diagonal()
    total = squares[:width, None] - 2 * sums[:width, width:-1] + squares[None, width:-1]
    distance: Array = np.sqrt(np.maximum(total, 0) / sums[-1, -1])
    return distance
