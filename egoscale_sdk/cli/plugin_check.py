"""``egoscale plugin check``: the conformance kit without pytest, as a score card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from egoscale_sdk.cli.console import progress_bar, refuse_unwritable, render, user_path

if TYPE_CHECKING:
    from rich.table import Table

    from egoscale_sdk.testing import CheckResult, Report
    from egoscale_sdk.testing.run import Section

MARKS = {"passed": "pass", "failed": "FAIL", "skipped": "skip"}


def check(
    plugin: Positional[str],
    *,
    level: Literal["must", "should"] = "must",
    only: tuple[str, ...] = (),
    json: Path | None = None,
    html: Path | None = None,
    quiet: Annotated[bool, arg(aliases=("-q",))] = False,
) -> None:
    """Check that a plugin keeps the contract, and print its score card.

    Every check prints what it looked at, its result, the figures that it measured and, where it failed, how to mend it.
    Exits 0 if nothing failed at the level, 1 if something did, 2 if the checks could not be run.

    Examples:
        egoscale plugin check acme
        egoscale plugin check acme/hand@1 --only KIN RET003
        egoscale plugin check acme --level should --html card.html

    Args:
        plugin: The namespace of an installed plugin, or one of its embodiments.
        level: From which level on a failure makes the exit code 1; all checks run in either case.
        only: Families (PLG SPEC KIN ACT RET SEN DRV DATA SIM) or ids of checks; all if not given.
        json: Write the score card as JSON to this file; - is standard output, in place of the text.
        html: Write the score card to this file, with pictures of the hands in canonical gestures.
        quiet: No progress.
    """
    from egoscale_sdk.errors import require_extra
    from egoscale_sdk.host import default_host
    from egoscale_sdk.testing import check_plugin

    json, html = (file and user_path(file) for file in (json, html))
    refuse_unwritable(json, html)
    if html is not None:
        require_extra("matplotlib", "viewer", "a picture")
    host = default_host()
    with progress_bar("check", quiet=quiet) as progress:
        report = check_plugin(host, plugin, only=only, progress=progress)
    text = score_card(report)
    if json is not None:
        _write_json(report, json)
    if html is not None:
        from egoscale_sdk.testing.html import write_html

        write_html(report, host, html)
        text += f"\npictures: {html}"
    if str(json) != "-":
        print(text, flush=True)
    if report.failures(level):
        raise SystemExit(1)


def score_card(report: Report) -> str:
    """Return the report as text: a table per subject, then every failure with how to mend it, then the verdict."""
    lines = [f"{report.distribution} {report.version} (egoscale-sdk {report.sdk})"]
    for section in report.sections:
        fingerprint = f", fingerprint {section.fingerprint[:19]}" if section.fingerprint else ""
        lines += ["", f"{section.subject}{fingerprint}", render(_table(section))]
    lines += [_complaint(result) for result in report.failures("should")]
    return "\n".join([*lines, "", report.verdict])


def _table(section: Section) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for width in (8, 6, 4):
        table.add_column(min_width=width, no_wrap=True)
    table.add_column(ratio=3)
    table.add_column(ratio=2)
    for result in section.results:
        detail = "see below" if result.status == "failed" else result.detail
        table.add_row(*map(Text, (result.id, result.level, MARKS[result.status], result.title, detail)))
    return table


def _complaint(result: CheckResult) -> str:
    lines = [f"\n{result.id} ({result.level}) {result.title}", f"  {result.detail}", f"  to mend: {result.mend}"]
    return "\n".join(lines) + (f"\n{result.traceback}" if result.traceback else "").rstrip()


def _write_json(report: Report, file: Path) -> None:
    text = report.model_dump_json(indent=2) + "\n"
    if str(file) == "-":
        sys.stdout.write(text)
    else:
        file.write_text(text)
