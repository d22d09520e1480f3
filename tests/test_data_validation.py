"""What is wrong with a dataset is found, named, counted, and comes with a way to mend it."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from egoscale_sdk.cli import main
from egoscale_sdk.data import Dataset, action_equals_state, validate_dataset, writer
from tests.data_kit import camera, episode, human_declaration, robot_declaration
from tests.test_data_dataset import derived_arrays, derived_set


@pytest.fixture
def unchecked(monkeypatch):
    """Writers as others might have written them, that store whatever comes."""
    monkeypatch.setattr(writer, "check_episode", lambda episode, declaration: None)
    monkeypatch.setattr(writer, "row_statistics", lambda columns, layout: {})


def make(folder, declaration, *episodes):
    dataset = Dataset.create(folder / "d.zarr", declaration)
    dataset.append(episodes)
    return dataset


def codes(dataset):
    return [(finding.code, finding.severity, finding.count) for finding in validate_dataset(dataset)]


@pytest.fixture
def hand():
    """Canonical keypoints of a plausible open right hand in its wrist frame, metres, as 63 columns."""
    points = np.zeros((21, 3), np.float32)
    for finger in range(5):
        for joint in range(4):
            points[1 + 4 * finger + joint] = [0.0, 0.03 - 0.015 * finger, 0.09 + 0.025 * joint]
    return points.ravel()


def human_episode(declaration, hand, **fields):
    source = episode("a", declaration, **fields)
    for side in ("left", "right"):
        source.action[:, declaration.native.layout.blocks[f"{side}_hand"]] = hand
    return source


def test_sound_datasets_have_no_findings(tmp_path, hand):
    robot = robot_declaration(cameras=(camera(),))
    assert validate_dataset(make(tmp_path / "r", robot, episode("a", robot), episode("b", robot, seed=1))) == []
    human = human_declaration()
    dataset = make(tmp_path / "h", human, human_episode(human, hand))
    claw = derived_set(human)
    arrays = {
        path: values | {"valid": np.zeros_like(values["valid"])} for path, values in derived_arrays(dataset, claw)
    }
    dataset.add_action_set(claw, arrays)
    assert validate_dataset(dataset) == []


def test_actions_that_are_the_measured_state_are_found(tmp_path):
    declaration = robot_declaration()
    good, copied = episode("a", declaration), episode("a", declaration)
    copied.action[:] = copied.state
    assert action_equals_state(make(tmp_path / "good", declaration, good)) is None
    dataset = make(tmp_path / "copied", declaration, copied)
    finding = action_equals_state(dataset)
    assert (finding.code, finding.severity, finding.count) == ("action_equals_state", "error", 36)
    assert "right_wrist, right_hand" in finding.message
    assert validate_dataset(dataset) == [finding]


def test_one_copied_hand_is_enough(tmp_path):
    declaration = robot_declaration()
    source = episode("a", declaration)
    source.action[:, 9:] = source.state[:, 9:]
    finding = action_equals_state(make(tmp_path, declaration, source))
    assert "in right_hand:" in finding.message


def test_a_robot_that_stands_still_or_declares_observed_actions_is_not_accused(tmp_path):
    declaration = robot_declaration()
    source = episode("a", declaration)
    source.action[:], source.state[:] = source.action[0], source.action[0]
    assert action_equals_state(make(tmp_path / "still", declaration, source)) is None
    observed = robot_declaration(action_source="observed")
    source = episode("a", observed)
    source.action[:] = source.state
    assert action_equals_state(make(tmp_path / "observed", observed, source)) is None
    assert action_equals_state(make(tmp_path / "human", human_declaration())) is None


def test_numbers_that_are_not_finite_are_found(tmp_path, unchecked):
    declaration = robot_declaration(raw=("force",))
    source = episode("a", declaration, raw={"force": np.full((40, 2), np.inf, np.float32)})
    source.state[5, 10] = np.nan
    found = validate_dataset(make(tmp_path, declaration, source))
    assert [(finding.code, finding.count) for finding in found] == [("not_finite", 1), ("not_finite", 80)]
    assert [finding.where for finding in found] == ["episode 'a': state", "episode 'a': raw/force"]


def test_time_that_does_not_increase_is_found(tmp_path, unchecked):
    declaration = robot_declaration()
    source = episode("a", declaration)
    source.time_ns[[10, 20]] = source.time_ns[[9, 18]]
    assert codes(make(tmp_path, declaration, source)) == [("time", "error", 2)]


def test_a_wrist_that_is_no_rigid_pose_is_found(tmp_path):
    declaration = robot_declaration()
    source = episode("a", declaration)
    source.action[7:10, 3:9] *= 1.1
    assert codes(make(tmp_path, declaration, source)) == [("not_se3", "error", 3)]


def test_a_masked_wrist_is_not_looked_at(tmp_path):
    declaration = robot_declaration()
    valid = np.ones((40, 2), np.uint8)
    valid[7, 0] = 0
    source = episode("a", declaration, valid=valid)
    source.action[7, :9] = 0
    assert codes(make(tmp_path, declaration, source)) == []


def test_a_human_hand_a_thousand_times_too_large_is_found(tmp_path, hand):
    declaration = human_declaration()
    found = validate_dataset(make(tmp_path, declaration, human_episode(declaration, 1000 * hand)))
    assert {finding.code for finding in found} == {"hand_size"}
    assert "look like millimetres" in found[0].hint


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, []), (40.0, [("limits", "warning")]), (1e3, [("hand_size", "error")])]
)
def test_joints_far_beyond_their_limits_are_in_other_units(tmp_path, factor, expected):
    declaration = robot_declaration()
    source = episode("a", declaration)
    source.action[:, 9:] *= factor
    assert [code[:2] for code in codes(make(tmp_path, declaration, source))] == expected


def test_arrays_of_another_shape_than_declared_are_found(tmp_path, unchecked):
    declaration = robot_declaration()
    source = episode("a", declaration)
    wide = dataclasses.replace(source, action=np.zeros((40, 13), np.float32))
    (finding,) = validate_dataset(make(tmp_path, declaration, wide))
    assert (finding.code, finding.message) == ("shape", "has shape (40, 13), declared is (40, 12)")


def test_a_flipped_bit_is_found_and_the_rest_still_checked(tmp_path):
    declaration = robot_declaration()
    dataset = make(tmp_path, declaration, episode("a", declaration))
    dataset.append([episode("b", declaration)])
    file = dataset.path / dataset.segments[0] / "state/c/0/0"
    data = bytearray(file.read_bytes())
    data[40] ^= 4
    file.write_bytes(data)
    assert codes(Dataset.open(dataset.path)) == [("damaged", "error", 1)]


def test_an_action_set_that_lacks_a_segment_is_found(tmp_path, hand):
    declaration = human_declaration()
    dataset = make(tmp_path, declaration, human_episode(declaration, hand))
    claw = derived_set(declaration)
    dataset.add_action_set(claw, {})
    (finding,) = validate_dataset(dataset)
    assert finding.code == "incomplete"
    assert "egoscale retarget" in finding.hint


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def sound(tmp_path):
    declaration = robot_declaration(cameras=(camera(),), assumptions=("the waist is at zero",))
    return make(tmp_path, declaration, episode("a", declaration), episode("b", declaration))


def test_show_says_what_a_dataset_is(sound, capsys):
    main(["dataset", "show", str(sound.path)])
    text = capsys.readouterr().out
    for part in ("acme/hand@1 (robot), from acme-hand 1.0", "2, 80 rows", "native: acme/hand@1, 12 columns, commanded"):
        assert part in text
    for part in ("head: 32x24", "1 tasks, 2 objects", "task     pick          2", "the waist is at zero"):
        assert part in text


def test_show_as_json(sound, capsys):
    main(["dataset", "show", str(sound.path), "--json"])
    value = json.loads(capsys.readouterr().out)
    assert (value["embodiment"], value["version"], value["episodes"], value["rows"]) == ("acme/hand@1", 1, 2, 80)
    assert value["hours"] == pytest.approx(80 / 30 / 3600, abs=1e-6)
    assert value["census"] == {"task": {"pick": 2}, "success": {"True": 2}, "objects": {"cube": 2, "table": 2}}
    assert value["totals"] == {"tasks": 1, "scenes": 0, "operators": 0, "categories": 0, "objects": 2}
    assert value["valid_share"] == {"right_wrist": 1.0, "right_hand": 1.0}
    main(["dataset", "show", str(sound.path), "--json", "--version", "0"])
    assert json.loads(capsys.readouterr().out)["episodes"] == 0


def test_the_census_counts_hours_shares_and_pairs(tmp_path, capsys):
    declaration = robot_declaration()
    labels = [
        {"category": "kitchen", "scene": "a", "operator": "x", "aligned_group": "g1"},
        {"category": "kitchen", "scene": "b", "operator": "x", "aligned_group": "g1"},
        {"category": "garage", "scene": "a", "operator": "y", "aligned_group": "g2"},
        {},
    ]
    rows = (30, 30, 60, 120)
    sources = [episode(str(n), declaration, rows=rows[n], labels=own) for n, own in enumerate(labels)]
    dataset = make(tmp_path, declaration, *sources)
    main(["dataset", "show", str(dataset.path), "--json"])
    value = json.loads(capsys.readouterr().out)
    assert value["category_shares"] == pytest.approx({"kitchen": 0.25, "garage": 0.25}, abs=1e-3)
    assert value["hours_by_label"]["operator"] == {"x": pytest.approx(60 / 30 / 3600, abs=2e-6)} | {
        "y": pytest.approx(60 / 30 / 3600, abs=2e-6)
    }
    assert value["pairs"] == {"groups": 2, "paired_here": 1, "episodes": 3}
    assert value["totals"] == {"tasks": 0, "scenes": 2, "operators": 2, "categories": 2, "objects": 0}
    main(["dataset", "show", str(dataset.path)])
    text = capsys.readouterr().out
    for part in ("3 episodes in 2 groups, 1 of them", "category  kitchen         2  0.001  25.0%", "garage"):
        assert part in text


def test_validate_exits_0_without_errors_a_missing_plugin_being_a_warning(sound, capsys):
    main(["dataset", "validate", str(sound.path), "--json", "-q"])
    value = json.loads(capsys.readouterr().out)
    assert (value["dataset"], value["version"], value["errors"], value["warnings"]) == (str(sound.path), 1, 0, 1)
    assert [finding["code"] for finding in value["findings"]] == ["plugin"]


def test_validate_exits_1_with_every_finding(sound, capsys):
    source = episode("c", sound.declaration)
    source.action[:] = source.state
    source.action[3, 3:9] *= 2
    sound.append([source])
    with pytest.raises(SystemExit) as stop:
        main(["dataset", "validate", str(sound.path), "--json", "-q"])
    assert stop.value.code == 1
    value = json.loads(capsys.readouterr().out)
    assert value["errors"] == 1
    assert value["findings"][0]["code"] == "not_se3"
    assert value["findings"][0]["where"] == "episode 'c': native action"


def test_of_many_findings_of_one_kind_a_few_are_shown_and_all_are_in_json(tmp_path, capsys):
    declaration = robot_declaration()
    sources = [episode(str(n), declaration, rows=5, seed=n) for n in range(12)]
    for source in sources:
        source.action[2, 3:9] *= 2
    dataset = make(tmp_path, declaration, *sources)
    with pytest.raises(SystemExit):
        main(["dataset", "validate", str(dataset.path), "-q"])
    text = capsys.readouterr().out
    assert text.count("is not a rigid pose") == 8
    assert "and 4 more findings of not_se3; --json lists them" in text
    with pytest.raises(SystemExit):
        main(["dataset", "validate", str(dataset.path), "-q", "--json"])
    assert json.loads(capsys.readouterr().out)["errors"] == 12


def test_what_a_killed_writer_left_is_a_warning_with_the_command_that_removes_it(sound, capsys):
    (sound.path / "segments" / ("a" * 32)).mkdir()
    main(["dataset", "validate", str(sound.path), "-q"])
    text = capsys.readouterr().out
    assert f"warning: segments/{'a' * 32}: 1 unfinished or orphaned folders" in text
    assert f"egoscale dataset gc {sound.path}" in text


@pytest.mark.parametrize("command", ["show", "validate"])
def test_what_is_no_dataset_exits_2_with_one_line(tmp_path, capsys, command):
    with pytest.raises(SystemExit) as stop:
        main(["dataset", command, str(tmp_path / "none.zarr")])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_show_starts_no_plugin(sound):
    code = (
        f"import sys; from egoscale_sdk.cli import main; main(['dataset', 'show', {str(sound.path)!r}])\n"
        "assert not {'pluggy', 'torch'} & set(sys.modules), 'a plugin host was started'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
