"""The kit in pytest: one test per check, in a class of two lines in the vendor's own repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import pytest

from egoscale_sdk.errors import EgoscaleError, did_you_mean
from egoscale_sdk.host import PluginHost, default_host
from egoscale_sdk.testing.check import Check
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.run import CheckResult, run_check
from egoscale_sdk.testing.select import failing, own_checks
from egoscale_sdk.testing.subject import Subject

if TYPE_CHECKING:
    from _pytest.python import Metafunc


class EmbodimentSuite:
    """Every check on one embodiment; subclass it under a name that pytest collects.

    ::

        class TestAcme(EmbodimentSuite):
            embodiment_id = "acme/hand@1"

    A check that needs what the embodiment does not declare is skipped and says so. A violation of a *should* clause
    fails the test like one of a *must* clause, unless it is a known failure.

    Attributes:
        embodiment_id: ``namespace/name@N``; without ``@N`` the highest installed generation.
        known_failures: Reason by the id of a check. Such a check is expected to fail; one that passes fails the test,
            so that the list never grows stale.
    """

    embodiment_id: ClassVar[str]
    known_failures: ClassVar[Mapping[str, str]] = {}
    _subjects: ClassVar[dict[str, Subject]] = {}

    @classmethod
    def host(cls) -> PluginHost:
        """Return where the plugin is found; override it to test one that is not installed."""
        return default_host()

    @classmethod
    def subject(cls) -> Subject:
        """Return what is checked; made once per class, so that checks share what is slow to compute."""
        key = f"{cls.__module__}.{cls.__qualname__}"
        if key not in cls._subjects:
            id = getattr(cls, "embodiment_id", "")
            cls._subjects[key] = Subject(cls.host(), id.partition("/")[0], id)
        return cls._subjects[key]

    def pytest_generate_tests(self, metafunc: Metafunc) -> None:
        """Make one test per check, named by its id."""
        if "check" in metafunc.fixturenames:
            checks = self._checks()
            metafunc.parametrize("check", checks, ids=[check.id for check in checks])

    def test_check(self, check: Check) -> None:
        """The embodiment keeps this clause of the contract."""
        result = run_check(check, self.subject())
        if result.status == "skipped":
            pytest.skip(result.detail)
        _judge(result, self.known_failures.get(check.id))

    @classmethod
    def _checks(cls) -> list[Check]:
        """Return every check; or one that fails, where the class itself is wrong: other tests are still collected."""
        try:
            cls._require_id()
            subject = cls.subject()
            checks = [*all_checks(), *(own_checks(subject) if "spec" in subject.has else [])]
            cls._refuse_unknown(checks)
        except EgoscaleError as error:
            return [failing("suite", "The suite names an embodiment and checks that exist", error, "mend the class")]
        return checks

    @classmethod
    def _require_id(cls) -> None:
        if not hasattr(cls, "embodiment_id"):
            raise EgoscaleError("has no embodiment_id", where=cls.__name__, hint="e.g. embodiment_id = 'acme/hand@1'")

    @classmethod
    def _refuse_unknown(cls, checks: Sequence[Check]) -> None:
        ids = [check.id for check in checks]
        for name in cls.known_failures:
            if name not in ids:
                hint = did_you_mean(name, ids)
                raise EgoscaleError(f"there is no check {name!r}", where=f"{cls.__name__}.known_failures", hint=hint)


def _judge(result: CheckResult, known: str | None) -> None:
    """Fail, pass, or expect the failure strictly."""
    text = f"{result.id}: {result.title}\n  {result.detail}\n  to mend: {result.mend}\n{result.traceback}".rstrip()
    if known is None and result.status == "failed":
        pytest.fail(text, pytrace=False)
    if known is not None and result.status == "failed":
        pytest.xfail(known)
    if known is not None:
        pytest.fail(f"{result.id} passes, but is listed as a known failure: {known}", pytrace=False)
