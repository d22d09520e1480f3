"""The score card as one HTML page with pictures of every hand; it needs nothing else. Extra ``viewer``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from egoscale_sdk.errors import MissingExtraError, require_extra
from egoscale_sdk.host import PluginHost
from egoscale_sdk.testing.pictures import gestures_picture
from egoscale_sdk.testing.run import CheckResult, Report, Section, Status
from egoscale_sdk.testing.subject import NEEDS, Subject
from egoscale_sdk.viewer.report import Report as Page

_ORDER = {"failed": 0, "passed": 1, "skipped": 2}
_WORDS: dict[Status, str] = {"passed": "passed", "failed": "failed", "skipped": "does not apply"}
_STYLE = """
body{max-width:1180px}table{width:100%;table-layout:auto;font-size:.92rem}td{vertical-align:top}
td:nth-child(1){font-weight:600;white-space:nowrap}
tr[class] td:nth-child(2),tr[class] td:nth-child(3){white-space:nowrap}tr[class] td:nth-child(4){width:30%}
tr.passed td:nth-child(3){color:#2b7a4b;font-weight:600}tr.skipped td{color:#8b93a1}
tr.failed td:nth-child(3){color:#b3261e;font-weight:700}tr.failed{background:#fdf0ef}
tr.should.failed{background:#fdf6e7}tr.should.failed td:nth-child(3){color:#8a5a00}
td:nth-child(5){overflow-wrap:anywhere}details{margin:.3rem 0 1rem}summary{cursor:pointer;color:#556}
h1{margin-bottom:.2rem}figure img{border:1px solid #e5e8ee;border-radius:8px}
p.verdict{font-size:1.15rem;font-weight:600;padding:.6rem 1rem;border-radius:8px;background:#eaf5ee;color:#1f5c38}
p.verdict.failed{background:#fdecea;color:#8f1d17}
"""


def write_html(report: Report, host: PluginHost, path: Path) -> None:
    """Write a plugin's score card, and pictures of its hands in the canonical gestures, as one HTML file.

    Failures come first. Whatever comes from the plugin is escaped, and a hand that cannot be drawn says why.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_extra("matplotlib", "viewer", "a score card with pictures")
    page = Page(f"{report.distribution} {report.version}: score card", style=_STYLE)
    page.text(f"Plugin namespace {report.namespace}, checked by the conformance kit of egoscale-sdk {report.sdk}.")
    page.text(f"{report.verdict}.", kind="verdict failed" if report.failures("must") else "verdict")
    for section in report.sections:
        subject = None if _is_plugin(section) else Subject(host, report.namespace, section.subject)
        _add_section(page, section, subject)
    page.write(path)


def _is_plugin(section: Section) -> bool:
    return "/" not in section.subject


def _add_section(page: Page, section: Section, subject: Subject | None) -> None:
    """Facts, then what failed, then the pictures, then the rest."""
    page.heading(section.subject)
    if subject is not None:
        _add_facts(page, section, subject)
    results = sorted(section.results, key=lambda result: (_ORDER[result.status], result.level))
    failed = [result for result in results if result.status == "failed"]
    _add_table(page, failed, mend=True)
    for item in failed:
        if item.traceback:
            page.folded(f"{item.id}: traceback", item.traceback)
    if subject is not None:
        _add_pictures(page, subject)
    _add_table(page, [result for result in results if result.status != "failed"], mend=False)


def _add_table(page: Page, results: Sequence[CheckResult], mend: bool) -> None:
    if not results:
        return
    header = ["check", "level", "result", "clause", "what was found", *(["how to mend"] if mend else [])]
    rows = [[item.id, item.level, _WORDS[item.status], item.title, item.detail, item.mend] for item in results]
    page.table(header, [row[: len(header)] for row in rows], [f"{item.level} {item.status}" for item in results])


def _add_facts(page: Page, section: Section, subject: Subject) -> None:
    has = subject.has
    if "spec" not in has:
        return
    page.text(subject.spec.title)
    spaces = {hand.side: f"{hand.hand_space.id} ({hand.hand_space.dim} columns)" for hand in subject.spec.hands}
    rows = [
        ("fingerprint", section.fingerprint),
        ("hand spaces", ", ".join(f"{side} {space}" for side, space in spaces.items())),
        ("it has", ", ".join(text for need, text in NEEDS.items() if need in has)),
        ("it has not", ", ".join(text for need, text in NEEDS.items() if need not in has) or "-"),
    ]
    page.table(("what", "value"), rows)


def _add_pictures(page: Page, subject: Subject) -> None:
    """A picture of each hand that is retargeted; what fails in the plugin's code is said in place of it."""
    if "retargeter" not in subject.has:
        return
    for hand in subject.spec.hands:
        what = f"{subject.id}, {hand.side} hand"
        try:
            picture = gestures_picture(subject, hand.side)
        except MissingExtraError:
            raise
        except Exception as error:
            page.text(f"No picture of {what}: {type(error).__name__}: {error}")
            continue
        key = "Bars: the gap between the person's thumb and fingers (dark), the gripper's opening (blue)."
        dots = "Dots are the followed tips; bones are compared in the wrist frame."
        page.picture(picture, f"{what}, beside the person's it follows, in one scale. {key if hand.aperture else dots}")
