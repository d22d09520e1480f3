"""Retargeting a dataset: a new action set beside what was recorded, in one commit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from egoscale_sdk.data import Dataset, EpisodeRows
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import Retargeter, RetargetResult
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import (
    ActionSetSpec,
    EmbodimentSpec,
    Provider,
    RetargetingRecord,
    RowLayout,
    Side,
    action_fingerprint,
)

Floats = NDArray[Any]
MAX_GAP_FRAMES = 16  # more than any smoothing reaches


@dataclass(frozen=True)
class RetargetSummary:
    """What a retargeting of a dataset came to.

    Attributes:
        action_set: Name of the new action set.
        episodes: Episodes retargeted.
        hand_frames: Hand-frames that hold keypoints.
        valid_share: Share of them that were determined.
        residual_median_m: Median of the residual over valid hand-frames, metres.
        residual_p95_m: 95th percentile of it.
    """

    action_set: str
    episodes: int
    hand_frames: int
    valid_share: float
    residual_median_m: float
    residual_p95_m: float


def set_name(embodiment: str) -> str:
    """Name of the action set for a target: ``acme/hand@1`` becomes ``acme_hand``."""
    return embodiment.split("@")[0].replace("/", "_")


def retarget_dataset(
    dataset: Dataset,
    target: EmbodimentSpec,
    retargeters: dict[Side, Retargeter],
    provider: Provider,
    *,
    name: str | None = None,
    progress: Progress = silent,
) -> RetargetSummary:
    """Add an action set for ``target`` to a dataset of people (keypoints in wrist axes), or what an existing one lacks.

    Base segments stay as they are; the set appears in one commit, or not at all.

    Raises:
        DataError: the dataset is not of people, or a set of this name that was made differently.
    """
    try:
        spec = _action_set(dataset, target, retargeters, provider, name or set_name(target.id))
    except ValidationError as error:
        raise DataError(f"{name!r}: {error.errors()[0]['msg']}", where="--name") from None
    if any(hand.representation != "keypoints" for hand in dataset.declaration.spec.hands):
        raise DataError("holds no hand keypoints; only recordings of people are retargeted", where=str(dataset.path))
    tally = _Tally(spec.layout)
    dataset.add_action_set(spec, _derive(dataset, spec, retargeters, tally, progress))
    return tally.summary(spec.name)


def _derive(
    dataset: Dataset,
    spec: ActionSetSpec,
    retargeters: dict[Side, Retargeter],
    tally: _Tally,
    progress: Progress,
) -> Iterator[tuple[str, dict[str, Floats]]]:
    """Yield the new arrays of every base segment that has none yet."""
    missing = dataset.missing_segments(spec.name)
    total = sum(episode.segment in missing for episode in dataset.episodes)
    for segment, length in missing.items():
        arrays = _empty(length, spec.layout)
        for episode in dataset.episodes:
            if episode.segment == segment:
                rows = slice(episode.start, episode.start + episode.length)
                part = _retarget_rows(
                    dataset.rows(episode, raw=False), dataset.declaration.native.layout, spec.layout, retargeters
                )
                tally.add(part)
                progress(tally.episodes, total, f"{tally.hand_frames} hand-frames")
                for key, values in part.items():
                    if key in arrays:
                        arrays[key][rows] = values
        yield segment, arrays


def _empty(length: int, layout: RowLayout) -> dict[str, Floats]:
    groups = len(layout.groups)
    return {
        "action": np.zeros((length, layout.dim), np.float32),
        "valid": np.zeros((length, groups), np.uint8),
        "residual_m": np.zeros((length, groups), np.float32),
    }


def _retarget_rows(
    rows: EpisodeRows, source: RowLayout, layout: RowLayout, retargeters: dict[Side, Retargeter]
) -> dict[str, Floats]:
    """Rows of the target for one episode: wrists as recorded, hands retargeted; ``known`` marks seen hands."""
    out = _empty(len(rows.action), layout)
    out["known"] = np.zeros_like(out["valid"])
    frames = _evenly_spaced(rows.time_ns)
    for side in layout.sides:
        if side in source.sides:
            wrist, hand = f"{side}_wrist", f"{side}_hand"
            out["action"][:, layout.blocks[wrist]] = rows.action[:, source.blocks[wrist]]
            out["valid"][:, layout.groups.index(wrist)] = rows.valid[:, source.groups.index(wrist)]
            column = layout.groups.index(hand)
            known = rows.valid[:, source.groups.index(hand)] > 0
            seen = known if rows.conf is None else known * rows.conf[:, source.groups.index(hand)]
            result = _retarget_hand(retargeters[side], rows.action[:, source.blocks[hand]], seen, frames)
            good = result.valid.numpy()
            out["action"][:, layout.blocks[hand]] = np.where(good[:, None], result.joints.numpy(), 0.0)
            out["residual_m"][:, column] = np.where(good, result.residual_m.numpy(), 0.0)
            out["valid"][:, column], out["known"][:, column] = good, known
    return out


def _retarget_hand(
    retargeter: Retargeter, keypoints: Floats, seen: Floats, frames: NDArray[np.int64]
) -> RetargetResult:
    """Retarget one hand of one episode.

    Args:
        retargeter: Of that side.
        keypoints: ``(T, 63)``.
        seen: ``(T,)`` in [0, 1], 0 where there is no hand.
        frames: ``(T,)`` which evenly spaced frame each row is; frames without a row hold no hand.
    """
    length = int(frames[-1]) + 1 if len(frames) else 0
    points, confidence = np.full((length, 21, 3), np.nan), np.zeros((length, 21))
    points[frames] = np.where((seen > 0)[:, None, None], keypoints.reshape(-1, 21, 3), np.nan)
    confidence[frames] = seen[:, None]
    result = retargeter.retarget(torch.from_numpy(points), torch.from_numpy(confidence))
    return RetargetResult(result.joints[frames], result.residual_m[frames], result.valid[frames])


def _evenly_spaced(time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which frame each of ``(T,)`` rows is, if none were missing; a long gap is shortened."""
    steps = np.diff(time_ns)
    period = np.median(steps) if len(steps) else 1
    missing = np.clip(np.round(steps / period), 1, MAX_GAP_FRAMES).astype(np.int64)
    return np.concatenate([np.zeros(min(1, len(time_ns)), np.int64), np.cumsum(missing)])


