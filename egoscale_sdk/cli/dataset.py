"""``egoscale dataset``: what a dataset declares and holds, and whether it is sound."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.validation import Finding

ALIKE = 8
"""Findings of one kind that are shown."""


def show(dataset: Positional[str], *, version: int | None = None, json: bool = False) -> None:
    """Show what a dataset declares and holds: embodiment, episodes, hours, action sets, cameras, labels.

    Works without the plugin of its embodiment. Nothing is checked; see: egoscale dataset validate.

    Examples:
        egoscale dataset show people.zarr
        egoscale dataset show people.zarr --version 3 --json

    Args:
        dataset: A dataset, e.g. people.zarr.
        version: Show an earlier commit, as a recipe may name it.
        json: Print JSON.
    """
    from egoscale_sdk.cli.console import emit
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.summary import as_text, summarise

    summary = summarise(Dataset.open(dataset, version))
    emit(summary, as_json=json, text=as_text(summary))


def validate(
    dataset: Positional[str], *, json: bool = False, quiet: Annotated[bool, arg(aliases=["-q"])] = False
) -> None:
    """Check every file and every row of a dataset against what was committed and declared.

    What it declares is held against the installed plugin too; a plugin that is not installed is a warning.

    Exit code 0: no error (warnings are allowed); 1: errors were found; 2: it cannot be opened.

    Examples:
        egoscale dataset validate people.zarr
        egoscale dataset validate people.zarr --json | jq '.findings[].code'

    Args:
        dataset: A dataset, e.g. people.zarr.
        json: Print JSON: dataset, version, errors, warnings, findings.
        quiet: No progress.
    """
    from egoscale_sdk.cli.console import emit, progress_bar
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.validation import validate_dataset

    opened = Dataset.open(dataset)
    with progress_bar("validate", quiet=quiet) as progress:
        findings = [*validate_dataset(opened, progress), *against_plugin(opened)]
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    verdict = f"{dataset} (version {opened.version}): {errors} errors, {warnings} warnings"
    emit(
        {
            "dataset": dataset,
            "version": opened.version,
            "errors": errors,
            "warnings": warnings,
            "findings": [finding.as_json() for finding in findings],
        },
        as_json=json,
        text="\n".join([*shown(findings, str), verdict]),
    )
    if errors:
        raise SystemExit(1)


def shown(findings: Sequence[Finding], line: Callable[[Finding], str]) -> list[str]:
    """Lay findings out for people: of many of one kind the first few."""
    seen, lines = Counter[str](), []
    for finding in findings:
        seen[finding.code] += 1
        if seen[finding.code] <= ALIKE:
            lines.append(line(finding))
    return lines + [
        f"and {count - ALIKE} more findings of {code}; --json lists them"
        for code, count in seen.items()
        if count > ALIKE
    ]


def against_plugin(dataset: Dataset) -> list[Finding]:
    """Hold the declaration against the installed plugin of its embodiment."""
    from egoscale_sdk.data.validation import Finding
    from egoscale_sdk.errors import DeclarationError, PluginError, UnknownIdError
    from egoscale_sdk.host import default_host, resolve_declaration

    try:
        notes = resolve_declaration(default_host(), dataset.declaration).notes
    except DeclarationError as error:
        return [Finding("declaration", "error", "declaration", error.what, hint=error.hint)]
    except (UnknownIdError, PluginError) as error:
        return [Finding("plugin", "warning", "declaration", error.what, hint=error.hint)]
    return [Finding("limits", "warning", "declaration", note) for note in notes]
