"""Training: exact resume, inherited statistics, shared hands, refusals; all on datasets of a few episodes."""

import json

import pytest
import torch
from data_kit import episode, robot_spec
from safetensors.torch import load_file
from training_cases import human_data, recipe_file, robot_data, run

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.scales import hand_key
from egoscale_sdk.errors import CheckpointError, DataError, EgoscaleError, RecipeError
from egoscale_sdk.policy.checkpoint import Checkpoint
from egoscale_sdk.runtime.policy import LoadedPolicy
from egoscale_sdk.training.assemble import assemble
from egoscale_sdk.training.recipe import load_recipe
from egoscale_sdk.training.sources import open_sources
from egoscale_sdk.training.trainer import Trainer

torch.set_num_threads(1)


def weights(folder):
    return load_file(folder / "weights.safetensors")


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Stop(Exception):
    """Stands for a power cut."""


def interrupt(tmp_path, data, step):
    """Begin a run and cut it off after ``step``; it last saved at step 3."""
    recipe = load_recipe(recipe_file(tmp_path), ("training.log_every=1",))
    sources = open_sources(data, recipe.policy)

    def watch(done, total=None, note=""):
        if done == step:
            raise Stop

    with pytest.raises(Stop):
        Trainer(recipe, sources, assemble(recipe, sources), tmp_path / "cut", watch).run()


@pytest.mark.parametrize("name", ["action/c/0/0", "cams/head/data/c/0", "lang/spans/c/0/0"])
def test_training_goes_on_without_a_damaged_segment_if_it_may(tmp_path, caplog, name):
    data = robot_data(tmp_path)
    dataset = Dataset.open(data)
    dataset.append([episode(f"f{n}", dataset.declaration, seed=50 + n) for n in range(4)])
    file = dataset.path / dataset.segments[1] / name
    kept = bytearray(file.read_bytes())
    kept[len(kept) // 2] ^= 1
    file.write_bytes(kept)
    with pytest.raises(DataError, match=f"{dataset.segments[1]}.* was changed"):
        run(tmp_path, [data], "stopped", overrides=("training.steps=30",))
    run(tmp_path, [data], "went_on", overrides=("training.steps=30", "data.on_damage=skip"))
    assert dataset.segments[1] in caplog.text
    assert dataset.segments[0] not in caplog.text
    assert any(dataset.cache.glob("statistics/*")) == ("cams" in name)  # what is incomplete is not kept


def test_a_run_that_damage_stopped_may_be_resumed_without_the_segment(tmp_path):
    data = [robot_data(tmp_path)]
    run(tmp_path, data)
    run(tmp_path, data, overrides=("data.on_damage=skip",), resume=True)


def test_a_resumed_run_equals_one_that_never_stopped(tmp_path):
    data = [robot_data(tmp_path), f"{human_data(tmp_path)}:0.5:acme"]
    run(tmp_path, data, overrides=("training.log_every=1",))
    interrupt(tmp_path, data, 5)
    assert json.loads((tmp_path / "cut" / "training.json").read_text())["step"] == 3
    run(tmp_path, data, "cut", overrides=("training.log_every=1",), resume=True)
    assert same(weights(tmp_path / "ckpt"), weights(tmp_path / "cut"))
    curves = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("ckpt", "cut")]
    losses = [[json.loads(line)["loss"] for line in curve] for curve in curves]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 6


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    data = [robot_data(tmp_path)]
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(tmp_path, data, out, (f"training.seed={seed}",))
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_resuming_with_another_recipe_or_other_data_is_refused_with_the_difference(tmp_path):
    data = [robot_data(tmp_path)]
    run(tmp_path, data)
    with pytest.raises(CheckpointError, match=r"recipe.training.learning_rate: 0.002 \(begun with\) != 0.1 \(now\)"):
        run(tmp_path, data, overrides=("training.learning_rate=0.1",), resume=True)
    with pytest.raises(CheckpointError, match="data 1: only in now"):
        run(tmp_path, [*data, f"{human_data(tmp_path)}::acme"], resume=True)
    with pytest.raises(CheckpointError, match="nothing to resume"):
        run(tmp_path, data, "nowhere", resume=True)


def test_a_checkpoint_is_not_overwritten_by_mistake(tmp_path):
    data = [robot_data(tmp_path)]
    run(tmp_path, data)
    with pytest.raises(CheckpointError, match="go on with --resume"):
        run(tmp_path, data)


