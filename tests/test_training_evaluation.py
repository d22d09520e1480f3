"""Evaluation: native units against a literal reference, and the protocol's choice of windows."""

import dataclasses

import numpy as np
import pytest
from data_kit import episode, robot_declaration
from training_cases import recipe_file, robot_data

from egoscale_sdk.data import Dataset
from egoscale_sdk.training import evaluation
from egoscale_sdk.training.assemble import assemble
from egoscale_sdk.training.evaluation import choose_windows, chunk_mean, evaluate
from egoscale_sdk.training.recipe import EvaluationRecipe, load_recipe
from egoscale_sdk.training.sources import open_sources


@pytest.fixture
def setting(tmp_path):
    recipe = load_recipe(recipe_file(tmp_path))
    sources = open_sources([robot_data(tmp_path)], recipe.policy, holdout="2")
    return assemble(recipe, sources), sources


def angle(a, b) -> float:
    """Angle between the rotations whose first two rows are ``a`` and ``b``, by the trace."""
    full = [np.stack([*x.reshape(2, 3), np.cross(*x.reshape(2, 3))]) for x in (a, b)]
    return float(np.arccos(np.clip((np.trace(full[0] @ full[1].T) - 1) / 2, -1, 1)))


def test_hold_is_measured_as_a_person_would_with_pencil_and_paper(setting):
    checkpoint, sources = setting
    everything = EvaluationRecipe(episodes=100, steps=100, samples=1, batch_size=7)
    scores = evaluate(checkpoint, sources, everything)["data"]["robot:native"]
    held = sources[0].held
    distance, turn, hand, command = [], [], [], []
    for index in range(len(held)):
        batch = held.batch([index])
        for k in range(4):
            if batch.mask[0, k].all():
                chunk = batch.chunk[0, k].astype(float)
                distance.append(1000 * float(np.sqrt(sum(x * x for x in chunk[:3]))))
                turn.append(np.degrees(angle(chunk[3:9], np.array([1.0, 0, 0, 0, 1, 0]))))
                hand += [abs(chunk[9 + j] - batch.state[0, 9 + j]) for j in range(3)]
                command += [abs(chunk[9 + j] - batch.reference[0, 9 + j]) for j in range(3)]
    assert scores["episodes"] == 2
    assert scores["windows"] == len(held)
    assert scores["hold"]["wrist_mm"] == pytest.approx(np.mean(distance), rel=1e-5)
    assert scores["hold"]["wrist_deg"] == pytest.approx(np.mean(turn), rel=1e-4)
    assert scores["hold"]["hand_rad"] == pytest.approx(np.mean(hand), rel=1e-5)
    assert scores["hold_command"]["hand_rad"] == pytest.approx(np.mean(command), rel=1e-5)


def test_a_policy_that_knows_the_truth_has_no_error(setting, monkeypatch):
    checkpoint, sources = setting
    monkeypatch.setattr(evaluation, "predict", lambda _c, _s, batch, *_: batch.chunk.astype(float))
    scores = evaluate(checkpoint, sources, EvaluationRecipe())["data"]["robot:native"]["policy"]
    assert all(value == pytest.approx(0, abs=0.02 if name == "wrist_deg" else 1e-9) for name, value in scores.items())


def test_the_mean_is_of_training_alone(setting):
    _, sources = setting
    mean = chunk_mean(sources[0].windows, 0)
    batch = sources[0].windows.batch(range(len(sources[0].windows)), images=False)
    np.testing.assert_allclose(mean, np.ma.array(batch.chunk, mask=~batch.mask).mean(0), atol=1e-5)


def test_the_choice_of_windows_follows_from_the_seed_and_covers_episodes_evenly(setting):
    held = setting[1][0].held
    first = choose_windows(held, 2, 5, seed=0)
    assert first == choose_windows(held, 2, 5, seed=0) != choose_windows(held, 2, 5, seed=1)
    assert len(set(first)) == 10
    counts = [held.place(index)[0] for index in first]
    assert sorted(counts.count(e) for e in set(counts)) == [5, 5]
    assert len({held.place(index)[0] for index in choose_windows(held, 1, 5, seed=0)}) == 1


def test_averaging_samples_brings_the_result_closer_to_their_mean(setting):
    checkpoint, sources = setting
    batch = sources[0].held.batch(range(4))
    single = [evaluation.predict(checkpoint, sources[0], batch, 1, seed) for seed in range(8)]
    mean = evaluation.predict(checkpoint, sources[0], batch, 64, 99)
    away = [np.abs(one - mean).mean() for one in single]
    assert np.abs(np.mean(single, axis=0) - mean).mean() < min(away)


def test_an_episode_that_cannot_be_compared_does_not_count(tmp_path):
    """A hand that was never seen has no error, rather than an error of zero."""
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    for i in range(3):
        made = episode(f"e{i}", declaration, seed=i)
        valid = made.valid.copy()
        if i == 2:
            valid[:, 1] = 0
        dataset.append([dataclasses.replace(made, valid=valid)])
    recipe = load_recipe(recipe_file(tmp_path))
    sources = open_sources([str(tmp_path / "d.zarr")], recipe.policy, holdout="1")
    scores = evaluate(assemble(recipe, sources), sources, EvaluationRecipe(samples=1))["data"]["d:native"]["policy"]
    assert "wrist_mm" in scores
    assert "hand_rad" not in scores
