"""``egoscale doctor``: one report of what is wrong or suspicious in a dataset, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.doctor.against import Expected
    from egoscale_sdk.data.validation import Finding
    from egoscale_sdk.progress import Progress


def doctor(
    dataset: Positional[str],
    checkpoint: Positional[str | None] = None,
    *,
    action_set: str | None = None,
    quick: bool = False,
    html: Path | None = None,
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Examine a dataset, and whether it suits a checkpoint: what is wrong or suspicious, where, why, how to mend it.

    Everything that egoscale dataset validate checks, then by what the numbers do: actions that look relative or are
    states, columns that are still or saturated, units, frozen trackers, swapped hands, order and sign of joints,
    clocks, gaps, images, duplicates, instructions. Against a checkpoint: meaning, cameras, rate, spread of the values.

    Exit code 0: no error (warnings are allowed); 1: errors were found; 2: it cannot be opened.

    Examples:
        egoscale doctor robot.zarr
        egoscale doctor robot.zarr CHECKPOINT --html report.html
        egoscale doctor people.zarr --quick --json | jq '.findings[].code'

    Args:
        dataset: A dataset, e.g. robot.zarr.
        checkpoint: One that is to be trained on with it, or run beside it.
        action_set: Which set is compared with the checkpoint, where there are several.
        quick: Leave out the checksums of all files.
        html: Write a page with pictures here.
        json: Print JSON: dataset, checkpoint, version, errors, warnings, findings.
        quiet: No progress.
    """
    from egoscale_sdk.cli.console import emit, progress_bar, refuse_unwritable
    from egoscale_sdk.cli.dataset import shown
    from egoscale_sdk.data import Dataset

    refuse_unwritable(html)
    opened = Dataset.open(dataset)
    expected = _expected(checkpoint) if checkpoint else None
    with progress_bar("doctor", quiet=quiet) as progress:
        findings = _examine(opened, expected, action_set, quick, progress)
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    verdict = f"{dataset} (version {opened.version}): {errors} errors, {warnings} warnings"
    if html is not None:
        from egoscale_sdk.cli.doctor_report import write_doctor_report

        write_doctor_report(opened, findings, verdict, html)
    value: dict[str, Any] = {"dataset": dataset, "checkpoint": checkpoint, "version": opened.version}
    value |= {"errors": errors, "warnings": warnings, "findings": [finding.as_json() for finding in findings]}
    emit(value, as_json=json, text="\n".join([*shown(findings, _text), verdict]))
    if errors:
        raise SystemExit(1)


def _examine(
    dataset: Dataset, expected: Expected | None, action_set: str | None, quick: bool, progress: Progress
) -> list[Finding]:
    from egoscale_sdk.cli.dataset import against_plugin
    from egoscale_sdk.data.doctor import examine
    from egoscale_sdk.data.doctor.against import against_checkpoint
    from egoscale_sdk.data.validation import validate_dataset

    findings = [*against_plugin(dataset), *validate_dataset(dataset, progress, contents=not quick)]
    damaged = {finding.group for finding in findings if finding.code in ("damaged", "shape")}
    findings += examine(dataset, progress=progress, damaged=damaged)
    if expected is not None and not damaged:
        findings += against_checkpoint(dataset, expected, action_set, progress)
    return sorted(findings, key=lambda finding: finding.severity != "error")


def _expected(path: str) -> Expected:
    from egoscale_sdk.data.doctor.against import Expected
    from egoscale_sdk.policy.checkpoint import Checkpoint

    checkpoint = Checkpoint.load(Path(path))
    trained = checkpoint.embodiments
    return Expected(
        name=path,
        specs={key: entry.spec for key, entry in trained.items()},
        fingerprints={key: entry.action_fingerprint for key, entry in trained.items()},
        cameras={key: entry.cameras for key, entry in trained.items()},
        statistics=checkpoint.statistics,
    )


def _text(finding: Finding) -> str:
    times = f" ({finding.count} times)" if finding.count > 1 else ""
    mend = f"\n    mend: {finding.hint}" if finding.hint else ""
    return f"{finding.severity} [{finding.code}] {finding.where}{times}\n    {finding.message}{mend}"
