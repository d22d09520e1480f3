"""`EmbodimentSuite` in a vendor's own pytest: a test per check, skips that say why, known failures kept honest."""

import pytest

from egoscale_sdk.testing import NotApplicable, Violation, suite
from egoscale_sdk.testing.check import check

SUITE = """
from egoscale_sdk.host import PluginHost
from egoscale_sdk.testing import EmbodimentSuite


class TestFake(EmbodimentSuite):
    embodiment_id = "fake/hand@1"
    known_failures = {known}

    @classmethod
    def host(cls):
        return PluginHost({{"fake": "egoscale_sdk.testing.fakes.plugin"}})
"""


@check("SPEC901", "must", mend="nothing")
def passes(subject):
    """It passes."""
    return "1 of 1"


@check("SPEC902", "should", mend="shorten the finger")
def fails(subject):
    """It fails."""
    raise Violation("finger 'right_index' is 3 m long")


@check("SPEC903", "must", needs={"aperture"}, mend="nothing")
def needs_a_gripper(subject):
    """It needs a gripper."""
    raise AssertionError


@check("SPEC904", "must", mend="nothing")
def has_nothing_to_say(subject):
    """It has nothing to say."""
    raise NotApplicable("there is one finger only")


@pytest.fixture
def run(pytester, monkeypatch):
    monkeypatch.setattr(suite, "all_checks", lambda: [passes, fails, needs_a_gripper, has_nothing_to_say])

    def run(known):
        pytester.makepyfile(SUITE.format(known=known))
        return pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider")

    return run


def test_one_test_per_check_with_the_violation_and_its_remedy(run):
    result = run({})
    result.assert_outcomes(passed=1, failed=1, skipped=2)
    result.stdout.fnmatch_lines(
        ["*SPEC902: It fails*", "*finger 'right_index' is 3 m long*", "*to mend: shorten the finger*"]
    )


def test_a_skip_says_what_the_embodiment_does_not_declare(run):
    result = run({})
    result.stdout.fnmatch_lines_random(["*SKIPPED*needs an aperture*", "*SKIPPED*there is one finger only*"])


def test_a_known_failure_is_expected(run):
    run({"SPEC902": "the finger is on order"}).assert_outcomes(passed=1, xfailed=1, skipped=2)


def test_a_known_failure_that_passes_fails(run):
    result = run({"SPEC901": "was broken once", "SPEC902": "the finger is on order"})
    result.assert_outcomes(failed=1, xfailed=1, skipped=2)
    result.stdout.fnmatch_lines(["*SPEC901 passes, but is listed as a known failure: was broken once*"])


def test_a_known_failure_of_no_check_fails_and_leaves_other_tests_alone(run, pytester):
    pytester.makepyfile(test_other="def test_other(): pass")
    result = run({"SPEC999": "?"})
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines_random(["*TestFake.known_failures: there is no check 'SPEC999'; did you mean*"])


def test_a_suite_without_an_id_says_so(run, pytester):
    pytester.makepyfile(
        test_empty="from egoscale_sdk.testing import EmbodimentSuite\nclass TestX(EmbodimentSuite): pass"
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "test_empty.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines_random(["*TestX: has no embodiment_id; e.g. embodiment_id = 'acme/hand@1'*"])
