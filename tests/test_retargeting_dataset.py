"""``egoscale retarget``: a robot's actions beside a person's, within limits; nothing that was recorded is touched."""

import json

import human_hand
import numpy as np
import pytest
import torch

from egoscale_sdk import cli
from egoscale_sdk.data import Dataset
from egoscale_sdk.errors import DataError
from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import KeypointRetargeter
from egoscale_sdk.retargeting.dataset import retarget_dataset
from egoscale_sdk.retargeting.evidence import gather
from egoscale_sdk.specs import Provider
from tests.data_kit import episode, human_declaration, robot_declaration

PROVIDER = Provider(distribution="egoscale-sdk", version="0.1.0")
TARGET = "unitree/g1_dex3"


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def person(key, rows=24, seed=0, **fields):
    """An episode of two hands that move as hands do."""
    declaration = human_declaration()
    made = episode(key, declaration, rows=rows, seed=seed, **fields)
    blocks = declaration.native.layout.blocks
    made.action[:, blocks["right_hand"]] = human_hand.clip(rows, seed).reshape(rows, 63)
    made.action[:, blocks["left_hand"]] = human_hand.mirrored(human_hand.clip(rows, seed + 1)).reshape(rows, 63)
    return made


@pytest.fixture
def people(tmp_path):
    dataset = Dataset.create(tmp_path / "people.zarr", human_declaration())
    dataset.append([person("a"), person("b", rows=15, seed=5)])
    return dataset


def retarget(dataset, **settings):
    target = default_host().spec(TARGET)
    retargeters = {hand.side: KeypointRetargeter(hand, **settings) for hand in target.hands}
    return retarget_dataset(dataset, target, retargeters, PROVIDER)


def limits(side):
    joints = default_host().spec(TARGET).hand(side).actuated
    return np.array([joint.lower for joint in joints]), np.array([joint.upper for joint in joints])


def test_every_row_gets_the_robots_joints_within_limits_and_the_wrists_that_were_recorded(people):
    summary = retarget(people)
    assert (summary.action_set, summary.episodes, summary.hand_frames) == ("unitree_g1_dex3", 2, 2 * 39)
    assert summary.valid_share == 1
    assert 0 < summary.residual_median_m <= summary.residual_p95_m < 0.04
    dataset = Dataset.open(people.path)
    native, layout = dataset.declaration.native.layout, dataset.action_set("unitree_g1_dex3").layout
    for number in range(2):
        before, after = dataset.rows(number), dataset.rows(number, "unitree_g1_dex3")
        assert after.valid.all()
        for side in ("left", "right"):
            wrist, hand = f"{side}_wrist", f"{side}_hand"
            np.testing.assert_array_equal(after.action[:, layout.blocks[wrist]], before.action[:, native.blocks[wrist]])
            joints, (lower, upper) = after.action[:, layout.blocks[hand]].astype(np.float64), limits(side)
            assert np.all((joints >= lower) & (joints <= upper))


def test_hands_that_were_not_seen_are_not_valid_and_hold_zero(tmp_path):
    made = person("a")
    groups = human_declaration().native.layout.groups
    made.valid[5:9, groups.index("right_hand")] = 0
    made.action[5:9, human_declaration().native.layout.blocks["right_hand"]] = 0
    dataset = Dataset.create(tmp_path / "people.zarr", human_declaration())
    dataset.append([made])
    summary = retarget(dataset)
    assert summary.hand_frames == 2 * 24 - 4
    rows, layout = dataset.rows(0, "unitree_g1_dex3"), dataset.action_set("unitree_g1_dex3").layout
    valid = rows.valid[:, layout.groups.index("right_hand")]
    assert valid.tolist() == [not 5 <= row < 9 for row in range(24)]
    assert not rows.action[5:9, layout.blocks["right_hand"]].any()
    assert rows.valid[:, layout.groups.index("left_hand")].all()


def test_running_it_again_retargets_only_what_was_appended(people):
    retarget(people)
    before = [people.rows(number, "unitree_g1_dex3").action for number in range(2)]
    people.append([person("c", rows=10, seed=9)])
    assert retarget(people).episodes == 1
    assert retarget(people).episodes == 0
    for number, action in enumerate(before):
        np.testing.assert_array_equal(people.rows(number, "unitree_g1_dex3").action, action)
    assert people.rows(2, "unitree_g1_dex3").valid.all()


def test_nothing_that_was_recorded_changes(people):
    before = {path: path.read_bytes() for path in people.path.rglob("segments/**/*") if path.is_file()}
    retarget(people)
    assert {path: path.read_bytes() for path in before} == before
    assert len(before) > 5


def test_a_set_of_that_name_made_otherwise_is_refused(people):
    retarget(people)
    with pytest.raises(DataError, match="unitree_g1_dex3"):
        retarget(people, smoothing=0.5)


def test_a_robots_dataset_is_refused(tmp_path):
    dataset = Dataset.create(tmp_path / "robot.zarr", robot_declaration())
    with pytest.raises(DataError, match="no hand keypoints"):
        retarget(dataset)


