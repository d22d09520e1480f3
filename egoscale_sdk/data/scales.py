"""Normalisation: q01 and q99 go to -1 and 1; wrists share one table, so that a centimetre is one number for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.sketch import QuantileSketch
from egoscale_sdk.data.statistics import RelativeStatistics
from egoscale_sdk.errors import CheckpointError, RecipeError
from egoscale_sdk.specs import SIDES, WRIST_DIM, RowLayout, Side

FLOORS = {"m": 0.002, "1": 0.01, "rad": 0.01}
"""Smallest scale per unit: 2 mm, 0.01 of a rot6d entry, 0.01 rad."""
_MIRROR = np.array([1, -1, 1, 1, -1, 1, -1, 1, -1], np.float32)
"""Signs of a wrist's 9 columns when its motion is mirrored, ``M dW M``."""


@dataclass(frozen=True)
class Scale:
    """An affine map that brings ``[center - half, center + half]`` to [-1, 1]; what lies beyond is not clipped."""

    center: NDArray[np.float32]
    half: NDArray[np.float32]

    def normalise(self, values: NDArray[Any]) -> NDArray[Any]:
        """From physical units to numbers around [-1, 1]."""
        scaled: NDArray[Any] = (values - self.center) / self.half
        return scaled

    def restore(self, values: NDArray[Any]) -> NDArray[Any]:
        """Undo `normalise`."""
        physical: NDArray[Any] = values * self.half + self.center
        return physical


