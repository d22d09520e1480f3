"""Rows of many windows at once: gathered segment by segment, resampled together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.images import Jpeg
from egoscale_sdk.data.places import Standing
from egoscale_sdk.data.resample import Brackets, bracket, mix_rows
from egoscale_sdk.data.segment import Segment, StoredObject
from egoscale_sdk.specs import RowLayout

Array = NDArray[Any]


class RowSource(Protocol):
    """Rows of one segment, or of a part of it; they keep the numbers that they have in the segment."""

    def take(self, name: str, rows: Array) -> Array:
        """Return ``(*b, ...)`` of an array at ``rows (*b)``; ``action`` and ``valid`` are those of the action set."""

    def jpegs(self, camera: str, rows: Array) -> Sequence[Jpeg | None]:
        """Return what a camera shows at ``rows (n,)``; None where nothing."""


class SegmentRows:
    """Rows of a segment on a local disk."""

    def __init__(self, segment: Segment, derived: StoredObject | None) -> None:
        self._segment = segment
        self._actions = derived or segment

    def take(self, name: str, rows: Array) -> Array:
        """See `RowSource`."""
        source = self._actions if name in ("action", "valid") else self._segment
        return source.array(name).take(rows)

    def jpegs(self, camera: str, rows: Array) -> list[Jpeg | None]:
        """See `RowSource`."""
        if not len(rows):
            return []
        images = self.take(f"cams/{camera}/row", rows)
        seen = images >= 0
        offsets, data = (self._segment.array(f"cams/{camera}/{name}") for name in ("offsets", "data"))
        bounds = offsets.take(np.maximum(images, 0)[:, None] + [0, 1]).tolist() if seen.any() else images[:, None]
        return [data.read(*ends) if here else None for here, ends in zip(seen.tolist(), bounds, strict=True)]


@dataclass(frozen=True)
class Part:
    """Windows of a batch that one source has: their places in the batch, or all of it."""

    source: RowSource
    where: Array | slice


@dataclass(frozen=True)
class Sampled:
    """Rows at the times that were asked for: values ``(B, Q, D)`` and validity ``(B, Q, G)`` bool."""

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]


class Gatherer:
    """Reads one batch.

    Args:
        parts: Where its windows are.
        standing: At which rows they stand.
    """

    def __init__(self, parts: Sequence[Part], standing: Standing) -> None:
        self._parts, self.standing = parts, standing

    def take(self, name: str, rows: Array) -> Array:
        """Return ``(B, ...)`` of an array at ``rows (B,)`` or ``(B, Q)``."""
        if len(self._parts) == 1:
            return self._parts[0].source.take(name, rows)
        found = [part.source.take(name, rows[part.where]) for part in self._parts]
        out = np.empty((len(rows), *found[0].shape[1:]), found[0].dtype)
        for part, values in zip(self._parts, found, strict=True):
            out[part.where] = values
        return out

    def jpegs(self, camera: str, rows: Array, wanted: NDArray[np.bool_]) -> list[Jpeg | None]:
        """Return what a camera shows at ``rows (B, Q)`` where wanted, ``B * Q`` in all; None where nothing."""
        found: list[Jpeg | None] = [None] * rows.size
        places = np.arange(rows.size).reshape(rows.shape)
        for part in self._parts:
            here = wanted[part.where]
            jpegs = part.source.jpegs(camera, rows[part.where][here])
            for place, jpeg in zip(places[part.where][here].tolist(), jpegs, strict=True):
                found[place] = jpeg
        return found

    def around(self, offsets_ns: Array, fps: float) -> Brackets:
        """Find the rows around ``offsets_ns (Q,)`` from where each window stands; they count in the segment."""
        low, high = self.standing.low[:, None], self.standing.high[:, None]
        period_ns = 1e9 / fps
        back, ahead = (
            math.ceil(max(0, -offsets_ns.min()) / period_ns),
            math.ceil(max(0, offsets_ns.max()) / period_ns) + 1,
        )
        while True:
            rows = np.clip(self.standing.row[:, None] + np.arange(-back, ahead + 1), low, high - 1)
            time_ns = self.take("time", rows)
            wanted = time_ns[:, back : back + 1] + offsets_ns
            early = (time_ns[:, :1] <= wanted.min(1, keepdims=True)) | (rows[:, :1] == low)
            late = (time_ns[:, -1:] >= wanted.max(1, keepdims=True)) | (rows[:, -1:] == high - 1)
            if early.all() and late.all():
                break
            back, ahead = back * (1 if early.all() else 2), ahead * (1 if late.all() else 2)
        found = bracket(time_ns, wanted, fps)
        number = np.arange(len(rows))[:, None]
        return Brackets(rows[number, found.before], rows[number, found.after], found.share, found.usable)

    def sample(self, values: str, valid: str, at: Brackets, layout: RowLayout) -> Sampled:
        """Resample rows; what is not valid throughout is masked."""
        nearest = at.newest
        out, here = self.take(values, nearest), self.take(valid, nearest) == 1
        between = at.between
        if between.any():
            number, query = np.nonzero(between)
            other = np.where(between, at.after, nearest)
            after, after_valid = self.take(values, other)[number, query], self.take(valid, other)[number, query] == 1
            out[number, query] = mix_rows(out[number, query], after, at.share[number, query], layout)
            here[number, query] &= after_valid
        return Sampled(out, here & at.usable[..., None])
