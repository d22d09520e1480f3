"""What a check of the doctor is: it looks at each episode once, remembers little, and says at the end what it saw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.episodes import EpisodeRef
from egoscale_sdk.data.resample import GAP_PERIODS, GAP_S
from egoscale_sdk.data.segment import EpisodeRows
from egoscale_sdk.data.validation import Finding
from egoscale_sdk.specs import RowLayout

Array = NDArray[Any]
Of = Literal["action", "state"]
EXAMPLES = 3


@dataclass(frozen=True)
class Case:
    """One episode with its rows of the native action set."""

    dataset: Dataset
    ref: EpisodeRef
    rows: EpisodeRows

    @property
    def layout(self) -> RowLayout:
        """Columns of action and state."""
        return self.dataset.declaration.native.layout

    @property
    def fps(self) -> float:
        """Nominal rows per second."""
        return self.dataset.declaration.fps

    @cached_property
    def time_s(self) -> Array:
        """Seconds since the first row ``(T,)``."""
        seconds: Array = (self.rows.time_ns - self.rows.time_ns[0]) / 1e9
        return seconds

    @cached_property
    def steady(self) -> Array:
        """``(T - 1,)`` bool: whether a row follows the one before it without a gap or a new map."""
        period_s = np.diff(self.rows.time_ns) / 1e9
        steady: Array = (period_s <= max(GAP_S, GAP_PERIODS / self.fps)) & (np.diff(self.rows.map_id) == 0)
        return steady

    @property
    def measured(self) -> tuple[Of, ...]:
        """The arrays of rows that there are."""
        return ("action",) if self.rows.state is None else ("action", "state")

    def known(self, group: str, of: Of = "action") -> Array:
        """``(T,)`` bool: where a group is valid."""
        flags = self.rows.valid if of == "action" else self.rows.state_valid
        assert flags is not None
        known: Array = flags[:, self.layout.groups.index(group)] == 1
        return known

    def block(self, group: str, of: Of = "action") -> Array:
        """``(T, width)`` float64: the columns of a group."""
        values = self.rows.action if of == "action" else self.rows.state
        assert values is not None
        return values[:, self.layout.blocks[group]].astype(np.float64)

    def both(self, group: str) -> Array:
        """``(T,)`` bool: where both action and state of a group are valid."""
        both: Array = self.known(group) & self.known(group, "state")
        return both


class Check(ABC):
    """One idea of what can be wrong.

    A new one is made for every examination. `look` is called once for each episode; what a check keeps does not grow
    with the number of rows.
    """

    @abstractmethod
    def look(self, case: Case) -> None:
        """Look at one episode."""

    @abstractmethod
    def findings(self) -> Iterator[Finding]:
        """Say what was found in all of them."""


class Places:
    """Where something was seen: how often, in how many episodes, and the first few of these."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        self._episodes: dict[str, int] = defaultdict(int)
        self._keys: dict[str, list[str]] = defaultdict(list)
        self._last: dict[str, str] = {}

    def add(self, what: str, key: str, count: int = 1) -> None:
        """Note that ``what`` was seen in an episode; nothing if the count is 0. Episodes come one after the other."""
        if count:
            self.counts[what] += count
        if count and self._last.get(what) != key:
            self._last[what] = key
            self._episodes[what] += 1
            if len(self._keys[what]) < EXAMPLES:
                self._keys[what].append(key)

    def episodes(self, what: str) -> int:
        """In how many episodes it was seen."""
        return self._episodes[what]

    def keys(self, what: str) -> tuple[str, ...]:
        """The first episodes in which it was seen."""
        return tuple(self._keys[what])

    def where(self, what: str) -> str:
        """Name the episodes, for a finding."""
        return named(self._keys[what], self._episodes[what])


def named(keys: list[str], total: int) -> str:
    """Name the first few of ``total`` episodes."""
    shown = ", ".join(repr(key) for key in keys[:EXAMPLES])
    more = total - min(len(keys), EXAMPLES)
    return f"episode{'s' if total > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")


def stillness(values: Array) -> list[tuple[int, int]]:
    """Runs ``[start, stop)`` of two or more rows ``(T, ...)`` that are exactly equal."""
    if len(values) < 2:
        return []
    same = (np.diff(values, axis=0) == 0).reshape(len(values) - 1, -1).all(1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]])))
    return [(int(a), int(b) + 1) for a, b in edges.reshape(-1, 2)]
