"""The columns of a stored row and of an action chunk: wrists first, then hands, left before right."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from egoscale_sdk.specs.base import SIDES, Side
from egoscale_sdk.specs.hand import HandSpaceSpec

WRIST_DIM = 9
WRIST_COLUMNS = ("x", "y", "z", "r00", "r01", "r02", "r10", "r11", "r12")


@dataclass(frozen=True)
class RowLayout:
    """Columns of one row: ``[left wrist 9 | right wrist 9 | left hand | right hand]``, absent sides left out.

    The same order serves absolute rows (state, action) and chunks, where wrists are relative. ``groups`` names the
    blocks, in the order of the columns of ``valid`` and ``conf``.
    """

    hand_spaces: tuple[tuple[Side, HandSpaceSpec], ...]

    @classmethod
    def of(cls, hand_spaces: dict[Side, HandSpaceSpec]) -> RowLayout:
        """Build the layout of an embodiment's (or an action set's) hands."""
        return cls(tuple((side, hand_spaces[side]) for side in SIDES if side in hand_spaces))

    @property
    def sides(self) -> tuple[Side, ...]:
        """Present sides, left before right."""
        return tuple(side for side, _ in self.hand_spaces)

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Column slice of every group, e.g. ``{"right_wrist": slice(0, 9), "right_hand": slice(9, 31)}``."""
        widths = [(f"{side}_wrist", WRIST_DIM) for side in self.sides]
        widths += [(f"{side}_hand", space.dim) for side, space in self.hand_spaces]
        blocks, start = {}, 0
        for group, width in widths:
            blocks[group] = slice(start, start + width)
            start += width
        return blocks

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the blocks in column order."""
        return tuple(self.blocks)

    @property
    def dim(self) -> int:
        """Number of columns."""
        return WRIST_DIM * len(self.sides) + sum(space.dim for _, space in self.hand_spaces)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every column, e.g. ``right_wrist.x``, ``right_hand.index_pip``."""
        wrists = [f"{side}_wrist.{column}" for side in self.sides for column in WRIST_COLUMNS]
        hands = [f"{side}_hand.{column.name}" for side, space in self.hand_spaces for column in space.columns]
        return (*wrists, *hands)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of every column: ``m``, ``rad`` or ``1`` (an entry of rot6d)."""
        wrists = [unit for _ in self.sides for unit in ("m",) * 3 + ("1",) * 6]
        hands = [column.unit for _, space in self.hand_spaces for column in space.columns]
        return (*wrists, *hands)
