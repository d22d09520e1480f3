"""Closed-loop evaluation: same seed, same episode; a good motion succeeds; the command line says what came out."""

import json
import random

import numpy as np
import pytest
import torch
from policy_cases import checkpoint

from egoscale_sdk.cli import main
from egoscale_sdk.data import Dataset
from egoscale_sdk.errors import CheckpointError, DataError
from egoscale_sdk.geometry import vec9_from_pose
from egoscale_sdk.host import default_host
from egoscale_sdk.runtime.baselines import untrained
from egoscale_sdk.runtime.policy import LoadedPolicy
from egoscale_sdk.runtime.replay import ReplayDriver
from egoscale_sdk.runtime.rollout import evaluate, fisher_greater, mean_demonstration, run_episode
from egoscale_sdk.runtime.sources import PolicySource, TrajectorySource
from egoscale_sdk.runtime.target import choose_embodiment, drivable_set
from egoscale_sdk.sim.demonstration import engaged
from egoscale_sdk.sim.driver import EVALUATION, MujocoDriver
from egoscale_sdk.sim.motion import plan_grasp
from egoscale_sdk.sim.operator import Operator
from egoscale_sdk.sim.task import RATE_HZ, draw_scene
from egoscale_sdk.specs import RowLayout

torch.set_num_threads(1)
DEX3 = "unitree/g1_dex3"


