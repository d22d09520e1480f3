"""The kit itself: every check passes the good embodiment, and catches the mutant that breaks its clause."""

import pytest

from egoscale_sdk.testing.check import FAMILIES
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.fakes import good, mutants
from egoscale_sdk.testing.run import run_check

CHECKS = {check.id: check for check in all_checks()}
MUST = [id for id, check in CHECKS.items() if check.level == "must"]


@pytest.fixture(scope="module")
def subject():
    return good()


@pytest.mark.parametrize("id", CHECKS)
def test_the_good_embodiment_passes(id, subject):
    result = run_check(CHECKS[id], subject)
    assert (result.status, result.traceback) == ("passed", ""), result.detail


@pytest.mark.parametrize("id", MUST)
def test_a_must_check_catches_its_mutant(id):
    result = run_check(CHECKS[id], mutants()[id]())
    assert (result.status, result.traceback) == ("failed", ""), result.detail
    assert len(result.detail) > 20, "a violation says what is wrong"
    assert result.mend


def test_every_mutant_belongs_to_a_check():
    assert set(mutants()) <= set(CHECKS)


def test_ids_are_unique_and_say_their_family():
    assert len(CHECKS) == len(all_checks())
    assert all(check.family in FAMILIES and check.title and check.mend for check in CHECKS.values())