def _action_set(
    dataset: Dataset,
    target: EmbodimentSpec,
    retargeters: dict[Side, Retargeter],
    provider: Provider,
    name: str,
) -> ActionSetSpec:
    first = next(iter(retargeters.values()))
    return ActionSetSpec(
        name=name,
        embodiment=target.id,
        action_fingerprint=action_fingerprint(target),
        hand_spaces=target.hand_spaces,
        action_source=dataset.declaration.native.action_source,
        lead_s=dataset.declaration.native.lead_s,
        spec=target,
        retargeting=RetargetingRecord(
            retargeter=first.id, version=first.version, provider=provider, parameters=dict(first.parameters)
        ),
    )


class _Tally:
    """Counts while episodes stream by."""

    def __init__(self, layout: RowLayout) -> None:
        self.hands = [layout.groups.index(f"{side}_hand") for side in layout.sides]
        self.episodes, self.hand_frames, self.valid_frames = 0, 0, 0
        self.residuals: list[Floats] = []

    def add(self, rows: dict[str, Floats]) -> None:
        good = rows["valid"][:, self.hands] > 0
        self.episodes += 1
        self.hand_frames += int(rows["known"][:, self.hands].sum())
        self.valid_frames += int(good.sum())
        self.residuals.append(rows["residual_m"][:, self.hands][good])

    def summary(self, name: str) -> RetargetSummary:
        residuals = np.concatenate(self.residuals) if self.residuals else np.zeros(0)
        return RetargetSummary(
            action_set=name,
            episodes=self.episodes,
            hand_frames=self.hand_frames,
            valid_share=self.valid_frames / max(1, self.hand_frames),
            residual_median_m=float(np.median(residuals)) if len(residuals) else 0.0,
            residual_p95_m=float(np.percentile(residuals, 95)) if len(residuals) else 0.0,
        )
