"""Retargeting a dataset: a new action set beside what was recorded, in tasks that engines do and commits that stay."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from pydantic import ValidationError

from egoscale_sdk.data import Dataset, EpisodeRef
from egoscale_sdk.engine import Engine, LocalEngine
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import Retargeter
from egoscale_sdk.progress import Progress, Rate, silent
from egoscale_sdk.retargeting.derive import Derive, SegmentTask, Tally
from egoscale_sdk.specs import (
    ActionSetSpec,
    EmbodimentSpec,
    Provider,
    RetargetingRecord,
    Side,
    action_fingerprint,
)

TASK_ROWS = 1 << 17  # of one task and one commit, unless a segment is longer: about an hour


@dataclass(frozen=True)
class RetargetSummary:
    """What a retargeting of a dataset came to.

    Attributes:
        action_set: Name of the new action set.
        episodes: Episodes retargeted.
        hand_frames: Hand-frames that hold keypoints.
        valid_share: Share of them that were determined.
        residual_median_m: Median of the residual over valid hand-frames, metres, to 0.25 %.
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
    engine: Engine | None = None,
    progress: Progress = silent,
) -> RetargetSummary:
    """Add an action set for ``target`` to a dataset of people (keypoints in wrist axes), or what an existing one lacks.

    Base segments stay as they are. About an hour of recording is one task and one commit: when the work is stopped,
    killed included, what was committed stays, and doing it again does only the rest (`Dataset.missing_segments`). The
    same rows come out whatever engine does the tasks and however often it was stopped.

    Raises:
        DataError: the dataset is not of people, or a set of this name that was made differently.
        EgoscaleError: see `Engine.map`.
    """
    try:
        spec = _action_set(dataset, target, retargeters, provider, name or set_name(target.id))
    except ValidationError as error:
        raise DataError(f"{name!r}: {error.errors()[0]['msg']}", where="--name") from None
    if any(hand.representation != "keypoints" for hand in dataset.declaration.spec.hands):
        raise DataError("holds no hand keypoints; only recordings of people are retargeted", where=dataset.where)
    dataset.check_action_set(spec)
    tasks, tally, rate = _tasks(dataset, spec.name), Tally(), Rate()
    total = sum(len(part.episodes) for task in tasks for part in task)
    work = Derive(dataset, spec, retargeters)
    with closing((engine or LocalEngine()).map(work, tasks, _task_name)) as results:
        for _, (additions, counted) in results:
            dataset.commit_derived(spec, additions)
            tally.merge(counted)
            progress(tally.episodes, total, f"{tally.hand_frames} hand-frames, {rate(tally.hand_frames)}/s")
    dataset.commit_derived(spec, [])  # where there was nothing to retarget, the set is declared all the same
    return _summary(spec.name, tally)


def _tasks(dataset: Dataset, name: str) -> list[tuple[SegmentTask, ...]]:
    """Segments that the set lacks, some `TASK_ROWS` together."""
    missing = dataset.missing_segments(name)
    episodes: dict[str, list[EpisodeRef]] = {segment: [] for segment in missing}
    for episode in dataset.episodes:
        if episode.segment in missing:
            episodes[episode.segment].append(replace(episode, labels={}))
    tasks: list[tuple[SegmentTask, ...]] = []
    task: list[SegmentTask] = []
    for segment, rows in missing.items():
        if task and sum(part.rows for part in task) + rows > TASK_ROWS:
            tasks.append(tuple(task))
            task = []
        task.append(SegmentTask(segment, rows, tuple(episodes[segment])))
    return [*tasks, tuple(task)] if task else tasks


def _task_name(task: Sequence[SegmentTask]) -> str:
    return ", ".join(part.segment for part in task)


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


def _summary(name: str, tally: Tally) -> RetargetSummary:
    median, p95 = (float(tally.residuals_m.quantile(share)[0]) for share in (0.5, 0.95))
    return RetargetSummary(
        action_set=name,
        episodes=tally.episodes,
        hand_frames=tally.hand_frames,
        valid_share=tally.valid_frames / max(1, tally.hand_frames),
        residual_median_m=median,
        residual_p95_m=p95,
    )