def test_an_empty_dataset_gets_an_empty_set(tmp_path):
    dataset = Dataset.create(tmp_path / "people.zarr", human_declaration())
    summary = retarget(dataset)
    assert (summary.episodes, summary.hand_frames, summary.residual_p95_m) == (0, 0, 0.0)


def test_what_lies_seconds_apart_is_not_smoothed_together(tmp_path):
    """Two halves, open and closed, six seconds apart: neither leans towards the other."""
    open_hand, fist = human_hand.right_hand(np.zeros(4)), human_hand.right_hand(np.full(4, 0.8))
    made = person("a", rows=20)
    block = human_declaration().native.layout.blocks["right_hand"]
    made.action[:, block] = np.repeat([open_hand.ravel(), fist.ravel()], 10, axis=0)
    made.time_ns[10:] += 6_000_000_000
    dataset = Dataset.create(tmp_path / "people.zarr", human_declaration())
    dataset.append([made])
    retarget(dataset)
    joints = dataset.rows(0, "unitree_g1_dex3").action[
        :, dataset.action_set("unitree_g1_dex3").layout.blocks["right_hand"]
    ]
    np.testing.assert_allclose(joints[:10], np.tile(joints[0], (10, 1)), atol=1e-3)
    np.testing.assert_allclose(joints[10:], np.tile(joints[-1], (10, 1)), atol=1e-3)
    assert np.abs(joints[0] - joints[-1]).max() > 0.5


def command(*words):
    try:
        cli.main(["retarget", *map(str, words)])
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_the_command_prints_what_it_did_as_json(people, capsys):
    assert command(people.path, "--to", TARGET, "--name", "grip", "--json", "-q") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["action_set"], said["target"], said["episodes"]) == ("grip", "unitree/g1_dex3@1", 2)
    assert said["valid_share"] == 1.0
    assert Dataset.open(people.path).action_set("grip").retargeting.retargeter == "egoscale/keypoints@2"


def test_the_command_passes_settings_on_and_the_datasets_rate(people):
    assert command(people.path, "--to", TARGET, "--target", "scaled", "-q") == 0
    dataset = Dataset.open(people.path)
    parameters = dataset.action_set("unitree_g1_dex3").retargeting.parameters
    assert (parameters["target"], parameters["rate_hz"]) == ("scaled", dataset.declaration.fps)


def test_the_command_says_that_there_is_nothing_new(people, capsys):
    words = (people.path, "--to", TARGET, "-q")
    assert command(*words) == 0
    assert "100.0 % determined" in capsys.readouterr().out
    assert command(*words) == 0
    assert "nothing new to retarget" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "unitree/g1_dex4"], "did you mean"),
        (["--to", "nobody/hand"], "nobody"),
        (["--to", "human/hands"], "human"),
        (["--to", TARGET, "--retargeter", "egoscale/gap"], "gap"),
        (["--to", "gripper/panda", "--target", "metric"], "no setting 'target'"),
        (["--to", "gripper/panda", "--workers", "0"], "--workers: is 0; allowed: 1 and above"),
        (["--to", TARGET, "--engine", "local", "--workers", "2"], "use --engine process"),
        (["--to", TARGET, "--engine", "rya"], "local"),
        pytest.param(
            ["--to", TARGET, "--device", "cuda"],
            "--device cuda: no GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(people, capsys, words, said):
    assert command(people.path, *words, "-q") == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message


def test_a_dataset_that_is_not_there_is_one_line_and_exit_2(tmp_path, capsys):
    assert command(tmp_path / "absent.zarr", "--to", TARGET, "-q") == 2
    assert "absent.zarr" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["unitree/g1_dex3", "gripper/panda"])
def test_a_report_is_one_page_with_what_the_hands_did(people, tmp_path, target):
    page = tmp_path / "report.html"
    cli.main(["retarget", str(people.path), "--to", target, "--report", str(page), "-q"])
    text = page.read_text()
    for word in (
        "right hand",
        "thumb and",
        "jitter RMS",
        "at its lower limit",
        "data:image/svg+xml;base64,",
        "largest residual",
    ):
        assert word in text
    assert "http://" not in text
    assert "https://" not in text


def test_evidence_is_what_the_dataset_holds_and_no_more_frames_than_asked(people):
    retarget(people)
    dataset = Dataset.open(people.path)
    left, right = gather(dataset, "unitree_g1_dex3", most_frames=1000)
    assert (len(left.joints), len(right.joints)) == (39, 39)
    assert right.row.tolist() == [*range(24), *range(15)]
    layout = dataset.action_set("unitree_g1_dex3").layout
    second = dataset.rows(1, "unitree_g1_dex3").action[:, layout.blocks["right_hand"]]
    np.testing.assert_array_equal(right.joints[24:], second)
    assert len(right.acceleration()) == 24 - 2 + 15 - 2
    assert [len(points) for points in right.robot_points()] == [39, 39, 39]
    assert len(gather(dataset, "unitree_g1_dex3", most_frames=10)[0].joints) == 10


def test_a_report_that_cannot_be_written_is_refused_before_any_work(people, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["retarget", str(people.path), "--to", TARGET, "--report", str(tmp_path / "no" / "r.html")])
    assert "existing folder" in capsys.readouterr().err
    assert len(Dataset.open(people.path).declaration.action_sets) == 1
