"""The kit's dataset checks on faults beyond the one mutant of each, and its writer of recordings against the reader."""

from typing import Any

import numpy as np
import pytest

from egoscale_sdk.data import Dataset, validate_dataset
from egoscale_sdk.hands.action_space import WristHandSpace
from egoscale_sdk.host import ActionSpaceEntry, EmbodimentEntry, PluginHost, default_host, hookimpl
from egoscale_sdk.specs import EmbodimentSpec
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.fakes import GOOD_ID, NAMESPACE, good, with_spec
from egoscale_sdk.testing.fakes.good import good_spec
from egoscale_sdk.testing.fakes.plugin import egoscale_embodiments
from egoscale_sdk.testing.recorded import ROWS, motion, recorded
from egoscale_sdk.testing.run import CheckResult, run_check
from egoscale_sdk.testing.strangers import columns_and_joints, meaning, strangers
from egoscale_sdk.testing.subject import Subject

CHECKS = {check.id: check for check in all_checks()}


def judge(id: str, subject: Subject) -> CheckResult:
    result = run_check(CHECKS[id], subject)
    assert result.traceback == ""
    return result


def shipped(id: str) -> Subject:
    return Subject(default_host(), id.partition("/")[0], id)


@pytest.mark.parametrize("id", ["human/hands@1", "gripper/panda@1", "unitree/g1_inspire@1"])
def test_a_motion_is_a_plausible_recording_of_any_body(id):
    subject = shipped(id)
    rows = motion(subject)
    assert rows.shape == (ROWS, subject.layout.dim)
    assert np.isfinite(rows).all()
    assert (np.ptp(rows, axis=0) > 0).mean() > 0.7  # a person's palm stands still in the wrist frame
    assert validate_dataset(Dataset.open(recorded(subject).path)) == []


def test_the_dataset_is_gone_with_its_last_user():
    subject = good()
    path = recorded(subject).path
    assert path.is_dir()
    recorded.cache_clear()
    assert not path.exists()


class TestRecordings:
    def test_every_shipped_layout_is_read_back(self):
        found = [judge("DATA004", shipped(entry.id)) for entry in default_host().embodiments()]
        assert {result.status for result in found} == {"passed", "skipped"}
        assert "Unitree_G1_Inspire" in {result.detail for result in found}

    def test_a_wire_without_a_joint_is_found_where_a_recording_names_it(self):
        """The reader leaves the joint at zero, in silence."""
        left, right = good_spec().wires
        first, *others = good_spec().recordings
        wrist, hand = first.action
        seven = hand.model_copy(update={"stop": hand.stop - 1, "encoding": "left_bus"})
        recordings = (first.model_copy(update={"action": (wrist, seven)}), others[0])
        wires = (left.model_copy(update={"joints": left.joints[1:]}), right)
        result = judge("DATA004", with_spec(wires=wires, recordings=recordings))
        assert "column left_hand.index_mcp is read" in result.detail

    def test_columns_that_are_described_twice_are_found(self):
        first, *others = good_spec().recordings
        wrist, hand = first.action
        overlapping = first.model_copy(update={"action": (wrist, hand.model_copy(update={"start": 8, "stop": 16}))})
        result = judge("DATA004", with_spec(recordings=(overlapping, *others)))
        assert "column 8 is described 2 times" in result.detail


class _Renames:
    """Knows that one joint has a new name, and checks nothing else."""

    @hookimpl
    def egoscale_embodiments(self) -> list[EmbodimentEntry]:
        return egoscale_embodiments()

    @hookimpl
    def egoscale_upgrade_declaration(self, declared: EmbodimentSpec, current: EmbodimentSpec) -> Any:
        same = [len(hand.joints) for hand in declared.hands] == [len(hand.joints) for hand in current.hands]
        return current if same else None


def test_an_upgrade_that_only_counts_columns_is_found():
    result = judge("DATA005", Subject(PluginHost({NAMESPACE: _Renames()}), NAMESPACE, GOOD_ID))
    assert result.status == "failed"
    assert "two columns exchanged" in result.detail


class _ComparesColumns:
    """Knows columns and joints, but not that wrist frame, axes or action space may differ."""

    def __init__(self, changed: str) -> None:
        self.changed = changed

    @hookimpl
    def egoscale_embodiments(self) -> list[EmbodimentEntry]:
        return egoscale_embodiments()

    @hookimpl
    def egoscale_upgrade_declaration(self, declared: EmbodimentSpec, current: EmbodimentSpec) -> Any:
        before, after = meaning(declared), meaning(current)
        return current if [part for part in before if before[part] != after[part]] == [self.changed] else None


@pytest.mark.parametrize("part", ["wrist frames", "axes", "action space"])
def test_an_upgrade_that_silences_another_difference_is_found(part):
    result = judge("DATA005", Subject(PluginHost({NAMESPACE: _ComparesColumns(part)}), NAMESPACE, GOOD_ID))
    assert (result.status, f"with other {part}" in result.detail) == ("failed", True)


def test_strange_declarations_mean_something_else():
    for spec in (good_spec(), shipped("human/hands@1").spec, shipped("gripper/panda@1").spec):
        found = strangers(spec)
        assert all(meaning(stranger) != meaning(spec) for stranger in found.values())
        others = [what for what, stranger in found.items() if columns_and_joints(stranger) != columns_and_joints(spec)]
        assert len({columns_and_joints(found[what]) for what in others}) == len(others) >= 2
        assert {"another wrist frame", "another action space"} <= set(found) - set(others)


class _OwnSpace:
    """A plugin whose embodiment acts in a space of its own: code, which a machine without the plugin lacks."""

    @hookimpl
    def egoscale_embodiments(self) -> list[EmbodimentEntry]:
        return egoscale_embodiments()

    @hookimpl
    def egoscale_action_spaces(self) -> list[ActionSpaceEntry]:
        factory = f"{WristHandSpace.__module__}:WristHandSpace"
        return [ActionSpaceEntry(id="fake/own@1", factory=factory)]


def test_an_action_space_of_its_own_needs_the_plugin_and_says_so():
    action = good_spec().action.model_copy(update={"space": "fake/own@1"})
    host = PluginHost({NAMESPACE: _OwnSpace()})
    subject = Subject(host, NAMESPACE, GOOD_ID, spec=good_spec().model_copy(update={"action": action}))
    result = judge("DATA002", subject)
    assert (result.status, "need the plugin's action space; names egoscale-fake" in result.detail) == ("passed", True)
    assert judge("DATA003", subject).status == "passed"


def test_a_spec_that_changed_since_it_was_recorded_is_found():
    result = judge("DATA001", with_spec(base_frame="world"))
    assert "base_frame: 'world' (dataset) != 'torso' (installed)" in result.detail
