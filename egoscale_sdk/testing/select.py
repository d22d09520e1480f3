"""Which checks run on which subject: those of the kit that were asked for, and the plugin's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from egoscale_sdk.errors import EgoscaleError, did_you_mean
from egoscale_sdk.host import CheckEntry
from egoscale_sdk.host.factories import import_factory
from egoscale_sdk.testing.check import FAMILIES, Check
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.subject import Subject


def checks_for(subject: Subject, only: Sequence[str] = ()) -> list[Check]:
    """Return the checks that are to run on a subject, in the order of the kit, the plugin's own ones last.

    Where the plugin or its spec does not load, the check that says so runs in any case: nothing else can.

    Args:
        subject: A plugin alone (its family is PLG), or one of its embodiments (all the others).
        only: Families or ids; empty means all.
    """
    alone = subject.id is None
    checks = [check for check in all_checks() if (check.family == "PLG") == alone]
    gate, loaded = ("PLG001", "plugin") if alone else ("SPEC001", "spec")
    gates = {gate} if loaded not in subject.has else set()
    chosen = [check for check in checks if not only or check.id in gates or {check.family, check.id} & set(only)]
    own = [] if alone or "spec" not in subject.has else own_checks(subject)
    return chosen + [check for check in own if not only or check.id in only]


def own_checks(subject: Subject) -> list[Check]:
    """Return the checks that a plugin adds for its own embodiment; a hook that fails is one check that fails."""
    try:
        return [_own_check(entry) for entry in subject.host.conformance_checks(subject.spec)]
    except EgoscaleError as error:
        mend = "mend egoscale_conformance_checks in the plugin module"
        return [failing(f"{subject.namespace}/checks@1", "The plugin's own checks can be collected", error, mend)]


def failing(id: str, title: str, error: EgoscaleError, mend: str) -> Check:
    """Return a check that fails with ``error``: how a mistake that leaves nothing else to check is reported."""
    return Check(id, "must", title, frozenset(), mend, partial(_fail, error))


def normal_names(only: Sequence[str], subjects: Sequence[Subject]) -> tuple[str, ...]:
    """Return families and ids as they are written, whatever the case in which they were typed.

    Raises:
        EgoscaleError: a name is neither a family, nor the id of a check of the kit or of the plugin's own.
    """
    own = [check.id for subject in subjects if "spec" in subject.has for check in own_checks(subject)]
    known = {name.upper(): name for name in (*FAMILIES, *(check.id for check in all_checks()), *own)}
    for name in only:
        if name.upper() not in known:
            guess = did_you_mean(name.upper(), known)
            allowed = (*FAMILIES, *sorted(set(own)))
            raise EgoscaleError(f"there is no check {name!r}", where="--only", allowed=allowed, hint=guess)
    return tuple(known[name.upper()] for name in only)


def _fail(error: EgoscaleError, subject: Subject) -> str:
    raise error


def _own_check(entry: CheckEntry) -> Check:
    def run(subject: Subject) -> str:
        import_factory(entry.factory)(subject.embodiment)
        return ""

    mend = f"see {entry.factory}, the plugin's own check"
    return Check(entry.id, entry.level, entry.title, frozenset({"spec"}), mend, run)