def test_people_train_the_hand_of_the_robot_they_were_retargeted_to_and_of_its_kin(tmp_path):
    """People retargeted to acme/hand@1 train acme/claw@1, which acme/arm_and_hand@1 uses, too."""
    recipe = load_recipe(recipe_file(tmp_path), ("training.steps=1", "training.save_every=1"))
    sources = open_sources([f"{human_data(tmp_path)}::acme"], recipe.policy)
    checkpoint = assemble(recipe, sources)
    kin = robot_spec(name="acme/arm_and_hand@1")
    head = checkpoint.policy.adapters.hand_heads[hand_key(kin.hand_spaces["right"].id, "right")]
    before = [parameter.clone() for parameter in head.parameters()]
    Trainer(recipe, sources, checkpoint, tmp_path / "ckpt").run()
    assert not any(torch.equal(a, b) for a, b in zip(before, head.parameters(), strict=True))
    policy = LoadedPolicy.load(tmp_path / "ckpt")
    assert policy.drivable == ("acme/hand@1",)
    assert policy.embodiments["acme/hand@1"].state_layout is None, "people have no proprioception"
    assert policy.bind(kin, cameras=("head",)).hand_spaces == kin.hand_spaces


def test_a_mixture_remembers_every_embodiment_and_whose_state_was_seen(tmp_path):
    run(tmp_path, [f"{human_data(tmp_path)}:2:native", robot_data(tmp_path)])
    checkpoint = Checkpoint.load(tmp_path / "ckpt")
    people, robot = checkpoint.embodiments["human/hands@1"], checkpoint.embodiments["acme/hand@1"]
    assert people.state_layout is None
    assert not people.drivable
    assert robot.state_groups == ("right_wrist", "right_hand")
    assert robot.cameras == ("head",)
    assert robot.tasks == ("pick the cube",)
    assert checkpoint.training["sources"][0]["weight"] == 2


def test_statistics_are_inherited_or_recomputed_but_never_silently(tmp_path):
    run(tmp_path, [robot_data(tmp_path)])
    first = Checkpoint.load(tmp_path / "ckpt")
    more = [robot_data(tmp_path, 2, "more.zarr")]
    init = str(tmp_path / "ckpt")
    with pytest.raises(RecipeError, match=r"data.statistics: must be said .*allowed: inherit, recompute"):
        run(tmp_path, more, "next", init=init)
    run(tmp_path, more, "inherited", ("data.statistics=inherit",), init=init)
    run(tmp_path, more, "recomputed", ("data.statistics=recompute",), init=init)
    inherited, recomputed = (Checkpoint.load(tmp_path / name).statistics for name in ("inherited", "recomputed"))
    assert (inherited.wrists["right"].half == first.statistics.wrists["right"].half).all()
    assert (recomputed.wrists["right"].half != first.statistics.wrists["right"].half).any()
    with pytest.raises(RecipeError, match="no checkpoint to inherit"):
        run(tmp_path, more, "alone", ("data.statistics=inherit",))


def test_a_later_stage_keeps_the_weights_and_adds_hands_and_cameras(tmp_path):
    run(tmp_path, [robot_data(tmp_path)])
    first = Checkpoint.load(tmp_path / "ckpt")
    recipe = load_recipe(recipe_file(tmp_path), ("data.statistics=inherit",))
    from data_kit import camera

    other = robot_spec(name="beta/hand@1", space="beta/claw@1", joints=2)
    data = robot_data(tmp_path, name="beta.zarr", spec=other)
    grown = assemble(recipe, open_sources([data], recipe.policy), first)
    assert set(grown.embodiments) == {"acme/hand@1", "beta/hand@1"}
    state = grown.policy.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.policy.state_dict().items())
    assert hand_key("beta/claw@1", "right") in grown.policy.adapters.hand_heads
    assert camera().name in grown.policy.config.cameras


def test_a_recipe_of_another_architecture_cannot_go_on_from_a_checkpoint(tmp_path):
    data = [robot_data(tmp_path)]
    run(tmp_path, data)
    with pytest.raises(RecipeError, match=r"expert.width: 16 \(checkpoint\) != 32 \(recipe\)"):
        run(tmp_path, data, "b", ("policy.expert.width=32", "data.statistics=inherit"), init=str(tmp_path / "ckpt"))


@pytest.mark.parametrize("part", ["vision", "language", "expert", "adapters"])
def test_frozen_parts_stay_and_all_others_learn(tmp_path, part):
    recipe = load_recipe(recipe_file(tmp_path), (f'training.freeze=["{part}"]', "training.steps=2"))
    sources = open_sources([robot_data(tmp_path)], recipe.policy)
    checkpoint = assemble(recipe, sources)
    before = {name: value.clone() for name, value in checkpoint.policy.state_dict().items()}
    Trainer(recipe, sources, checkpoint, tmp_path / "ckpt").run()
    prefix = {
        "vision": ("backbone.model.visual",),
        "language": ("backbone.model.language_model",),
        "expert": ("expert", "readouts"),
        "adapters": ("adapters",),
    }
    changed = {name for name, value in checkpoint.policy.state_dict().items() if not torch.equal(value, before[name])}
    for name, prefixes in prefix.items():
        assert any(key.startswith(prefixes) for key in changed) == (name != part), name


