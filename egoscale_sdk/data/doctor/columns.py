"""Columns that hardly move, or that stand at their limit most of the time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from egoscale_sdk.data.absolute import column_mask
from egoscale_sdk.data.doctor.base import Array, Case, Check, Of
from egoscale_sdk.data.scales import FLOORS
from egoscale_sdk.data.validation import Finding
from egoscale_sdk.specs import EmbodimentSpec, RowLayout

DEAD = 0.2
"""As a share of the floor of a scale: 0.4 mm, 2 mrad. What moves more moves, however little."""
AT_LIMIT = 1e-3
"""As a share of a joint's range."""
MOSTLY = 0.8
ENOUGH = 60
"""Valid rows below which stillness says nothing."""
TIPS = ("p04", "p08", "p12", "p16", "p20")
"""Keypoints of people that must move; knuckles are nearly rigid in the wrist's frame."""
SHOWN = 6
WHY_STILL = "if the joint is not driven that is right; else check the order of the columns, and import again"
WHY_STUCK = "check units, zero offset and sign of the joint in the importer, and import again"


class _Extent:
    """Range of every column of one array over its valid rows, and in how many it stands at a limit."""

    def __init__(self, columns: int) -> None:
        self.lower, self.upper = np.full(columns, np.inf), np.full(columns, -np.inf)
        self.rows, self.at_limit = np.zeros(columns, np.int64), np.zeros(columns, np.int64)

    def add(self, values: Array, mask: Array, limits: Array) -> None:
        """Extend by rows ``(T, D)``."""
        width = limits[:, 1] - limits[:, 0]
        near = AT_LIMIT * np.where(np.isfinite(width), width, 1.0)
        at = (np.abs(values[..., None] - limits) <= near[:, None]).any(-1)
        self.lower = np.minimum(self.lower, np.where(mask, values, np.inf).min(0))
        self.upper = np.maximum(self.upper, np.where(mask, values, -np.inf).max(0))
        self.rows += mask.sum(0)
        self.at_limit += (at & mask).sum(0)


class Columns(Check):
    """Finds columns that are still, or saturated.

    A column that is still while others of its hand move teaches nothing and is scaled by a floor; a joint that is
    mostly at an end of its range, other than in its open pose, was clipped, or is in other units.
    """

    def __init__(self) -> None:
        self._extents: dict[Of, _Extent] = {}
        self._case: Case | None = None

    def look(self, case: Case) -> None:
        """Extend the ranges."""
        self._case = case
        limits, blocks = _limits(case.dataset.declaration.spec, case.layout), case.layout.blocks
        for of in case.measured:
            values = np.concatenate([case.block(group, of) for group in blocks], 1)
            known = column_mask(np.stack([case.known(group, of) for group in blocks], 1), case.layout)
            self._extents.setdefault(of, _Extent(values.shape[1])).add(values, known, limits)

    def findings(self) -> Iterator[Finding]:
        """One finding per array for what is still, one for what is saturated."""
        for of, extent in self._extents.items():
            assert self._case is not None
            layout, where = self._case.layout, f"{of} of {self._case.dataset.declaration.embodiment}"
            floors = np.array([FLOORS[unit] for unit in layout.units])
            moves = (extent.rows > 0) & (extent.upper - extent.lower > DEAD * floors)
            still = self._telling((extent.rows >= ENOUGH) & ~moves, moves)
            if still:
                text = f"hardly moves in any episode, while others of its hand do: {_listed(still)}"
                yield Finding("near_constant", "warning", where, text, len(still), WHY_STILL, group=_group(still))
            share = extent.at_limit / np.maximum(extent.rows, 1)
            stuck = [layout.names[i] for i in np.flatnonzero(moves & (share > MOSTLY))]
            if stuck:
                text = f"stands at a limit that is not its open pose in over {MOSTLY:.0%} of the rows: {_listed(stuck)}"
                yield Finding("saturated", "warning", where, text, len(stuck), WHY_STUCK, group=_group(stuck))

    def _telling(self, still: Array, moves: Array) -> list[str]:
        """Names of still columns of groups in which others move; of people's hands only whole fingertips."""
        assert self._case is not None
        layout, spec = self._case.layout, self._case.dataset.declaration.spec
        keypoints = {f"{side}_hand" for side in layout.sides if spec.hand(side).representation == "keypoints"}
        found = []
        for group, block in layout.blocks.items():
            quiet = dict(zip(layout.names[block], still[block].tolist(), strict=True))
            if group in keypoints:
                tips = {tip: [name for name in quiet if f".{tip}_" in name] for tip in TIPS}
                quiet = {f"{group}.{tip}": all(quiet[name] for name in names) for tip, names in tips.items()}
            found += [name for name, flag in quiet.items() if flag and moves[block].any()]
        return found


def _limits(spec: EmbodimentSpec, layout: RowLayout) -> Array:
    """Limits ``(D, 2)`` of every column at which it can be stuck; NaN for none, and where it is the open pose."""
    limits = np.full((layout.dim, 2), np.nan)
    for side in layout.sides:
        hand = spec.hand(side)
        if hand.representation == "joints":
            block = layout.blocks[f"{side}_hand"]
            opened = hand.open_pose or (None,) * len(hand.actuated)
            for column, joint, pose in zip(range(block.start, block.stop), hand.actuated, opened, strict=True):
                for end, limit in enumerate((joint.lower, joint.upper)):
                    if limit is not None and (pose is None or abs(limit - pose) > 1e-6):
                        limits[column, end] = limit
    return limits


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _group(names: list[str]) -> str:
    return names[0].partition(".")[0]
