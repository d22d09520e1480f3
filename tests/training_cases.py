"""Datasets, a recipe and a run that fit into a unit test."""

from pathlib import Path

import numpy as np
from data_kit import camera, episode, human_declaration, robot_declaration, robot_spec, smooth_rows

from egoscale_sdk.data import Dataset
from egoscale_sdk.specs import ActionSetSpec, action_fingerprint
from egoscale_sdk.training.run import TrainingJob, run_training

RECIPE = """
[policy]
preset = "tiny"
horizon = 4
chunk_dt_s = 0.05
[policy.backbone]
image_height_px = 16
image_width_px = 16
[policy.backbone.vision]
width = 16
layers = 1
heads = 2
feed_forward = 16
[policy.backbone.text]
width = 16
layers = 1
feed_forward = 16
heads = 1
kv_heads = 1
[policy.expert]
width = 16
heads = 2
layers = 4
adapter_hidden = 16
dropout = 0.1
[training]
steps = 6
batch_size = 6
learning_rate = 2e-3
flow_samples = 2
shift_px = 1
brightness = 0.1
save_every = 3
log_every = 2
threads = 1
[evaluation]
episodes = 2
steps = 3
samples = 2
"""


def recipe_file(folder: Path, text: str = RECIPE) -> str:
    file = folder / "recipe.toml"
    file.write_text(text)
    return str(file)


def robot_data(folder: Path, episodes: int = 4, name: str = "robot.zarr", **fields) -> str:
    declaration = robot_declaration(cameras=(camera(),), **fields)
    dataset = Dataset.create(folder / name, declaration)
    dataset.append([episode(f"e{i}", declaration, seed=i) for i in range(episodes)])
    return str(folder / name)


def human_data(folder: Path, episodes: int = 4) -> str:
    """People, with actions derived for `acme/hand@1` beside what was recorded."""
    declaration = human_declaration(cameras=(camera(),))
    dataset = Dataset.create(folder / "people.zarr", declaration)
    dataset.append([episode(f"p{i}", declaration, seed=100 + i) for i in range(episodes)])
    spec = robot_spec()
    derived = ActionSetSpec(
        name="acme",
        embodiment=spec.id,
        action_fingerprint=action_fingerprint(spec),
        hand_spaces=spec.hand_spaces,
        action_source="observed",
        spec=spec,
    )
    (segment,) = dataset.segments
    rows = sum(ref.length for ref in dataset.episodes)
    action = smooth_rows(np.random.default_rng(5), rows, robot_declaration(spec=spec))
    dataset.add_action_set(derived, {segment: {"action": action, "valid": np.ones((rows, 2), np.uint8)}})
    return str(folder / "people.zarr")


def run(folder: Path, data: list[str], out: str = "ckpt", overrides: tuple[str, ...] = (), **fields):
    job = TrainingJob(recipe_file(folder), tuple(data), str(folder / out), overrides=overrides, **fields)
    return run_training(job)