def test_micro_batches_add_up_to_the_same_gradient_windows(tmp_path):
    """The same windows pass in smaller portions; noise differs, so only what was seen is compared."""
    run(tmp_path, [robot_data(tmp_path)], overrides=("training.micro_batch=2",))
    curve = [json.loads(line) for line in (tmp_path / "ckpt" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curve] == [2, 4, 6]


def test_the_loss_is_reported_for_wrist_and_hand_apart_in_both_units(tmp_path):
    run(tmp_path, [robot_data(tmp_path), f"{human_data(tmp_path)}::native"])
    line = json.loads((tmp_path / "ckpt" / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(line["data"]) == {"robot:native", "people:native"}
    assert set(line["data"]["robot:native"]) == {"wrist", "hand", "wrist_mm", "hand_rad"}
    assert set(line["data"]["people:native"]) == {"wrist", "hand", "wrist_mm", "hand_m"}


def test_held_out_episodes_are_the_last_and_are_not_trained_on(tmp_path):
    data = robot_data(tmp_path)
    summary = run(tmp_path, [data], holdout="1")
    scores = summary.value["evaluation"]["data"]["robot:native"]
    assert scores["episodes"] == 1
    assert scores["windows"] == 3
    assert {"policy", "hold", "hold_command", "mean"} <= set(scores)
    assert json.loads((tmp_path / "ckpt" / "evaluation.json").read_text()) == summary.value["evaluation"]
    training = json.loads((tmp_path / "ckpt" / "training.json").read_text())
    assert training["sources"][0]["episodes"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("data", "fields", "message"),
    [
        ([], {}, "nothing to train on"),
        (["{robot}:0"], {}, "weight '0' is not a positive number"),
        (["{robot}:much"], {}, "weight 'much' is not a positive number"),
        (["{robot}", "{robot}:2"], {}, "'robot:native' is named twice"),
        (["{people}"], {}, "has several action sets; name one; allowed: native, acme"),
        (["{people}:1:acne"], {}, "did you mean 'acme'"),
        (["{robot}:1:acme"], {}, "has no action set 'acme'"),
        (["nowhere.zarr"], {}, "nowhere.zarr"),
        (["{robot}"], {"holdout": "4"}, "would keep out 4 of 4 episodes"),
        (["{robot}"], {"holdout": "some"}, "'some' is neither a number of episodes nor a fraction"),
        (["{robot}"], {"holdout": "1.5"}, "'1.5' is neither a number"),
        (["{robot}"], {"init": "nowhere"}, "is not a checkpoint"),
        (["{robot}"], {"init": "x", "resume": True}, "exclude each other"),
    ],
)
def test_bad_arguments_are_one_clear_line_and_leave_nothing(tmp_path, data, fields, message):
    paths = {"robot": robot_data(tmp_path), "people": human_data(tmp_path)}
    with pytest.raises(EgoscaleError) as error:
        run(tmp_path, [text.format(**paths) for text in data], **fields)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ckpt").exists()


def test_a_robot_whose_action_is_its_state_is_refused_unless_allowed(tmp_path):
    from data_kit import episode, robot_declaration

    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "copy.zarr", declaration)
    episodes = [episode(f"e{i}", declaration, seed=i) for i in range(3)]
    dataset.append([type(e)(**{**e.__dict__, "state": e.action}) for e in episodes])
    with pytest.raises(DataError, match="--allow-action-equals-state"):
        run(tmp_path, [str(tmp_path / "copy.zarr")])
    run(tmp_path, [str(tmp_path / "copy.zarr")], allow_action_equals_state=True)


def test_a_loss_that_is_not_finite_stops_and_keeps_what_was_saved(tmp_path):
    recipe = load_recipe(recipe_file(tmp_path))
    sources = open_sources([robot_data(tmp_path)], recipe.policy)
    checkpoint = assemble(recipe, sources)
    trainer = Trainer(recipe, sources, checkpoint, tmp_path / "ckpt")
    with torch.no_grad():
        checkpoint.policy.expert.out.bias.fill_(float("nan"))
    with pytest.raises(RecipeError, match="not finite at step 0"):
        trainer.run()
    assert not (tmp_path / "ckpt" / "weights.safetensors").exists()
