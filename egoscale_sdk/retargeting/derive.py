"""What a worker does: episodes of base segments in, derived objects out, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egoscale_sdk.data import Dataset, EpisodeRef, EpisodeRows
from egoscale_sdk.data.log import Addition
from egoscale_sdk.data.sketch import QuantileSketch
from egoscale_sdk.interfaces import Motion, Retargeter, RetargetResult
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
        """Write the derived objects of some segments, which are not published yet, and count."""
        tally = Tally()
        done = self._episodes([episode for part in task for episode in part.episodes])
        return [self._segment(part, done, tally) for part in task], tally

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
            rows = [self.dataset.rows(episode, raw=False) for episode in batch]
            hands = [{side: hand_motion(part, source, side) for side in sides} for part in rows]
            found = {side: self.retargeters[side].retarget_all([each[side] for each in hands]) for side in sides}
            for number, part in enumerate(rows):
                results = {side: _of_rows(found[side][number], hands[number][side]) for side in sides}
                yield _blocks(part, source, layout, results)


class HandMotion(Motion):
    """One hand of one episode, evenly spaced: frames without a row, and rows without a hand, are missing.

    Args:
        keypoints: ``(T, 63)`` float32.
        seen: ``(T,)`` float32 in [0, 1], 0 where there is no hand.
        frames: ``(T,)`` which frame each row is.
    """

    def __init__(self, keypoints: Floats, seen: Floats, frames: NDArray[np.int64]) -> None:
        self._keypoints, self._seen, self.frames = keypoints, seen, frames
        self.even = len(self) == len(frames)

    def __len__(self) -> int:
        return int(self.frames[-1]) + 1 if len(self.frames) else 0

    def read(self, frames: slice) -> tuple[Tensor, Tensor]:
        """See `Motion.read`."""
        if self.even:
            points, seen = self._keypoints[frames], self._seen[frames]
        else:
            wanted = np.arange(*frames.indices(len(self)))
            row = np.searchsorted(self.frames, wanted)
            points, seen = self._keypoints[row], np.where(self.frames[row] == wanted, self._seen[row], np.float32(0))
        points = np.where(seen[:, None] > 0, points, np.float32(np.nan)).reshape(-1, 21, 3)
        return torch.from_numpy(points), torch.from_numpy(seen)[:, None].expand(-1, 21)


def hand_motion(rows: EpisodeRows, source: RowLayout, side: Side) -> HandMotion:
    """The motion of one hand of an episode of people."""
    column = source.groups.index(f"{side}_hand")
    seen = (rows.valid[:, column] > 0) * rows.conf[:, column]
    return HandMotion(rows.action[:, source.blocks[f"{side}_hand"]], seen, evenly_spaced(rows.time_ns))


def evenly_spaced(time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which frame each of ``(T,)`` rows is, if none were missing; a long gap is shortened."""
    steps = np.diff(time_ns)
    period = np.median(steps) if len(steps) else 1
    missing = np.clip(np.round(steps / period), 1, MAX_GAP_FRAMES).astype(np.int64)
    return np.concatenate([np.zeros(min(1, len(time_ns)), np.int64), np.cumsum(missing)])


def _of_rows(result: RetargetResult, motion: HandMotion) -> dict[str, Floats]:
    """Joints, residual and validity of the rows that a motion was made of."""
    every = {"joints": result.joints, "residual_m": result.residual_m, "valid": result.valid}
    return {name: (values if motion.even else values[motion.frames]).numpy() for name, values in every.items()}


def _blocks(
    rows: EpisodeRows, source: RowLayout, layout: RowLayout, results: dict[Side, dict[str, Floats]]
) -> Iterator[dict[str, Floats]]:
    """Rows of the target: wrists as recorded, hands retargeted; ``known`` marks hands that were recorded."""
    for start in range(0, len(rows.action), BLOCK_ROWS):
        some = slice(start, start + BLOCK_ROWS)
        out = _empty(len(rows.action[some]), layout)
        out["known"] = np.zeros_like(out["valid"])
        for side, result in results.items():
            wrist, hand = f"{side}_wrist", f"{side}_hand"
            out["action"][:, layout.blocks[wrist]] = rows.action[some, source.blocks[wrist]]
            out["valid"][:, layout.groups.index(wrist)] = rows.valid[some, source.groups.index(wrist)]
            column, good = layout.groups.index(hand), result["valid"][some]
            out["action"][:, layout.blocks[hand]] = np.where(good[:, None], result["joints"][some], 0)
            out["residual_m"][:, column] = np.where(good, result["residual_m"][some], 0)
            out["valid"][:, column], out["known"][:, column] = good, rows.valid[some, source.groups.index(hand)] > 0
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