@dataclass(frozen=True)
class Statistics:
    """The scales of a training run; a checkpoint holds its own copy.

    Attributes:
        horizon: Steps H of a chunk.
        chunk_dt_s: Seconds per step.
        wrists: Per side ``(H, 9)``, one table for all embodiments.
        hands: Per `hand_key` ``(H, columns)``.
        states: Per embodiment id ``(D',)`` in its own layout.
        at_floor: Columns that hardly move, whose scale is the floor in every step.
        unseen: Columns without a single valid entry; their scale is 1.
    """

    horizon: int
    chunk_dt_s: float
    wrists: dict[str, Scale]
    hands: dict[str, Scale]
    states: dict[str, Scale]
    at_floor: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    def chunk(self, layout: RowLayout) -> Scale:
        """Return the scale ``(H, D)`` of chunks in a layout.

        Raises:
            CheckpointError: a hand space of the layout was not part of the training.
        """
        keys = [hand_key(space.id, side) for side, space in layout.hand_spaces]
        for key in keys:
            if key not in self.hands:
                raise CheckpointError(f"there are no statistics of {key!r}", allowed=sorted(self.hands))
        scales = [self.wrists[side] for side in layout.sides] + [self.hands[key] for key in keys]
        return Scale(*(np.concatenate([getattr(scale, part) for scale in scales], 1) for part in ("center", "half")))

    def state(self, embodiment: str) -> Scale:
        """Return the scale ``(D',)`` of an embodiment's state.

        Raises:
            CheckpointError: the embodiment was not part of the training.
        """
        if embodiment not in self.states:
            raise CheckpointError(f"there are no statistics of {embodiment!r}", allowed=sorted(self.states))
        return self.states[embodiment]

    def inherited_by(self, new: Self) -> Self:
        """Return these scales with what only ``new`` has: how a later stage keeps the numbers of the first.

        Raises:
            RecipeError: the later stage has another horizon or step.
        """
        if (new.horizon, new.chunk_dt_s) != (self.horizon, self.chunk_dt_s):
            raise RecipeError(
                f"chunks of {new.horizon} x {new.chunk_dt_s} s cannot inherit the statistics of "
                f"{self.horizon} x {self.chunk_dt_s} s",
                hint="keep horizon and chunk_dt_s of the checkpoint",
            )
        return replace(self, hands=new.hands | self.hands, states=new.states | self.states)

    def save(self, file: Path) -> None:
        """Write as JSON."""
        tables = ("wrists", "hands", "states")
        value = {name: getattr(self, name) for name in ("horizon", "chunk_dt_s", "at_floor", "unseen")}
        value |= {name: {key: _to_json(scale) for key, scale in getattr(self, name).items()} for name in tables}
        file.write_text(json.dumps(value, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Self:
        """Undo `save`.

        Raises:
            CheckpointError: the file is missing or malformed.
        """
        try:
            value = json.loads(file.read_bytes())
            steps = int(value["horizon"])
            return cls(
                horizon=steps,
                chunk_dt_s=float(value["chunk_dt_s"]),
                wrists={side: _from_json(value["wrists"][side], (steps, WRIST_DIM)) for side in SIDES},
                hands={str(key): _from_json(table, (steps, -1)) for key, table in value["hands"].items()},
                states={str(key): _from_json(table, (-1,)) for key, table in value["states"].items()},
                at_floor=tuple(map(str, value["at_floor"])),
                unseen=tuple(map(str, value["unseen"])),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"is not a table of statistics: {error}", where=str(file)) from None


def hand_key(space: str, side: Side) -> str:
    """Key of one hand's columns in `Statistics.hands`, e.g. ``acme/hand@1 left``."""
    return f"{space} {side}"


def pool_statistics(parts: Sequence[RelativeStatistics]) -> Statistics:
    """Pool datasets: wrists over all of them, hands per hand space and side, states per embodiment.

    A side of which no dataset has a valid wrist takes the mirrored scale of the other side.

    Raises:
        RecipeError: the parts differ in horizon or step, or in the columns of what they share.
    """
    first = parts[0]
    if any((part.horizon, part.chunk_dt_s) != (first.horizon, first.chunk_dt_s) for part in parts):
        raise RecipeError("datasets of one mixture need the same horizon and chunk_dt_s")
    wrists, hands, states = _Pool(), _Pool(), _Pool()
    for part in parts:
        layout = part.layout
        for side, space in layout.hand_spaces:
            for pool, key, group in ((wrists, side, "wrist"), (hands, hand_key(space.id, side), "hand")):
                block = layout.blocks[f"{side}_{group}"]
                pool.add(str(key), part.chunk.columns(block), layout.names[block], layout.units[block])
        states.add(part.embodiment, part.state, part.state_layout.names, part.state_layout.units)
    return Statistics(
        horizon=first.horizon,
        chunk_dt_s=first.chunk_dt_s,
        wrists=_both_sides(wrists.scales(), wrists, first.horizon),
        hands=hands.scales(),
        states=states.scales(),
        at_floor=(*wrists.at_floor, *hands.at_floor, *states.at_floor),
        unseen=(*wrists.unseen, *hands.unseen, *states.unseen),
    )


@dataclass
class _Pool:
    """Sketches under their keys, and the columns that stood out while scales were made of them."""

    sketches: dict[str, QuantileSketch] = field(default_factory=dict)
    columns: dict[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    at_floor: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def add(self, key: str, sketch: QuantileSketch, names: Sequence[str], units: Sequence[str]) -> None:
        if key in self.sketches:
            if self.columns[key] != (names, units):
                raise RecipeError(f"two datasets have different columns under the same id {key!r}")
            sketch = self.sketches[key].merge(sketch)
        self.sketches[key], self.columns[key] = sketch, (names, units)

    def scales(self) -> dict[str, Scale]:
        return {key: self._scale(key) for key in self.sketches}

    def _scale(self, key: str) -> Scale:
        sketch, (names, units) = self.sketches[key], self.columns[key]
        low, high, seen = sketch.quantile(0.01), sketch.quantile(0.99), sketch.count > 0
        floor = np.array([FLOORS[unit] for unit in units])
        center = _fill_steps(np.where(seen, (low + high) / 2, 0), seen)
        half = _fill_steps(np.where(seen, np.maximum((high - low) / 2, floor), 1), seen)
        still = np.asarray((((high - low) / 2 <= floor) | ~seen).reshape(-1, len(names)).all(0))
        never = np.asarray((~seen).reshape(-1, len(names)).all(0))
        self.at_floor += [f"{key}: {name}" for name, flag in zip(names, still & ~never, strict=True) if flag]
        self.unseen += [f"{key}: {name}" for name, flag in zip(names, never, strict=True) if flag]
        return Scale(center.astype(np.float32), half.astype(np.float32))


def _fill_steps(values: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give a step of a chunk that no window reaches the numbers of the step before."""
    if values.ndim == 2:
        for step in range(1, len(values)):
            values[step] = np.where(seen[step], values[step], values[step - 1])
    return values


def _both_sides(wrists: dict[str, Scale], pool: _Pool, horizon: int) -> dict[str, Scale]:
    known = {side: scale for side, scale in wrists.items() if pool.sketches[side].count.any()}
    neutral = Scale(np.zeros((horizon, WRIST_DIM), np.float32), np.ones((horizon, WRIST_DIM), np.float32))
    other = next(iter(known.values()), neutral)
    return {side: known.get(side, Scale(other.center * _MIRROR, other.half)) for side in SIDES}


def _to_json(scale: Scale) -> dict[str, Any]:
    return {"center": scale.center.tolist(), "half": scale.half.tolist()}


def _from_json(value: dict[str, Any], shape: tuple[int, ...]) -> Scale:
    center, half = (np.array(value[part], np.float32).reshape(shape) for part in ("center", "half"))
    if center.shape != half.shape or not np.isfinite(center).all() or not (np.isfinite(half) & (half > 0)).all():
        raise ValueError("scales are finite and positive")
    return Scale(center, half)
