"""Checkpoints: an exact round trip, and a clear line for everything that is wrong with one."""

import json
import os

import pytest
import torch
from data_kit import robot_spec
from policy_cases import checkpoint
from safetensors.torch import load_file, save_file

from egoscale_sdk.errors import CheckpointError
from egoscale_sdk.policy.checkpoint import Checkpoint

torch.set_num_threads(1)


@pytest.fixture
def folder(tmp_path):
    checkpoint(robot_spec(sides=("left", "right"))).save(tmp_path / "ckpt")
    return tmp_path / "ckpt"


def edit(file, change):
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


def refusal(folder) -> str:
    with pytest.raises(CheckpointError) as error:
        Checkpoint.load(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_round_trip_is_exact_and_holds_no_pickle(folder):
    original, again = checkpoint(robot_spec(sides=("left", "right"))), Checkpoint.load(folder)
    for name, value in original.policy.state_dict().items():
        assert torch.equal(value, again.policy.state_dict()[name]), name
    assert again.policy.config == original.policy.config
    assert again.embodiments == original.embodiments
    assert again.recipe == original.recipe
    assert again.training == original.training
    assert {file.suffix for file in folder.iterdir()} == {".json", ".safetensors"}


def test_saving_twice_replaces_the_folder_and_keeps_the_loss_curve(folder):
    (folder / "metrics.jsonl").write_text("{}\n")
    checkpoint(robot_spec(), seed=1).save(folder)
    assert (folder / "metrics.jsonl").read_text() == "{}\n"
    assert list(Checkpoint.load(folder).embodiments["acme/hand@1"].hand_spaces) == ["right"]
    assert [path.name for path in folder.parent.iterdir()] == ["ckpt"]


def test_a_folder_with_other_things_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint(robot_spec()).save(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_save_that_fails_leaves_the_checkpoint_before(folder):
    broken = checkpoint(robot_spec())
    broken.training["loss"] = float("nan")
    with pytest.raises(ValueError):
        broken.save(folder)
    assert Checkpoint.load(folder).training == {"step": 3}
    assert [path.name for path in folder.parent.iterdir()] == ["ckpt"]


@pytest.mark.parametrize("name", ["config", "embodiments", "statistics", "recipe", "training"])
def test_a_missing_or_broken_json_file_is_named(folder, name):
    (folder / f"{name}.json").write_text('{"format": ')
    assert f"{name}.json" in refusal(folder)
    (folder / f"{name}.json").unlink()
    assert f"{name}.json" in refusal(folder)


@pytest.mark.parametrize("keep", [0, 4, 200, -100])
def test_truncated_weights(folder, keep):
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    assert "weights.safetensors: cannot be read" in refusal(folder)


def test_weights_of_a_wrong_shape(folder):
    tensors = load_file(folder / "weights.safetensors")
    tensors["expert.out.weight"] = torch.zeros(3, 3)
    save_file(tensors, folder / "weights.safetensors")
    assert "'expert.out.weight' has shape (3, 3), config says (32, 32)" in refusal(folder)


@pytest.mark.parametrize(("change", "message"), [("drop", "lacks 1 tensors"), ("add", "has unexpected 1 tensors")])
def test_missing_and_surplus_weights(folder, change, message):
    tensors = load_file(folder / "weights.safetensors")
    if change == "drop":
        del tensors["expert.out.weight"]
    else:
        tensors["surplus"] = torch.zeros(1)
    save_file(tensors, folder / "weights.safetensors")
    assert message in refusal(folder)


def test_weights_that_are_not_numbers(folder):
    tensors = load_file(folder / "weights.safetensors")
    tensors["expert.out.weight"][0, 0] = float("nan")
    save_file(tensors, folder / "weights.safetensors")
    assert "'expert.out.weight' is not finite" in refusal(folder)


def test_a_newer_format_says_to_upgrade(folder):
    edit(folder / "config.json", lambda value: value.update(format=99, something_new=True))
    assert "pip install -U egoscale-sdk" in refusal(folder)


def test_a_config_that_promises_a_giant_takes_no_memory(folder):
    edit(
        folder / "config.json",
        lambda value: value["policy"]["expert"].update(width=2**20, heads=1, adapter_hidden=2**20),
    )
    assert "config says" in refusal(folder)


@pytest.mark.parametrize("field", ["weights_only", "__class__"])
def test_unknown_fields_are_refused(folder, field):
    edit(folder / "config.json", lambda value: value["policy"].update({field: "x"}))
    assert field in refusal(folder)


def test_an_embodiment_filed_under_another_name(folder):
    edit(folder / "embodiments.json", lambda value: value.update({"../../etc": value.pop("acme/hand@1")}))
    assert "is filed under '../../etc'" in refusal(folder)


def test_a_spec_that_was_edited_no_longer_has_its_fingerprint(folder):
    edit(folder / "embodiments.json", lambda value: value["acme/hand@1"]["spec"].update(base_frame="elsewhere"))
    assert "fingerprint" in refusal(folder)


def test_statistics_of_other_hands(folder):
    edit(folder / "statistics.json", lambda value: value["hands"].pop("acme/claw@1 left"))
    assert "lacks the left hand acme/claw@1" in refusal(folder)


def test_not_a_checkpoint_at_all(tmp_path):
    assert "is not a checkpoint" in refusal(tmp_path)
    assert "is not a checkpoint" in refusal(tmp_path / "nowhere")


def test_weights_that_are_a_pipe_or_folder_do_not_hang(folder):
    (folder / "weights.safetensors").unlink()
    os.mkdir(folder / "weights.safetensors")
    assert "cannot be read" in refusal(folder)
