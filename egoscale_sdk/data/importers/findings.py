"""What a user should know of a recording before training on it."""

from __future__ import annotations

from collections import Counter

import numpy as np

from egoscale_sdk.geometry import Floats
from egoscale_sdk.interfaces import Episode
from egoscale_sdk.specs import DatasetDeclaration

_SAME = 1e-6
_OFTEN = 0.5


class Findings:
    """Looks at every episode and finds groups of columns that are not what they are taken for.

    An action that only repeats the measured state is no command, and nothing can be learned from it. A measured
    state that mostly repeats itself while commands move is slower than the recording: its values are late. An episode
    in which nothing is known teaches nothing.
    """

    def __init__(self) -> None:
        self._episodes = 0
        self._blank = 0
        self._shadows: Counter[tuple[str, str]] = Counter()
        self._held: dict[str, list[float]] = {}

    def look(self, episode: Episode, declaration: DatasetDeclaration) -> None:
        """Look at one episode; of people's, which have no state, only whether anything is known."""
        self._episodes += 1
        self._blank += not episode.valid.any()
        if episode.state is None:
            return
        layout = declaration.native.layout
        for column, (group, columns) in enumerate(layout.blocks.items()):
            known = episode.valid[:, column] > 0
            if known.sum() > 1:
                self._look_at(group, episode.action[known, columns], episode.state[known, columns])

    def merge(self, other: Findings) -> None:
        """Add what another has found in further episodes."""
        self._episodes += other._episodes
        self._blank += other._blank
        self._shadows.update(other._shadows)
        for group, shares in other._held.items():
            self._held.setdefault(group, []).extend(shares)

    def texts(self) -> list[str]:
        """Return what was found, a sentence each."""
        blank = [f"no hand is known in any row of {self._blank} of {self._episodes} episodes"] if self._blank else []
        shadows = [
            f"the action of {group} equals {kind} in {count} of {self._episodes} episodes: it is no command"
            for (group, kind), count in self._shadows.items()
        ]
        held = [
            f"the measured {group} repeats itself in {100 * np.mean(shares):.0f} % of the rows of {len(shares)} of "
            f"{self._episodes} episodes, while commands move: it is measured more slowly than recorded"
            for group, shares in self._held.items()
        ]
        return blank + shadows + held

    def _look_at(self, group: str, action: Floats, state: Floats) -> None:
        shadow = _shadow_of(action, state)
        if shadow:
            self._shadows[group, shadow] += 1
        share, commanded = _repeated(state), _repeated(action)
        if _OFTEN < share < 1 and commanded < 1 - _OFTEN:
            self._held.setdefault(group, []).append(share)


def _shadow_of(action: Floats, state: Floats) -> str:
    """Say which state an action repeats, if any; a group that never moves is not counted."""
    if not np.ptp(state, axis=0).any():
        return ""
    if np.abs(action - state).max() <= _SAME:
        return "the measured state"
    return "the next measured state" if np.abs(action[:-1] - state[1:]).max() <= _SAME else ""


def _repeated(values: Floats) -> float:
    """Share of rows that equal the row before."""
    return float((np.diff(values, axis=0) == 0).all(axis=1).mean())