@pytest.fixture(scope="module")
def driver():
    made = MujocoDriver(default_host().spec(DEX3), image_px=32)
    made.connect()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A robot's and a person's recordings, made and imported by the ordinary commands."""
    folder = tmp_path_factory.mktemp("recordings")
    for embodiment, importer, name in ((DEX3, "lerobot", "robot"), ("human/hands", "keypoints", "person")):
        raw, dataset = str(folder / name), str(folder / f"{name}.zarr")
        main(["simulate", embodiment, raw, "-n", "2", "--workers", "1", "--image-px", "32", "-q"])
        main(["import", importer, raw, dataset, "-q"])
    return folder


@pytest.fixture(scope="module")
def policy_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy") / "c"
    checkpoint(default_host().spec(DEX3)).save(folder)
    return folder


def expert(driver, seed):
    """What an operator who knows where the object is would command in the episode of ``seed``."""
    hand, world = driver.spec.hand("right"), driver.world
    rng = np.random.default_rng(0)
    scene = draw_scene(np.random.default_rng((EVALUATION, seed)), world)
    motion = plan_grasp(rng, scene, world)
    joints = engaged(world, Operator(hand, default_host().retargeter(hand)).commands(motion.closure, rng))
    layout = RowLayout.of({"right": hand.hand_space})
    rows = np.concatenate([vec9_from_pose(motion.wrist), joints], axis=1)
    return TrajectorySource(rows, 1 / RATE_HZ, layout, ("right",))


def test_a_motion_that_knows_where_the_object_is_lifts_it_through_loop_and_limits(driver):
    for seed in (0, 1, 2):
        outcome = run_episode(driver, expert(driver, seed), seed, execute=8)
        assert outcome.success
        assert outcome.seconds < 5.0
        assert not outcome.fault


def test_the_same_seed_gives_the_same_episode(driver):
    source = PolicySource(LoadedPolicy(checkpoint(driver.spec)), driver.spec, ("right",), "pick", samples=2)
    ends = []
    for seed in (3, 4, 3):
        run_episode(driver, source, seed, execute=4)
        ends.append(np.concatenate([driver.world.wrist[:3, 3], driver.world.joints, driver.world.object_position]))
    np.testing.assert_array_equal(ends[0], ends[2])
    assert not np.allclose(ends[0], ends[1])


def test_every_seed_counts_once_and_films_are_kept_of_the_first(driver):
    outcomes = evaluate(driver, expert(driver, 5), [5, 6], films=1)
    assert [outcome.seed for outcome in outcomes] == [5, 6]
    assert outcomes[0].success
    assert outcomes[0].film[0].shape == (96, 96, 3)
    assert outcomes[1].film == ()


def test_the_policy_is_shown_no_object_pose_and_a_blank_one_no_picture(driver):
    seen = []

    class Curious:
        chunk_dt_s = 0.05

        def act(self, embodiment, images, state_row, state_valid, prompt, samples, seed):
            seen.append((dict(images), state_row, state_valid, prompt))
            return np.repeat(state_row[None], 4, axis=0), np.ones((4, len(state_row)), bool)

    for blank in (False, True):
        source = PolicySource(Curious(), driver.spec, ("right",), "pick it up", blank=blank)
        driver.reset(0)
        source.reset(0)
        source.propose(driver.read())
    (images, row, valid, prompt), (blanked, *_) = seen
    layout = RowLayout.of(driver.spec.hand_spaces)
    assert list(images) == ["head"]
    assert len(row) == layout.dim
    assert dict(zip(layout.groups, valid, strict=True)) == {
        "left_wrist": False,
        "right_wrist": True,
        "left_hand": False,
        "right_hand": True,
    }
    np.testing.assert_allclose(row[layout.blocks["right_hand"]], driver.world.joints)
    assert prompt == "pick it up"
    assert images["head"].any()
    assert not blanked["head"].any()


def test_an_untrained_policy_has_other_weights_and_the_same_scales(driver):
    trained = LoadedPolicy(checkpoint(driver.spec))
    fresh = untrained(trained, seed=1)
    assert fresh.checkpoint.statistics is trained.checkpoint.statistics
    before, after = (policy.checkpoint.policy.state_dict() for policy in (trained, fresh))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(("a", "n_a", "b", "n_b"), [(17, 20, 5, 20), (3, 7, 2, 9), (0, 5, 4, 5), (5, 5, 0, 5)])
def test_fisher_equals_its_definition(a, n_a, b, n_b):
    """Shuffle the outcomes over the two groups: how often does the first get at least as many?"""
    if n_a + n_b > 16:
        assert fisher_greater(a, n_a, b, n_b) == pytest.approx(1.64e-4, rel=0.01)
        return
    outcomes = [1] * (a + b) + [0] * (n_a + n_b - a - b)
    draw = random.Random(0)
    hits = sum(sum(draw.sample(outcomes, n_a)) >= a for _ in range(20000))
    assert fisher_greater(a, n_a, b, n_b) == pytest.approx(hits / 20000, abs=0.012)


def test_what_is_driven_follows_from_the_first_that_says_it():
    assert choose_embodiment(["a/x@1", "a/y@1"], named="a/y@1") == "a/y@1"
    assert choose_embodiment(["a/x@1", "a/y@1"], declared=["a/x@1"]) == "a/x@1"
    assert choose_embodiment(["a/x@1"]) == "a/x@1"
    with pytest.raises(CheckpointError, match=r"several.*a/x@1, a/y@1"):
        choose_embodiment(["a/x@1", "a/y@1"])
    with pytest.raises(CheckpointError, match="no robot"):
        choose_embodiment([])


def test_recordings_are_imported_as_they_were_commanded_and_measured(recordings):
    dataset = Dataset.open(recordings / "robot.zarr")
    assert dataset.declaration.embodiment == f"{DEX3}@1"
    assert dataset.declaration.native.action_source == "commanded"
    rows = dataset.rows(0)
    layout = dataset.declaration.native.layout
    assert dict(zip(layout.groups, rows.valid.min(axis=0), strict=True)) == {
        "left_wrist": 0,
        "right_wrist": 1,
        "left_hand": 0,
        "right_hand": 1,
    }
    assert np.abs(rows.action - rows.state).max() > 0.05
    person = Dataset.open(recordings / "person.zarr")
    assert person.declaration.embodiment.startswith("human/hands@")
    assert not person.declaration.has_state
    assert person.rows(0).valid.max(axis=0).sum() == 2, "one wrist and one hand"


def test_a_persons_dataset_alone_drives_no_robot(recordings):
    with pytest.raises(DataError, match="people's actions only"):
        drivable_set(Dataset.open(recordings / "person.zarr"))
    assert drivable_set(Dataset.open(recordings / "robot.zarr")).name == "native"


def test_the_mean_demonstration_is_the_mean_of_what_was_commanded(recordings):
    dataset = Dataset.open(recordings / "robot.zarr")
    source = mean_demonstration(dataset, None, ("right",))
    first = np.mean([dataset.rows(index).action[0] for index in range(2)], axis=0)
    np.testing.assert_allclose(source.rows[0], first, atol=1e-6)
    last = np.mean([dataset.rows(index).action[-1] for index in range(2)], axis=0)
    np.testing.assert_allclose(source.rows[-1], last, atol=1e-6)


def test_a_replay_shows_what_was_recorded_and_keeps_what_it_is_told(recordings):
    spec = default_host().spec(DEX3)
    replay = ReplayDriver(spec, dataset=str(recordings / "robot.zarr"), episode=1)
    replay.connect()
    rows = Dataset.open(recordings / "robot.zarr").rows(1)
    layout = RowLayout.of(spec.hand_spaces)
    source = TrajectorySource(rows.action.astype(float), 1 / 20, layout, ("right",))
    state = replay.read()
    np.testing.assert_allclose(state.hands["right"], rows.state[0][layout.blocks["right_hand"]])
    assert state.images["head"].shape == (32, 32, 3)
    from egoscale_sdk.runtime.loop import ControlLoop

    loop = ControlLoop(replay, source)
    loop.reset(0)
    loop.run(replay.seconds)
    assert replay.deviation()["wrist_m"] < 0.01
    with pytest.raises(DataError, match="no episode 2"):
        ReplayDriver(spec, dataset=str(recordings / "robot.zarr"), episode=2)


def test_run_prints_embodiment_counts_and_baselines(recordings, policy_folder, capsys, tmp_path):
    words = ["run", str(policy_folder), "--dataset", str(recordings / "robot.zarr"), "-n", "1", "--seed", "9"]
    main([*words, "--baselines", "--json", "-q", "--out", str(tmp_path / "out")])
    result = json.loads(capsys.readouterr().out)
    assert result["embodiment"] == f"{DEX3}@1"
    assert (result["n"], result["seed"]) == (1, 9)
    assert 0 <= result["successes"] <= 1
    assert set(result["baselines"]) == {"untrained", "blank_camera", "mean_demonstration"}
    assert all({"n", "successes", "p_value"} <= set(row) for row in result["baselines"].values())
    assert json.loads((tmp_path / "out" / "run.json").read_text())["successes"] == result["successes"]
    assert len(list((tmp_path / "out").glob("*.jpg"))) == 4
    main([*words, "--driver", "replay", "--json", "-q"])
    assert json.loads(capsys.readouterr().out)["mean_deviation"].keys() == {"wrist_m", "hand"}


def test_run_without_dataset_and_with_several_robots_exits_2_with_the_list(tmp_path, capsys):
    host = default_host()
    both = checkpoint(host.spec(DEX3))
    other = checkpoint(host.spec("unitree/g1_inspire"))
    both.embodiments.update(other.embodiments)
    both.statistics.hands.update(other.statistics.hands)
    both.statistics.states.update(other.statistics.states)
    for entry in other.embodiments.values():
        both.policy.grow(entry.layout)
        both.policy.grow_state(entry.id, entry.state_layout)
    both.save(tmp_path / "c")
    with pytest.raises(SystemExit) as stop:
        main(["run", str(tmp_path / "c"), "--driver", "mujoco", "-q"])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "unitree/g1_dex3@1" in message
    assert "unitree/g1_inspire@1" in message
    assert len(message.strip().splitlines()) == 1
