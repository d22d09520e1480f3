"""What a worker does: episodes of base segments in, derived objects out, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egoscale_sdk.data import Dataset, EpisodeRef
from egoscale_sdk.data.records import Addition
from egoscale_sdk.data.sketch import QuantileSketch
from egoscale_sdk.data.writer import CONF_STEPS
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import Motion, Retargeter, RetargetResult
from egoscale_sdk.retargeting.kernels.build import BuildError, compiler
from egoscale_sdk.specs import ActionSetSpec, RowLayout, Side

Floats = NDArray[Any]
MAX_GAP_FRAMES = 16  # more than any smoothing reaches
BATCH_ROWS = 1 << 17  # of episodes that are retargeted in one call, unless one is longer
BLOCK_ROWS = 1 << 14  # that are put together and written at once


@dataclass(frozen=True)
class SegmentTask:
    """One base segment with the episodes that it shows."""

    segment: str
    rows: int
    episodes: tuple[EpisodeRef, ...]


class Tally:
    """Counts of hand-frames, which add up in any order."""

    def __init__(self) -> None:
        self.episodes = self.hand_frames = self.valid_frames = 0
        self.residuals_m = QuantileSketch((1,))

    def add(self, known: Floats, valid: Floats, residual_m: Floats) -> None:
        """Count rows of hands, ``(n, hands)`` each."""
        self.hand_frames += int(known.sum())
        self.valid_frames += int(valid.sum())
        self.residuals_m.add(residual_m.reshape(-1, 1), valid.reshape(-1, 1) > 0)

    def merge(self, other: Tally) -> None:
        """Add what another has counted."""
        self.episodes += other.episodes
        self.hand_frames += other.hand_frames
        self.valid_frames += other.valid_frames
        self.residuals_m = self.residuals_m.merge(other.residuals_m)


@dataclass(frozen=True)
class Derive:
    """Retargets base segments of a dataset for an action set; a worker is given it once."""

    dataset: Dataset
    spec: ActionSetSpec
    retargeters: dict[Side, Retargeter]

    def __call__(self, task: Sequence[SegmentTask]) -> tuple[list[Addition], Tally]:
        """Write the derived objects of some segments, which are not published yet, and count.

        Raises:
            DataError: the set's record names compiled kernels, and there is no compiler here.
        """
        self._need_kernels()
        tally = Tally()
        done = self._episodes([episode for part in task for episode in part.episodes])
        return [self._segment(part, done, tally) for part in task], tally

    def _need_kernels(self) -> None:
        """All of a set has the same bits: without the kernels that it was begun with they would be others."""
        record = self.spec.retargeting
        if record is not None and record.parameters.get("backend") == "simd":
            try:
                compiler()
            except BuildError as error:
                raise DataError(
                    f"action set {self.spec.name!r} is made with compiled kernels (back end simd), and {error}",
                    where=self.dataset.where,
                    hint="install one, or make another set with --name NAME --backend eager",
                ) from None

    def _segment(self, part: SegmentTask, done: Iterator[Iterator[dict[str, Floats]]], tally: Tally) -> Addition:
        layout = self.spec.layout
        hands = [layout.groups.index(f"{side}_hand") for side in layout.sides]
        with self.dataset.derived_writer(self.spec, part.segment) as writer:
            for episode in part.episodes:
                writer.add(_empty(episode.start - writer.rows, layout))  # rows of episodes that are hidden
                for block in next(done):
                    tally.add(block.pop("known")[:, hands], block["valid"][:, hands], block["residual_m"][:, hands])
                    writer.add(block)
                tally.episodes += 1
            writer.add(_empty(part.rows - writer.rows, layout))
            return writer.finish()

    def _episodes(self, episodes: Sequence[EpisodeRef]) -> Iterator[Iterator[dict[str, Floats]]]:
        """Yield the rows of each episode, in blocks; short ones are retargeted together."""
        source, layout = self.dataset.declaration.native.layout, self.spec.layout
        sides: list[Side] = [side for side in layout.sides if side in source.sides]
        for batch in _batches(episodes):
            rows = [PersonRows(self.dataset, episode) for episode in batch]
            hands = [{side: HandMotion(part, source, side) for side in sides} for part in rows]
            found = {side: self.retargeters[side].retarget_all([each[side] for each in hands]) for side in sides}
            for number, part in enumerate(rows):
                results = {side: _of_rows(found[side][number], hands[number][side]) for side in sides}
                yield _blocks(part, source, layout, results)


class PersonRows:
    """The rows of one episode of a person; of a long one the actions are read as they are asked for.

    Attributes:
        valid: ``(T, G)`` uint8.
        conf_steps: ``(T, G)`` uint8.
        frames: ``(T,)`` which evenly spaced frame each row is.
        even: Whether frames and rows are the same.
    """

    def __init__(self, dataset: Dataset, episode: EpisodeRef) -> None:
        segment, stop = dataset.segment(episode.segment), episode.start + episode.length
        self._action, self._start = segment.array("action"), episode.start
        self._held = self._action.read(episode.start, stop) if episode.length <= BATCH_ROWS else None
        self.valid = segment.array("valid").read(episode.start, stop)
        self.conf_steps = segment.array("conf").read(episode.start, stop)
        self.frames = evenly_spaced(segment.array("time").read(episode.start, stop))
        self.even = not len(self) or int(self.frames[-1]) + 1 == len(self)

    def __len__(self) -> int:
        return len(self.valid)

    def action(self, rows: slice) -> Floats:
        """Actions ``(n, D)`` of some rows."""
        if self._held is not None:
            return self._held[rows]
        start, stop, step = rows.indices(len(self))
        if step == 1:
            return self._action.read(self._start + start, self._start + max(start, stop))
        return self._action.take(self._start + np.arange(start, stop, step))

    def action_at(self, rows: NDArray[np.int64]) -> Floats:
        """Actions ``(n, D)`` of rows by their numbers."""
        return self._held[rows] if self._held is not None else self._action.take(self._start + rows)


class HandMotion(Motion):
    """One hand of one episode, evenly spaced: frames without a row, and rows without a hand, are missing."""

    def __init__(self, rows: PersonRows, source: RowLayout, side: Side) -> None:
        self.rows, self._columns = rows, source.blocks[f"{side}_hand"]
        self._group = source.groups.index(f"{side}_hand")

    def __len__(self) -> int:
        return int(self.rows.frames[-1]) + 1 if len(self.rows) else 0

    def read(self, frames: slice) -> tuple[Tensor, Tensor]:
        """See `Motion.read`."""
        if self.rows.even:
            points, seen = self.rows.action(frames)[:, self._columns], self._seen(frames)
        else:
            wanted = np.arange(*frames.indices(len(self)))
            row = np.searchsorted(self.rows.frames, wanted)
            points = self.rows.action_at(row)[:, self._columns]
            seen = np.where(self.rows.frames[row] == wanted, self._seen(row), np.float32(0))
        points = np.where(seen[:, None] > 0, points, np.float32(np.nan)).reshape(-1, 21, 3)
        return torch.from_numpy(points), torch.from_numpy(seen)[:, None].expand(-1, 21)

    def _seen(self, rows: slice | NDArray[np.int64]) -> Floats:
        """Confidence ``(n,)`` float32 in [0, 1], 0 where there is no hand."""
        sure = self.rows.conf_steps[rows, self._group].astype(np.float32) / np.float32(CONF_STEPS)
        return sure * (self.rows.valid[rows, self._group] > 0)


def evenly_spaced(time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which frame each of ``(T,)`` rows is, if none were missing; a long gap is shortened."""
    steps = np.diff(time_ns)
    period = np.median(steps) if len(steps) else 1
    missing = np.clip(np.round(steps / period), 1, MAX_GAP_FRAMES).astype(np.int64)
    return np.concatenate([np.zeros(min(1, len(time_ns)), np.int64), np.cumsum(missing)])


