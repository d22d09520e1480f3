"""What is wrong with a dataset: every finding says where, how often, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.maintenance.leftovers import leftovers
from egoscale_sdk.data.segment import EpisodeRows, Segment, StoredObject
from egoscale_sdk.data.store import StoreError
from egoscale_sdk.errors import DataError, EgoscaleError
from egoscale_sdk.geometry import pose_from_vec9
from egoscale_sdk.hands.checks import check_hand_scale
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import EmbodimentSpec, RowLayout, Side

Array = NDArray[Any]
Severity = Literal["error", "warning"]

ROTATION_TOLERANCE = 1e-3
LIMIT_MARGIN = 0.05
FAR = 5.0
"""Joints this many ranges beyond their limits are in other units, or other joints."""
SAME = 1e-6
SAME_SHARE = 0.95
"""An action that equals the state in this share of the rows was copied from it, not commanded."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong; an ``error`` keeps a dataset from being trained on, a ``warning`` does not.

    ``hint`` says how to mend it. ``keys`` are some episodes that show it, ``group`` the columns or the camera.
    """

    code: str
    severity: Severity
    where: str
    message: str
    count: int = 1
    hint: str = ""
    keys: tuple[str, ...] = ()
    group: str = ""

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.severity}: {self.where}: {self.message}{times}" + (f"; {self.hint}" if self.hint else "")

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def validate_dataset(dataset: Dataset, progress: Progress = silent, *, contents: bool = True) -> list[Finding]:
    """Check every committed file and every row; reads the whole dataset.

    Args:
        dataset: What to check.
        progress: Told after every object and every episode.
        contents: Compare the checksums of all files.

    Returns:
        What was found, empty if all is well. A damaged object is reported and its rows are not looked at.
    """
    findings: list[Finding] = []
    paths, episodes = dataset.paths, len(dataset.episodes)
    total = len(paths) + episodes
    whole = set()
    for number, path in enumerate(paths):
        found = list(_check_object(dataset, path, contents))
        findings += found
        if not found:
            whole.add(path)
        progress(number + 1, total, path)
    findings += _left_over(dataset)
    if whole == set(paths):
        for episode in dataset.episodes:
            findings += _check_episode(dataset, episode.index)
            progress(len(paths) + episode.index + 1, total, episode.key)
        copied = action_equals_state(dataset)
        findings += [copied] if copied else []
    return findings


def _left_over(dataset: Dataset) -> Iterator[Finding]:
    """Report what no version holds."""
    found = leftovers(dataset) if dataset.store.local is not None else []
    if found:
        size = sum(item.bytes for item in found) / 1e6
        message = f"{len(found)} unfinished or orphaned folders of {size:.1f} MB: writers were stopped, or work now"
        hint = f"remove them with: egoscale dataset gc {dataset.where}"
        yield Finding("leftovers", "warning", found[0].path, message, len(found), hint)


def action_equals_state(dataset: Dataset, *, skip_damaged: bool = False) -> Finding | None:
    """Find out whether a robot's recorded actions are its measured states.

    Such a dataset teaches a policy to stay where it is; training refuses it unless explicitly allowed.

    Args:
        dataset: Of a robot.
        skip_damaged: Leave out episodes that are damaged.

    Raises:
        DataError: an episode is damaged.
    """
    if not dataset.declaration.has_state or dataset.declaration.native.action_source != "commanded":
        return None
    layout = dataset.declaration.native.layout
    same, compared = np.zeros(len(layout.groups), np.int64), np.zeros(len(layout.groups), np.int64)
    for episode in dataset.episodes:
        try:
            rows = dataset.rows(episode, raw=False)
        except DataError as error:
            if not skip_damaged or isinstance(error, StoreError):
                raise
            continue
        for number, counts in enumerate(_equal_rows(rows, layout)):
            same[number] += counts[0]
            compared[number] += counts[1]
    copied = [layout.groups[i] for i in np.flatnonzero((compared > 0) & (same >= SAME_SHARE * compared))]
    if not copied:
        return None
    return Finding(
        "action_equals_state",
        "error",
        f"{dataset.where}: native",
        f"the action equals the measured state in {', '.join(copied)}: it is no command",
        count=int(same.max()),
        hint="record the commanded targets; if there are none, declare action_source = 'observed'",
    )


def _equal_rows(rows: EpisodeRows, layout: RowLayout) -> Iterator[tuple[int, int]]:
    """For each group: rows in which a moving action equals the state, and rows in which both are known."""
    assert rows.state is not None
    assert rows.state_valid is not None
    for number, block in enumerate(layout.blocks.values()):
        known = (rows.valid[:, number] == 1) & (rows.state_valid[:, number] == 1)
        moved = known & (rows.state[:, block] != rows.state[:1, block]).any(1)
        yield (
            int((moved & (np.abs(rows.action[:, block] - rows.state[:, block]) <= SAME).all(1)).sum()),
            int(moved.sum()),
        )


def _check_object(dataset: Dataset, path: str, contents: bool) -> Iterator[Finding]:
    try:
        stored = dataset.object(path)
        if contents:
            stored.check_contents()
        yield from _check_shapes(dataset, stored)
    except EgoscaleError as error:
        yield Finding("damaged", "error", error.where or path, error.what, hint=error.hint, group=path)


def _check_shapes(dataset: Dataset, stored: StoredObject) -> Iterator[Finding]:
    """Compare the shapes of the row arrays with the declaration."""
    declaration, rows = dataset.declaration, stored.addition.entry.rows
    if isinstance(stored, Segment):
        layout = declaration.native.layout
        names = ("action", "state") if declaration.has_state else ("action",)
    else:
        layout, names = dataset.action_set(stored.path.split("/")[1]).layout, ("action",)
    for name in names:
        for array, width in ((name, layout.dim), ("state_valid" if name == "state" else "valid", len(layout.groups))):
            shape = stored.array(array).shape
            if shape != (rows, width):
                message = f"has shape {shape}, declared is {(rows, width)}"
                yield Finding("shape", "error", f"{stored.path}/{array}", message, group=stored.path)


def _check_episode(dataset: Dataset, index: int) -> Iterator[Finding]:
    name = f"episode {dataset.episodes[index].key!r}"
    for action_set in dataset.declaration.action_sets:
        try:
            rows = dataset.rows(index, action_set.name)
        except DataError as error:
            yield Finding("incomplete", "error", error.where, error.what, hint=error.hint)
            continue
        spec = action_set.spec or dataset.declaration.spec
        place = f"{name}: {action_set.name}"
        yield from _check_matrix(f"{place} action", rows.action, rows.valid, action_set.layout, spec)
        if action_set.name == "native":
            yield from _check_recording(name, rows, dataset)


def _check_recording(name: str, rows: EpisodeRows, dataset: Dataset) -> Iterator[Finding]:
    """Check what belongs to the recording and not to one action set."""
    declaration = dataset.declaration
    back = int((np.diff(rows.time_ns) <= 0).sum())
    if back:
        yield Finding("time", "error", f"{name}: time", "time stamps do not increase", back, "import it again")
    if rows.state is not None and rows.state_valid is not None:
        layout = declaration.native.layout
        yield from _check_matrix(f"{name}: state", rows.state, rows.state_valid, layout, declaration.spec)
    for array, values in rows.raw.items():
        yield from _not_finite(f"{name}: raw/{array}", values)


def _check_matrix(
    where: str, values: Array, valid: Array, layout: RowLayout, spec: EmbodimentSpec
) -> Iterator[Finding]:
    """Check absolute rows: finite, wrists in SE(3), hands of a possible size or within limits."""
    yield from _not_finite(where, values)
    for number, side in enumerate(layout.sides):
        wrist = values[valid[:, number] == 1, layout.blocks[f"{side}_wrist"]].astype(np.float64)
        off = np.abs(pose_from_vec9(wrist)[:, :2, :3].reshape(-1, 6) - wrist[:, 3:]).max(1, initial=0)
        bent = int((off > ROTATION_TOLERANCE).sum())
        if bent:
            message = f"{side} wrist is not a rigid pose: the two rows of R are not orthonormal"
            yield Finding("not_se3", "error", where, message, bent, "re-orthonormalise before importing")
        hand = values[valid[:, len(layout.sides) + number] == 1, layout.blocks[f"{side}_hand"]]
        yield from _check_hand(f"{where}: {side} hand", hand, side, spec)


def _check_hand(where: str, hand: Array, side: Side, spec: EmbodimentSpec) -> Iterator[Finding]:
    if spec.hand(side).representation == "keypoints":
        try:
            check_hand_scale(hand.reshape(-1, 21, 3), where)
        except DataError as error:
            yield Finding("hand_size", "error", where, error.what, len(hand), error.hint)
        return
    joints = spec.hand(side).actuated
    lower = np.array([-np.inf if joint.lower is None else joint.lower for joint in joints])
    upper = np.array([np.inf if joint.upper is None else joint.upper for joint in joints])
    width = np.where(np.isfinite(upper - lower), upper - lower, 1)
    share = (np.maximum(lower - hand, hand - upper) / np.maximum(width, 1e-6)).max(1, initial=0)
    beyond, far = int((share > LIMIT_MARGIN).sum()), bool((share > FAR).any())
    if beyond:
        message = f"joints lie beyond their limits by up to {share.max():.0%} of their range"
        hint = "check units and order of the joints"
        yield Finding("hand_size" if far else "limits", "error" if far else "warning", where, message, beyond, hint)


def _not_finite(where: str, values: Array) -> Iterator[Finding]:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        yield Finding("not_finite", "error", where, "holds values that are not finite", bad, "import it again")
