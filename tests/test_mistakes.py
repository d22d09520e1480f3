"""A user's mistakes are found before work begins, and Ctrl-C loses nothing that was finished."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from policy_cases import checkpoint
from safetensors.torch import load_file
from training_cases import human_data, recipe_file, robot_data, run

from egoscale_sdk.cli import main
from egoscale_sdk.errors import CheckpointError, EgoscaleError, RecipeError, check_range
from egoscale_sdk.host import default_host
from egoscale_sdk.policy.checkpoint import check_place
from egoscale_sdk.training.recipe import load_recipe
from egoscale_sdk.training.run import TrainingJob, run_training

torch.set_num_threads(1)
DEX3 = "unitree/g1_dex3"


@pytest.fixture(scope="module")
def policy_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "policy"
    checkpoint(default_host().spec(DEX3)).save(folder)
    return folder


def complaint(capsys, *words) -> str:
    """Run a command that must fail with exit code 2; returns its one line."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1
    return said.err.strip()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-n", 0], "-n: is 0; allowed: 1 and above"),
        (["-n", -3], "-n: is -3"),
        (["--samples", 0], "--samples: is 0"),
        (["--seed", -1], "--seed: is -1; allowed: 0 and above"),
        (["--films", -1], "--films: is -1"),
        (["--seconds", 0], "--seconds: is 0"),
        (["--execute", 0], "--execute: is 0; allowed: 1 and above"),
        (["--driver", "mujco"], "there is no driver 'mujco'; allowed: mujoco, replay; did you mean 'mujoco'?"),
    ],
)
def test_run_refuses_what_makes_no_sense(policy_folder, capsys, words, message):
    assert message in complaint(capsys, "run", policy_folder, *words)


def test_a_dataset_of_a_robot_whose_plugin_is_missing_names_the_package(policy_folder, capsys, tmp_path):
    data = robot_data(tmp_path)
    assert "run: pip install 'acme-hand==1.0'" in complaint(capsys, "run", policy_folder, "--dataset", data)


@pytest.mark.parametrize(
    ("name", "message"), [("a b", "--name: 'a b': String should match"), ("native", "another name")]
)
def test_a_name_that_no_action_set_can_have_is_refused_before_anything_is_solved(capsys, tmp_path, name, message):
    assert message in complaint(capsys, "retarget", human_data(tmp_path), "--to", "sharpa/wave", "--name", name)


def test_a_recording_that_no_embodiment_declares_is_announced(capsys, tmp_path):
    main(["simulate", "sharpa/wave", str(tmp_path / "r"), "-n", "1", "--side", "left", "--workers", "1"])
    assert "note: sharpa/wave@1 has no [[recordings]] table for 'egoscale_sim_sharpa_wave_left'" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["simulate", DEX3, "x", "-n", 0], "-n: is 0"),
        (["simulate", DEX3, "x", "--workers", 0], "--workers: is 0"),
        (["simulate", DEX3, "x", "--seed", -1], "--seed: is -1"),
        (["simulate", DEX3, "x", "--image-px", 0], "--image-px: is 0; allowed: 8 to 2048"),
        (["demo", "--steps", 0], "--steps: is 0"),
    ],
)
def test_recording_refuses_what_makes_no_sense_and_leaves_nothing(capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in complaint(capsys, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_frames_is_told_the_same():
    words = [sys.executable, "-m", "egoscale_sdk", "retarget", "people.zarr"]
    said = [
        subprocess.run(words, capture_output=True, env={**os.environ, "PYTHONIOENCODING": code}).stderr.decode()
        for code in ("ascii", "utf-8")
    ]
    assert said[0] == said[1]
    assert said[0].startswith("error: Missing from egoscale retarget: --to")
    assert "--help" in said[0]


@pytest.mark.parametrize("value", [float("nan"), 3])
def test_a_number_out_of_range_is_refused(value):
    with pytest.raises(EgoscaleError, match=r"--x: is .*; allowed: 1 to 2"):
        check_range("--x", value, 1, 2)


# Where a checkpoint goes is known to be good before training, not after it.


def test_a_place_that_holds_something_else_is_refused_before_training(tmp_path):
    (tmp_path / "ckpt").mkdir()
    (tmp_path / "ckpt" / "thesis.txt").write_text("mine")
    steps = []
    job = TrainingJob(recipe_file(tmp_path), (robot_data(tmp_path),), str(tmp_path / "ckpt"))
    with pytest.raises(CheckpointError, match="is there already and is no checkpoint"):
        run_training(job, lambda *done, **more: steps.append(done))
    assert steps == []
    assert (tmp_path / "ckpt" / "thesis.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "ckpt"):
        with pytest.raises(CheckpointError, match=r"is there already|cannot be written: "):
            check_place(place)


def test_a_checkpoint_survives_an_interruption_while_it_is_replaced(tmp_path, monkeypatch):
    before = checkpoint(default_host().spec(DEX3))
    before.save(tmp_path / "c")
    old, rename = (tmp_path / "c" / "weights.safetensors").read_bytes(), type(tmp_path).rename

    def interrupted(path, target):
        if path.name.endswith(".new"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(type(tmp_path), "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        before.save(tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert (tmp_path / "c" / "weights.safetensors").read_bytes() == old


@pytest.mark.parametrize("holdout", ["inf", "nan", "1e400", "-inf"])
def test_a_holdout_that_is_no_count_is_refused(tmp_path, holdout):
    with pytest.raises(RecipeError, match="is neither a number of episodes nor a fraction"):
        run(tmp_path, [robot_data(tmp_path)], holdout=holdout)


def test_a_recipe_with_impossible_averages_is_refused():
    with pytest.raises(RecipeError, match=r"training.betas.1: Input should be less than 1"):
        load_recipe("tiny", ["training.betas=[0.9, 1]"])


def test_a_misspelt_field_is_named_rather_than_the_one_that_it_leaves_out(tmp_path):
    file = recipe_file(tmp_path)
    text = (tmp_path / "recipe.toml").read_text().replace("batch_size = 6\n", "batchsize = 6\n")
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(RecipeError, match=r"training.batchsize: .* did you mean 'batch_size'"):
        load_recipe(file)


# Ctrl-C.


def test_ctrl_c_saves_the_step_it_was_at_and_the_run_goes_on_from_there_exactly(tmp_path):
    data = robot_data(tmp_path)
    job = TrainingJob(recipe_file(tmp_path), (data,), str(tmp_path / "cut"), overrides=("training.log_every=1",))

    def press(done, total=None, note=""):
        if (done, total) == (4, 6):
            signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_training(job, press)
    assert signal.getsignal(signal.SIGINT) is handler
    assert json.loads((tmp_path / "cut" / "training.json").read_text())["step"] == 5
    for out, resume in (("cut", True), ("whole", False)):
        run(tmp_path, [data], out, overrides=("training.log_every=1",), resume=resume)
    cut, whole = (load_file(tmp_path / name / "weights.safetensors") for name in ("cut", "whole"))
    assert all(torch.equal(cut[name], whole[name]) for name in whole)


def test_ctrl_c_pressed_again_does_not_wait():
    from egoscale_sdk.training.interrupt import postponed_interrupt

    with postponed_interrupt() as pressed:
        assert not pressed()
        signal.raise_signal(signal.SIGINT)
        assert pressed()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
