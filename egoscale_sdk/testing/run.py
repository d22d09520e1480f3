"""Running checks without pytest: what passed, what failed, with which figures, and how to mend it."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import egoscale_sdk
from egoscale_sdk.errors import EgoscaleError, PluginError
from egoscale_sdk.host import PluginHost
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import Strict, action_fingerprint
from egoscale_sdk.testing.check import Check, Level, NotApplicable
from egoscale_sdk.testing.select import checks_for, normal_names
from egoscale_sdk.testing.subject import NEEDS, Subject
from egoscale_sdk.testing.time_limit import TookTooLong, time_limit

LIMIT_S = 240.0  # far more than any check takes on a slow machine
Status = Literal["passed", "failed", "skipped"]


class CheckResult(Strict):
    """What one check found; ``detail`` holds the figures, the violation, or why the check does not apply."""

    id: str
    level: Level
    title: str
    status: Status
    detail: str
    mend: str = ""
    traceback: str = ""


class Section(Strict):
    """The results of one embodiment, or (first) of the plugin itself; ``fingerprint`` is empty where there is none."""

    subject: str
    fingerprint: str = ""
    results: tuple[CheckResult, ...]


class Report(Strict):
    """A plugin's score card."""

    namespace: str
    distribution: str
    version: str
    sdk: str
    sections: tuple[Section, ...]

    @property
    def results(self) -> list[CheckResult]:
        """The results of all sections."""
        return [result for section in self.sections for result in section.results]

    def failures(self, level: Level = "must") -> list[CheckResult]:
        """Return the failed checks that count at a level: at ``should`` all of them, at ``must`` only those."""
        return [result for result in self.results if result.status == "failed" and level in (result.level, "should")]

    @property
    def verdict(self) -> str:
        """The score card in one sentence."""
        counts = Counter(result.status for result in self.results)
        must = len(self.failures("must"))
        levels = (("must", must), ("should", counts["failed"] - must))
        broken = [f"{count} {level} clause{'s' * (count > 1)}" for level, count in levels if count]
        kept = "keeps every clause that applies" if counts["passed"] else "has nothing to which a clause applies"
        verdict = f"BREAKS {' and '.join(broken)}" if broken else kept
        figures = f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} do not apply"
        return f"{self.namespace} {verdict}: {figures}"


def check_plugin(host: PluginHost, namespace: str, *, only: Sequence[str] = (), progress: Progress = silent) -> Report:
    """Run the kit on a plugin and on every embodiment that it brings.

    Args:
        host: Where the plugin is found.
        namespace: The plugin's namespace, or one embodiment as ``namespace/name@N``.
        only: Families or ids of checks, e.g. ``("KIN", "RET003", "acme/own@1")``; empty means all.
        progress: Is told how many checks are done.

    Raises:
        UnknownIdError: nobody owns the namespace, or it has no such embodiment.
        EgoscaleError: ``only`` names no check, or leaves nothing to check.
    """
    namespace, _, name = namespace.partition("/")
    source = host.registry.source(namespace)
    subjects = [Subject(host, namespace), *_embodiments(host, namespace, name)]
    names = normal_names(only, subjects)
    plan = [(subject, checks) for subject in subjects if (checks := checks_for(subject, names))]
    if not plan:
        raise EgoscaleError("brings no embodiment", where=str(source), hint=f"--only {' '.join(only)} leaves nothing")
    total, done, sections = sum(len(checks) for _, checks in plan), 0, []
    for subject, checks in plan:
        results = []
        for item in checks:
            progress(done, total, item.id)
            results.append(run_check(item, subject))
            done += 1
        sections.append(Section(subject=_title(subject), fingerprint=_fingerprint(subject), results=tuple(results)))
    progress(total, total, "done")
    return Report(
        namespace=namespace,
        distribution=source.distribution,
        version=source.version,
        sdk=egoscale_sdk.__version__,
        sections=tuple(sections),
    )


def run_check(check: Check, subject: Subject) -> CheckResult:
    """Run one check on one subject; whatever it raises becomes part of the result."""
    missing = [need for need in NEEDS if need in check.needs - subject.has]
    if missing:
        return _result(check, "skipped", f"needs {NEEDS[missing[0]]}")
    try:
        with time_limit(LIMIT_S):
            return _result(check, "passed", check.run(subject) or "")
    except NotApplicable as reason:
        return _result(check, "skipped", str(reason))
    except PluginError as error:
        return _fault(check, subject, error)
    except EgoscaleError as error:
        return _result(check, "failed", str(error), check.mend)
    except (Exception, SystemExit) as error:  # of the plugin's code
        return _result(check, "failed", f"raised {type(error).__name__}: {error}", check.mend, traceback.format_exc())
    except TookTooLong:
        mend = "nothing that the kit calls may wait for ever: give it a time-out, and simulated settings that answer"
        return _result(check, "failed", f"was stopped after {LIMIT_S:g} s", mend, traceback.format_exc())


def _fault(check: Check, subject: Subject, error: PluginError) -> CheckResult:
    """Report a part of the plugin that cannot be made by the first check that needs it; the others do not apply."""
    first = subject.faults.setdefault(str(error), check.id)
    if first != check.id:
        return _result(check, "skipped", f"needs what {first} found broken")
    cause = "".join(traceback.format_exception(error.__cause__)) if error.__cause__ else ""
    mend = "mend what is named here; the checks that need it can say nothing before" if cause else check.mend
    return _result(check, "failed", str(error), mend, cause)


def _result(check: Check, status: Status, detail: str, mend: str = "", trace: str = "") -> CheckResult:
    return CheckResult(
        id=check.id, level=check.level, title=check.title, status=status, detail=detail, mend=mend, traceback=trace
    )


def _embodiments(host: PluginHost, namespace: str, name: str) -> list[Subject]:
    """Return one subject per embodiment that the plugin brings, or the named one; none if it does not load."""
    if name:
        return [Subject(host, namespace, host.spec(f"{namespace}/{name}").id)]
    try:
        return [Subject(host, namespace, entry.id) for entry in host.load(namespace).embodiments]
    except PluginError:  # the kit's to report
        return []


def _title(subject: Subject) -> str:
    return subject.id or f"plugin {subject.namespace}"


def _fingerprint(subject: Subject) -> str:
    return action_fingerprint(subject.spec) if "spec" in subject.has else ""
