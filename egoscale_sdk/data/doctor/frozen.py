"""Trackers and encoders that repeat one value while the hand goes on moving."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from egoscale_sdk.data.doctor.base import Array, Case, Check, Places, stillness
from egoscale_sdk.data.validation import Finding

TRACKER_S = 0.5
ENCODER_S = 1.0
COMMANDED = {"wrist": 0.05, "hand": 0.3}
"""How far commands go, metres and radians, while an encoder that repeats itself is not believed."""
TEACHES = 0.02
"""Share of the rows above which it matters."""


class Frozen(Check):
    """Finds runs of exactly equal rows.

    A tracker of people has noise: half a second without any is a frozen one. A robot may stand still: its state is
    frozen where it repeats itself for a second while its command goes far.
    """

    def __init__(self) -> None:
        self._places = Places()
        self._rows: dict[str, int] = defaultdict(int)
        self._longest: dict[str, float] = defaultdict(float)

    def look(self, case: Case) -> None:
        """Count frozen rows of every group."""
        for group in case.layout.groups:
            state = case.rows.state is not None
            known = case.known(group, "state" if state else "action")
            self._rows[group] += int(known.sum())
            values = case.block(group, "state" if state else "action")
            frozen = [
                run for run in stillness(values) if known[run[0] : run[1]].all() and self._counts(case, group, run)
            ]
            self._places.add(group, case.ref.key, sum(stop - start for start, stop in frozen))
            for start, stop in frozen:
                self._longest[group] = max(self._longest[group], float(case.time_s[stop - 1] - case.time_s[start]))

    def findings(self) -> Iterator[Finding]:
        """One finding per group."""
        for group, count in self._places.counts.items():
            if count > TEACHES * self._rows[group]:
                yield Finding(
                    "frozen",
                    "warning",
                    self._places.where(group),
                    f"the measured {group} repeats exactly the same values for up to {self._longest[group]:.1f} s",
                    count,
                    "mark such rows invalid (valid = 0) in the importer and import again, or record again",
                    self._places.keys(group),
                    group,
                )

    @staticmethod
    def _counts(case: Case, group: str, run: tuple[int, int]) -> bool:
        start, stop = run
        lasts = float(case.time_s[stop - 1] - case.time_s[start])
        if case.rows.state is None:
            return lasts >= TRACKER_S
        return lasts >= ENCODER_S and _travel(case.block(group)[start:stop], group) > COMMANDED[group.split("_")[1]]


def _travel(values: Array, group: str) -> float:
    columns = values[:, :3] if group.endswith("wrist") else values
    return float(np.ptp(columns, axis=0).max())
