"""Datasets: recorded, opened without the plugin, cut into windows, imported, upgraded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data import Dataset, WindowDataset, relative_statistics, validate_dataset
from egoscale_sdk.data.importers.robot_rows import RowReader
from egoscale_sdk.data.summary import summarise
from egoscale_sdk.data.windows import DEFAULT_SPACE
from egoscale_sdk.errors import DataError, EgoscaleError, UnknownIdError
from egoscale_sdk.host import PluginHost, resolve_declaration
from egoscale_sdk.interfaces import ActionSpace
from egoscale_sdk.specs import RecordingBlock
from egoscale_sdk.testing.check import NotApplicable, Violation, check
from egoscale_sdk.testing.layouts import Written, write_recording
from egoscale_sdk.testing.recorded import FPS, provider, recorded
from egoscale_sdk.testing.strangers import meaning, strangers
from egoscale_sdk.testing.subject import Subject

HORIZON = 8
_ROUNDING = 1e-5
"""Of rows in float32: metres, radians and entries of a rotation matrix."""


@check("DATA001", "must", needs={"plugin"}, mend="egoscale dataset validate explains each finding")
def it_can_be_recorded(subject: Subject) -> str:
    """A dataset of it can be written, opened and validated without a finding, and gives statistics."""
    dataset, written = recorded(subject).open(), recorded(subject).episode
    if not np.array_equal(dataset.rows(0).action, written.action):
        raise Violation("the rows that were read are not those that were written")
    _refuse_findings(dataset)
    notes = resolve_declaration(subject.host, dataset.declaration).notes
    if notes:
        raise Violation(f"the installed plugin disagrees with what was just recorded: {notes[0]}")
    return _statistics(dataset, subject.action_space)


@check(
    "DATA002",
    "must",
    needs={"plugin"},
    mend="declare everything in the spec, and publish the distribution under a name",
)
def it_outlives_its_plugin(subject: Subject) -> str:
    """Without the plugin a dataset opens, validates and gives statistics; what needs code names the package."""
    dataset, package = recorded(subject).open(), provider(subject).distribution
    shutil.rmtree(dataset.cache, ignore_errors=True)
    _refuse_findings(dataset)
    summarise(dataset)
    if subject.spec.action.space == DEFAULT_SPACE:
        figures = _statistics(dataset, None)
    else:
        figures = "statistics need the plugin's action space"
        _expect_hint(package, lambda: _windows(dataset, None))
    _expect_hint(package, lambda: resolve_declaration(PluginHost({}), dataset.declaration))
    return f"{figures}; names {package}"


@check("DATA003", "must", needs={"plugin"}, mend="let decode of the action space undo encode for valid columns")
def windows_decode_to_rows(subject: Subject) -> str:
    """Windows that are cut from a dataset encode to chunks that decode back to the recorded rows."""
    dataset = recorded(subject).open()
    windows, rows = _windows(dataset, subject.action_space), dataset.rows(0).action
    batch = windows.batch(range(len(windows)), images=False)
    decoded = subject.action_space.decode(batch.chunk, batch.reference)
    first = 1 if windows.action_set.action_source == "observed" else 0
    worst, compared = (0.0, ""), 0
    for number in range(len(windows)):
        start = windows.place(number)[1] + first
        wanted = rows[start : start + HORIZON]
        known = batch.mask[number, : len(wanted)]
        errors = np.where(known, np.abs(decoded[number, : len(wanted)] - wanted), 0)
        compared += int(known.sum())
        worst = max(worst, (float(np.nan_to_num(errors, nan=np.inf).max()), _column(windows, errors)))
    if not compared:
        raise Violation("every column of every window is masked, although every row is valid")
    if worst[0] > _ROUNDING:
        raise Violation(f"column {worst[1]} comes back {worst[0]:.3g} off")
    return f"{len(windows)} windows, {compared} values, at most {worst[0]:.1g} off"


@check(
    "DATA004", "must", needs={"recordings"}, mend="compare start, stop, part and encoding with the recording's columns"
)
def recordings_are_read_back(subject: Subject) -> str:
    """A recording in any layout that it declares is read back as what was recorded."""
    notes = []
    for layout in subject.spec.recordings:
        for key, blocks in ((layout.state_key, layout.state), (layout.action_key, layout.action)):
            if blocks:
                _read_back(subject, blocks, f"{layout.robot_type}: {key}")
        notes.append(layout.robot_type)
    return ", ".join(notes)


@check("DATA005", "must", needs={"plugin"}, mend="return None for a declared spec that the plugin does not know")
def upgrades_keep_the_meaning(subject: Subject) -> str:
    """An upgrade never lets an action mean something else: a declaration that the plugin does not know is refused."""
    if "egoscale_upgrade_declaration" not in subject.plugin.hooks:
        raise NotApplicable("the plugin upgrades no declarations")
    asked = strangers(subject.spec)
    for what, declared in asked.items():
        upgraded = subject.host.upgrade(declared, subject.spec)
        if upgraded is None:
            continue
        before, after = meaning(declared), meaning(upgraded)
        changed = [part for part in before if before[part] != after[part]]
        if changed:
            raise Violation(f"rows declared with {what} would be read as {upgraded.id} with other {', '.join(changed)}")
    return f"{len(asked)} strange declarations"


def _refuse_findings(dataset: Dataset) -> None:
    findings = validate_dataset(dataset)
    if findings:
        raise Violation(f"{len(findings)} findings: {findings[0]}")


def _windows(dataset: Dataset, space: ActionSpace | None) -> WindowDataset:
    return WindowDataset(dataset, HORIZON, 1 / FPS, action_space=space)


def _statistics(dataset: Dataset, space: ActionSpace | None) -> str:
    windows = _windows(dataset, space)
    batch = windows.batch(range(len(windows)), images=False)
    strange = batch.mask & ~np.isfinite(batch.chunk)
    if strange.any():
        raise Violation(f"column {_column(windows, strange)} of a chunk is no number")
    found = relative_statistics(windows)
    if not np.isfinite(found.q01).all() or not np.isfinite(found.q99).all():
        raise Violation("a quantile of its statistics is no number")
    return f"{len(windows)} windows of {HORIZON} steps, {windows.layout.dim} columns"


def _column(windows: WindowDataset, values: NDArray[Any]) -> str:
    """Name the column of the largest of values ``(..., D)``."""
    return windows.layout.names[int(np.argmax(values)) % windows.layout.dim]


def _expect_hint(package: str, act: Callable[[], object]) -> None:
    """Demand that something which needs the plugin says which package to install."""
    try:
        act()
    except (UnknownIdError, DataError) as error:
        if package not in error.hint or "pip install" not in error.hint:
            raise Violation(f"without the plugin nobody is told to install {package!r}: {error}") from None
        return
    raise Violation("code of the plugin was found although it is not installed")


def _read_back(subject: Subject, blocks: Sequence[RecordingBlock], where: str) -> None:
    written = write_recording(subject.spec, blocks)
    try:
        read = RowReader(subject.spec, blocks, where).read(written.values)
    except EgoscaleError as error:
        raise Violation(f"what is written as declared is refused: {error}") from None
    layout = subject.layout
    for number, (group, columns) in enumerate(layout.blocks.items()):
        valid = bool(read.valid[:, number].any())
        if valid != (group in written.groups):
            raise Violation(f"{where}: {group} is {'read' if valid else 'lost'}")
        if valid:
            _compare(written, group, read.rows[:, columns], layout.names[columns], where)


def _compare(written: Written, group: str, rows: NDArray[np.float32], names: Sequence[str], where: str) -> None:
    off = np.abs(rows - written.groups[group]).max(axis=0)
    if off.max() > _ROUNDING:
        n = int(np.argmax(off))
        raise Violation(f"{where}: column {names[n]} is read {off[n]:.3g} off")
