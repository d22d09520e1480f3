"""A dataset against a checkpoint: is its embodiment trained, and do its numbers lie where the policy expects them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.doctor.base import Array
from egoscale_sdk.data.scales import FLOORS, Scale, Statistics
from egoscale_sdk.data.statistics import RelativeStatistics, relative_statistics
from egoscale_sdk.data.validation import Finding
from egoscale_sdk.data.windows import WindowDataset
from egoscale_sdk.errors import CheckpointError
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import ActionSetSpec, EmbodimentSpec, RowLayout, action_meaning
from egoscale_sdk.specs.compare import diff_meaning

BEYOND = 0.25
"""How far beyond [-1, 1] the 5 % and 95 % quantiles may lie."""
SQUEEZED = 0.05
FLAT = 0.6
"""A relative motion spreads with time; a scale as wide at the first step as at the last is of absolute numbers."""
SHOWN = 6
RECOMPUTE = "train on with --set data.statistics=recompute, or retrain; see that both datasets are in the same units"


@dataclass(frozen=True)
class Expected:
    """What a checkpoint expects of one dataset; ``name`` is how it is called in messages.

    Attributes:
        name: Path of the checkpoint.
        specs: Spec of every trained embodiment by id.
        fingerprints: Action fingerprint by id.
        cameras: Trained cameras by id.
        statistics: Its scales.
    """

    name: str
    specs: Mapping[str, EmbodimentSpec]
    fingerprints: Mapping[str, str]
    cameras: Mapping[str, tuple[str, ...]]
    statistics: Statistics


def against_checkpoint(
    dataset: Dataset, expected: Expected, action_set: str | None = None, progress: Progress = silent
) -> list[Finding]:
    """Compare embodiment, fingerprint, cameras, rate and the spread of chunks and states with a checkpoint.

    Raises:
        DataError: the dataset has several action sets, or no window.
    """
    chosen = dataset.action_set(action_set)
    if chosen.embodiment not in expected.specs:
        trained = ", ".join(sorted(expected.specs))
        message = f"{expected.name} was not trained for {chosen.embodiment}; it was for {trained}"
        hint = f"retarget to one of them: egoscale retarget {dataset.where} --to ID; or train on this dataset"
        return [Finding("checkpoint_embodiment", "error", chosen.name, message, hint=hint)]
    found = [*_meaning(dataset, chosen, expected), *_cameras(dataset, chosen, expected), *_rate(dataset, expected)]
    if not any(finding.code == "fingerprint" for finding in found):
        statistics = expected.statistics
        windows = WindowDataset(dataset, statistics.horizon, statistics.chunk_dt_s, chosen.name, cameras=())
        found += _spread(relative_statistics(windows, progress), dataset, expected)
    return found


def _meaning(dataset: Dataset, chosen: ActionSetSpec, expected: Expected) -> Iterator[Finding]:
    if chosen.action_fingerprint != expected.fingerprints[chosen.embodiment]:
        mine, theirs = chosen.spec or dataset.declaration.spec, expected.specs[chosen.embodiment]
        differences = diff_meaning(action_meaning(mine), action_meaning(theirs), b_is="checkpoint")
        yield Finding(
            "fingerprint",
            "error",
            chosen.name,
            f"{chosen.embodiment} means something else in {expected.name}: {'; '.join(differences[:3])}",
            len(differences),
            "use the checkpoint of this spec, or import again with the plugin that it was trained with",
        )


def _cameras(dataset: Dataset, chosen: ActionSetSpec, expected: Expected) -> Iterator[Finding]:
    have = {camera.name for camera in dataset.declaration.cameras}
    wanted = set(expected.cameras[chosen.embodiment])
    if missing := sorted(wanted - have):
        message = f"{expected.name} was trained with cameras {', '.join(missing)}, which the dataset lacks: masked"
        hint = "import again with the camera's name as trained"
        yield Finding("camera_missing", "warning", "cameras", message, len(missing), hint)
    if wanted and (extra := sorted(have - wanted)):
        message = f"{expected.name} was not trained with cameras {', '.join(extra)}: they are not looked at"
        yield Finding("camera_extra", "warning", "cameras", message, len(extra), "train on with this dataset")


def _rate(dataset: Dataset, expected: Expected) -> Iterator[Finding]:
    step, period = expected.statistics.chunk_dt_s, 1 / dataset.declaration.fps
    if step < 0.5 * period:
        message = (
            f"chunks step by {step * 1e3:.0f} ms, rows come every {period * 1e3:.0f} ms: most steps are interpolated"
        )
        yield Finding(
            "chunk_dt", "warning", "fps", message, hint="record at a higher rate, or train with a longer step"
        )
    length = expected.statistics.horizon * step
    seconds = [episode.length * period for episode in dataset.episodes]
    short = sum(value < length for value in seconds)
    if short > len(seconds) / 2:
        message = (
            f"{short} of {len(seconds)} episodes are shorter than a chunk of {length:.2f} s: their ends are masked"
        )
        yield Finding("episodes_short", "warning", "episodes", message, short, "record longer episodes")


def _spread(mine: RelativeStatistics, dataset: Dataset, expected: Expected) -> Iterator[Finding]:
    try:
        chunk = expected.statistics.chunk(mine.layout)
    except CheckpointError as error:
        yield Finding("no_statistics", "error", "chunk", error.what, hint=RECOMPUTE)
        return
    yield from _absolute_scale(chunk, mine.layout, expected)
    quantiles = [mine.chunk.quantile(share) for share in (0.01, 0.05, 0.95, 0.99)]
    yield from _compare("chunk", quantiles, mine.chunk.count > 0, chunk, mine.layout, expected)
    embodiment = dataset.declaration.embodiment
    if dataset.declaration.has_state and embodiment in expected.statistics.states:
        scale = expected.statistics.state(embodiment)
        quantiles = [mine.state.quantile(share)[None] for share in (0.01, 0.05, 0.95, 0.99)]
        one = Scale(scale.center[None], scale.half[None])
        yield from _compare("state", quantiles, mine.state.count[None] > 0, one, mine.state_layout, expected)


def _compare(
    of: str, quantiles: list[Array], seen: Array, scale: Scale, layout: RowLayout, expected: Expected
) -> Iterator[Finding]:
    """Compare quantiles ``(H, D)`` with the scales of the checkpoint, column by column."""
    q01, q05, q95, q99 = (scale.normalise(values) for values in quantiles)
    floors = np.array([FLOORS[unit] for unit in layout.units])
    outside: Array = np.any(((q95 > 1 + BEYOND) | (q05 < -1 - BEYOND)) & seen, axis=0)
    if outside.any():
        worst = np.maximum(np.abs(q95), np.abs(q05)).max(0)
        names = [f"{layout.names[i]} ({worst[i]:.1f})" for i in np.argsort(-worst) if outside[i]]
        message = f"over 5 % of the values lie outside q01..q99 of {expected.name}, up to so far: {_listed(names)}"
        yield Finding("outside", "warning", of, message, int(outside.sum()), RECOMPUTE)
    moves = ((quantiles[3] - quantiles[0]) / 2 > floors).any(0)
    narrow: Array = np.all((q99 - q01) / 2 < SQUEEZED, axis=0) & moves & seen.all(0)
    if narrow.any():
        names = [layout.names[i] for i in np.flatnonzero(narrow)]
        message = f"values fill less than {SQUEEZED:.0%} of the scale of {expected.name}: {_listed(names)}"
        yield Finding("squeezed", "warning", of, message, len(names), RECOMPUTE)


def _absolute_scale(chunk: Scale, layout: RowLayout, expected: Expected) -> Iterator[Finding]:
    """Find wrist scales that are as wide at the first step as at the last."""
    columns = [
        block.start + axis for group, block in layout.blocks.items() if group.endswith("wrist") for axis in range(3)
    ]
    reach = np.abs(chunk.center) + chunk.half
    first, last = reach[0, columns], reach[-1, columns]
    wide = last > 10 * FLOORS["m"]
    if len(chunk.half) > 3 and wide.any() and (first[wide] > FLAT * last[wide]).all():
        names = [layout.names[i] for i in np.array(columns)[wide]]
        message = f"scales of relative wrist motion look absolute in {expected.name}: as wide at once as in the end"
        hint = "recompute the statistics: train on with --set data.statistics=recompute"
        yield Finding("absolute_statistics", "error", "chunk", message, len(names), hint)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