def _of_rows(result: RetargetResult, motion: HandMotion) -> dict[str, Floats]:
    """Joints, residual and validity of the rows that a motion was made of."""
    every = {"joints": result.joints, "residual_m": result.residual_m, "valid": result.valid}
    rows = motion.rows
    return {name: (values if rows.even else values[rows.frames]).numpy() for name, values in every.items()}


def _blocks(
    rows: PersonRows, source: RowLayout, layout: RowLayout, results: dict[Side, dict[str, Floats]]
) -> Iterator[dict[str, Floats]]:
    """Rows of the target: wrists as recorded, hands retargeted; ``known`` marks hands that were recorded."""
    for start in range(0, len(rows), BLOCK_ROWS):
        some = slice(start, start + BLOCK_ROWS)
        action, valid = rows.action(some), rows.valid[some]
        out = _empty(len(action), layout)
        out["known"] = np.zeros_like(out["valid"])
        for side, result in results.items():
            wrist, hand = f"{side}_wrist", f"{side}_hand"
            out["action"][:, layout.blocks[wrist]] = action[:, source.blocks[wrist]]
            out["valid"][:, layout.groups.index(wrist)] = valid[:, source.groups.index(wrist)]
            column, good = layout.groups.index(hand), result["valid"][some]
            out["action"][:, layout.blocks[hand]] = np.where(good[:, None], result["joints"][some], 0)
            out["residual_m"][:, column] = np.where(good, result["residual_m"][some], 0)
            out["valid"][:, column], out["known"][:, column] = good, valid[:, source.groups.index(hand)] > 0
        yield out


def _empty(length: int, layout: RowLayout) -> dict[str, Floats]:
    groups = len(layout.groups)
    return {
        "action": np.zeros((length, layout.dim), np.float32),
        "valid": np.zeros((length, groups), np.uint8),
        "residual_m": np.zeros((length, groups), np.float32),
    }


def _batches(episodes: Sequence[EpisodeRef]) -> Iterator[list[EpisodeRef]]:
    batch: list[EpisodeRef] = []
    for episode in episodes:
        if batch and sum(each.length for each in batch) + episode.length > BATCH_ROWS:
            yield batch
            batch = []
        batch.append(episode)
    if batch:
        yield batch
