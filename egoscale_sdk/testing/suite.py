"""The kit in pytest: one test per check, in a class of two lines in the vendor's own repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import pytest

from egoscale_sdk.host import PluginHost, default_host
from egoscale_sdk.ids import parse_id
from egoscale_sdk.testing.check import Check
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.run import CheckResult, run_check, vendor_checks
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
        embodiment_id: ``namespace/name@N``.
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
            id = parse_id(cls.embodiment_id, versioned=True)
            cls._subjects[key] = Subject(cls.host(), id.namespace, cls.embodiment_id)
        return cls._subjects[key]

    def pytest_generate_tests(self, metafunc: Metafunc) -> None:
        """Make one test per check, named by its id."""
        checks = _checks(self.subject())
        unknown = set(self.known_failures) - {check.id for check in checks}
        if unknown:
            raise pytest.UsageError(
                f"{type(self).__name__}.known_failures names no check: {', '.join(sorted(unknown))}"
            )
        if "check" in metafunc.fixturenames:
            metafunc.parametrize("check", checks, ids=[check.id for check in checks])

    def test_check(self, check: Check) -> None:
        """The embodiment keeps this clause of the contract."""
        result = run_check(check, self.subject())
        if result.status == "skipped":
            pytest.skip(result.detail)
        _judge(result, self.known_failures.get(check.id))


def _checks(subject: Subject) -> list[Check]:
    return all_checks() + (vendor_checks(subject) if "spec" in subject.has else [])


def _judge(result: CheckResult, known: str | None) -> None:
    """Fail, pass, or expect the failure strictly."""
    text = f"{result.id}: {result.title}\n  {result.detail}\n  to mend: {result.mend}\n{result.traceback}".rstrip()
    if known is None and result.status == "failed":
        pytest.fail(text, pytrace=False)
    if known is not None and result.status == "failed":
        pytest.xfail(known)
    if known is not None:
        pytest.fail(f"{result.id} passes, but is listed as a known failure: {known}", pytrace=False)
