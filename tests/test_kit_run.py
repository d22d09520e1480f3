"""Running the kit: what hangs is stopped, one fault is reported once, a plugin's own checks can be chosen."""

import time

import pytest

from egoscale_sdk.errors import EgoscaleError
from egoscale_sdk.host import CheckEntry, EmbodimentEntry, PluginHost, hookimpl
from egoscale_sdk.testing import run
from egoscale_sdk.testing.check import check
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.fakes import good
from egoscale_sdk.testing.run import check_plugin, run_check
from egoscale_sdk.testing.select import checks_for, normal_names

SPEC = "egoscale_sdk.testing.fakes:hand/embodiment.toml"


class Fake:
    """The fake hand with checks of its own, and a body that cannot be made if ``factory`` says so."""

    def __init__(self, factory="egoscale_sdk.kinematics:SpecEmbodiment", own="tests.test_kit_run:own"):
        self.factory, self.own = factory, own

    @hookimpl
    def egoscale_embodiments(self):
        return [EmbodimentEntry(id="fake/hand@1", spec=SPEC, factory=self.factory)]

    @hookimpl
    def egoscale_conformance_checks(self, spec):
        return [CheckEntry(id="fake/own@1", title="It is ours", factory=self.own)]


def own(embodiment):
    assert embodiment.spec.id == "fake/hand@1"


def broken_body(spec):
    raise KeyError("right_thumb")


@check("KIN901", "must", mend="answer")
def hangs(subject):
    """It answers."""
    try:
        time.sleep(60)
    except Exception:
        return "swallowed"
    return ""


def test_a_check_that_hangs_is_stopped(monkeypatch):
    monkeypatch.setattr(run, "LIMIT_S", 0.05)
    result = run_check(hangs, good())
    assert (result.status, result.detail) == ("failed", "was stopped after 0.05 s")
    assert "time.sleep(60)" in result.traceback


def test_a_body_that_cannot_be_made_is_one_failure_with_its_traceback():
    names = ["KIN001", "KIN002", "KIN003", "KIN004", "KIN005", "KIN010"]
    report = check_plugin(PluginHost({"fake": Fake("tests.test_kit_run:broken_body")}), "fake", only=names)
    (failure,) = report.failures("should")
    assert "KeyError" in failure.detail
    assert "in broken_body" in failure.traceback
    assert "mend what is named here" in failure.mend
    others = [result.detail for result in report.results if result.detail.startswith(f"needs what {failure.id}")]
    assert len(others) == 5


def test_own_checks_run_with_the_kits_and_can_be_chosen():
    host = PluginHost({"fake": Fake()})
    report = check_plugin(host, "fake/hand", only=["fake/own@1", "spec001"])
    assert [(result.id, result.status) for result in report.results] == [
        ("SPEC001", "passed"),
        ("fake/own@1", "passed"),
    ]
    subject = good()
    subject.host = host
    assert [item.id for item in checks_for(subject)][-1] == "fake/own@1"
    with pytest.raises(EgoscaleError, match=r"no check 'fake/ours@1'.*fake/own@1"):
        normal_names(["fake/ours@1"], [subject])


def test_every_check_of_the_kit_runs_on_the_plugin_or_on_its_embodiment():
    plugin, hand = good(), good()
    plugin.id = None
    assert [*checks_for(plugin), *checks_for(hand)] == all_checks()


def test_a_plugin_without_embodiments_leaves_nothing_to_most_families():
    class Empty:
        @hookimpl
        def egoscale_embodiments(self):
            return []

    with pytest.raises(EgoscaleError, match="brings no embodiment; --only KIN leaves nothing"):
        check_plugin(PluginHost({"fake": Empty()}), "fake", only=["KIN"])
