"""Running checks without pytest: what passed, what failed, with which figures, and how to mend it."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal

import egoscale_sdk
from egoscale_sdk.errors import EgoscaleError, did_you_mean
from egoscale_sdk.host import CheckEntry, PluginHost
from egoscale_sdk.host.factories import import_factory
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import Strict, action_fingerprint
from egoscale_sdk.testing.check import FAMILIES, Check, Level, NotApplicable
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.subject import NEEDS, Subject

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

    def failures(self, level: Level = "must") -> list[CheckResult]:
        """Return the failed checks that count at a level: at ``should`` all of them, at ``must`` only those."""
        results = [result for section in self.sections for result in section.results]
        return [result for result in results if result.status == "failed" and level in (result.level, "should")]


def check_plugin(host: PluginHost, namespace: str, *, only: Sequence[str] = (), progress: Progress = silent) -> Report:
    """Run the kit on a plugin and on every embodiment that it brings.

    Args:
        host: Where the plugin is found.
        namespace: The plugin's namespace, or one embodiment as ``namespace/name@N``.
        only: Families or ids of checks, e.g. ``("KIN", "RET003")``; empty means all.
        progress: Is told how many checks are done.

    Raises:
        UnknownIdError: nobody owns the namespace, or it has no such embodiment.
        EgoscaleError: ``only`` names no check.
    """
    namespace, _, name = namespace.partition("/")
    checks = select(only)
    subjects = [Subject(host, namespace), *_embodiments(host, namespace, name)]
    total = sum(len(_checks_for(subject, checks)) for subject in subjects)
    sections, done = [], 0
    for subject in subjects:
        results = []
        for item in _checks_for(subject, checks):
            progress(done, total, item.id)
            results.append(run_check(item, subject))
            done += 1
        sections.append(Section(subject=_title(subject), fingerprint=_fingerprint(subject), results=tuple(results)))
    progress(total, total, "done")
    source = host.registry.source(namespace)
    return Report(
        namespace=namespace,
        distribution=source.distribution,
        version=source.version,
        sdk=egoscale_sdk.__version__,
        sections=tuple(section for section in sections if section.results),
    )


def run_check(check: Check, subject: Subject) -> CheckResult:
    """Run one check on one subject; whatever it raises becomes part of the result."""
    missing = [need for need in NEEDS if need in check.needs - subject.has]
    status: Status = "skipped"
    trace = ""
    if missing:
        detail = f"needs {NEEDS[missing[0]]}"
    else:
        try:
            status, detail = "passed", check.run(subject) or ""
        except NotApplicable as reason:
            detail = str(reason)
        except EgoscaleError as error:
            status, detail = "failed", str(error)
        except (Exception, SystemExit) as error:  # of the plugin's code
            status, detail, trace = "failed", f"raised {type(error).__name__}: {error}", traceback.format_exc()
    mend = check.mend if status == "failed" else ""
    return CheckResult(
        id=check.id, level=check.level, title=check.title, status=status, detail=detail, mend=mend, traceback=trace
    )


def select(only: Iterable[str]) -> list[Check]:
    """Return the checks of the named families and ids; all where nothing is named.

    Raises:
        EgoscaleError: a name is neither a family nor the id of a check.
    """
    checks = all_checks()
    names = [name.upper() for name in only]
    for name in names:
        if name not in FAMILIES and name not in {check.id for check in checks}:
            guess = did_you_mean(name, [*FAMILIES, *(check.id for check in checks)])
            raise EgoscaleError(f"there is no check {name!r}", where="--only", allowed=FAMILIES, hint=guess)
    return [check for check in checks if not names or check.family in names or check.id in names]


def vendor_checks(subject: Subject) -> list[Check]:
    """Return the checks that a plugin adds for its own embodiment; a hook that fails is one check that fails."""
    try:
        return [_vendor_check(entry) for entry in subject.host.conformance_checks(subject.spec)]
    except EgoscaleError as error:
        title = "The plugin's own checks can be collected"
        mend = "mend egoscale_conformance_checks in the plugin module"
        return [Check(f"{subject.namespace}/checks@1", "must", title, frozenset(), mend, partial(_fail, error))]


def _fail(error: EgoscaleError, subject: Subject) -> str:
    raise error


def _vendor_check(entry: CheckEntry) -> Check:
    def run(subject: Subject) -> str:
        import_factory(entry.factory)(subject.embodiment)
        return ""

    mend = f"see {entry.factory}, the plugin's own check"
    return Check(entry.id, entry.level, entry.title, frozenset({"spec"}), mend, run)


def _embodiments(host: PluginHost, namespace: str, name: str) -> list[Subject]:
    """Return one subject per embodiment that the plugin brings, or the named one; none if it does not load."""
    if name:
        return [Subject(host, namespace, host.spec(f"{namespace}/{name}").id)]
    try:
        return [Subject(host, namespace, entry.id) for entry in host.load(namespace).embodiments]
    except EgoscaleError:
        host.registry.source(namespace)  # nobody owns it: the user's mistake; a broken plugin is the kit's to report
        return []


def _checks_for(subject: Subject, checks: Sequence[Check]) -> list[Check]:
    if subject.id is None:
        return [check for check in checks if check.family == "PLG"]
    own = vendor_checks(subject) if "spec" in subject.has and len(checks) == len(all_checks()) else []
    return [check for check in checks if check.family != "PLG"] + own


def _title(subject: Subject) -> str:
    return subject.id or f"plugin {subject.namespace}"


def _fingerprint(subject: Subject) -> str:
    return action_fingerprint(subject.spec) if "spec" in subject.has else ""
