"""Statistics: quantiles of what is valid, one table for all wrists, never stale."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.data import (
    Dataset,
    Statistics,
    WindowDataset,
    pool_statistics,
    relative_statistics,
    statistics,
)
from egoscale_sdk.data.sketch import QuantileSketch
from egoscale_sdk.errors import CheckpointError, DataError, RecipeError
from egoscale_sdk.geometry import mirror_pose, pose_from_vec9, vec9_from_pose
from tests.data_kit import episode, human_declaration, robot_declaration, robot_spec


def windows_of(folder, declaration, sources, name="d", **options):
    dataset = Dataset.create(folder / f"{name}.zarr", declaration)
    dataset.append(sources)
    return WindowDataset(dataset, 4, 1 / 30, **options)


@pytest.fixture(scope="module")
def robot(tmp_path_factory):
    declaration = robot_declaration()
    sources = [episode(str(n), declaration, rows=120, seed=n) for n in range(4)]
    return windows_of(tmp_path_factory.mktemp("d"), declaration, sources)


# --- the sketch ------------------------------------------------------------------------------------------------------

VALUES = st.lists(st.floats(-90, 90, width=32), min_size=1, max_size=200)


@given(VALUES, st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.99, 1.0]))
def test_a_quantile_is_a_value_of_that_rank_to_a_quarter_percent(values, share):
    sketch = QuantileSketch((1,))
    sketch.add(np.array(values)[:, None], np.ones((len(values), 1), bool))
    exact = sorted(values)[int(np.floor(share * (len(values) - 1)))]
    assert sketch.quantile(share)[0] == pytest.approx(exact, rel=0.0026, abs=1.01e-4)


@given(VALUES, VALUES, st.integers(1, 50))
def test_merged_equals_direct_in_any_portions(one, two, portion):
    def sketch(*streams):
        result = QuantileSketch((2,))
        for stream in streams:
            for start in range(0, len(stream), portion):
                part = np.array(stream[start : start + portion])
                result.add(np.stack([part, -part], 1), np.stack([part > 0, part < 5], 1))
        return result

    merged, direct = sketch(one).merge(sketch(two)), sketch(two, one)
    for share in (0.01, 0.5, 0.99):
        np.testing.assert_array_equal(merged.quantile(share), direct.quantile(share))
    for name in ("count", "lower", "upper"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(direct, name))
    for name in ("mean", "m2", "std"):
        np.testing.assert_allclose(getattr(merged, name), getattr(direct, name), rtol=1e-9, atol=1e-9)
    copy = QuantileSketch.from_arrays(direct.arrays("x_"), "x_")
    np.testing.assert_array_equal(copy.quantile(0.01), direct.quantile(0.01))
    np.testing.assert_array_equal(copy.m2, direct.m2)


@given(st.lists(st.tuples(st.floats(-90, 90, width=32), st.booleans()), min_size=1, max_size=200), st.integers(1, 50))
def test_moments_are_those_of_the_valid_values(entries, portion):
    sketch = QuantileSketch((1,))
    for start in range(0, len(entries), portion):
        values, mask = zip(*entries[start : start + portion], strict=True)
        sketch.add(np.array(values)[:, None], np.array(mask)[:, None])
    valid = [value for value, used in entries if used]
    assert sketch.count[0] == len(valid)
    if valid:
        assert (sketch.lower[0], sketch.upper[0]) == (min(valid), max(valid))
        assert sketch.mean[0] == pytest.approx(np.mean(valid), abs=1e-9)
        assert sketch.std[0] == pytest.approx(np.std(valid), rel=1e-6, abs=1e-6)


def test_more_values_than_can_be_counted_are_refused():
    sketch = QuantileSketch((1,))
    sketch.add(np.ones((5, 1)), np.ones((5, 1), bool))
    sketch.count[0] = 2**32 - 3
    with pytest.raises(DataError, match="too many to count; use a larger stride"):
        sketch.add(np.ones((5, 1)), np.ones((5, 1), bool))
    both = sketch.merge(sketch)
    assert both.count[0] == 2 * (2**32 - 3), "but two datasets may have more together"


def test_columns_without_values_have_quantile_zero():
    sketch = QuantileSketch((2, 3))
    sketch.add(np.ones((5, 2, 3)), np.zeros((5, 2, 3), bool))
    assert not sketch.quantile(0.99).any()
    assert not sketch.count.any()


# --- of a dataset ----------------------------------------------------------------------------------------------------


def test_statistics_are_the_quantiles_of_all_valid_entries(robot):
    batch = robot.batch(range(len(robot)))
    found = relative_statistics(robot)
    for share, values in ((0.01, found.q01), (0.99, found.q99)):
        for step in range(4):
            for column in range(robot.layout.dim):
                valid = np.sort(batch.chunk[batch.mask[:, step, column], step, column])
                exact = valid[int(np.floor(share * (len(valid) - 1)))]
                assert values[step, column] == pytest.approx(exact, rel=0.003, abs=1.01e-4)
    np.testing.assert_array_equal(found.chunk.count, batch.mask.sum(0))


def test_pooled_over_two_datasets_equals_one_that_has_both(tmp_path):
    declaration = robot_declaration()
    sources = [episode(str(n), declaration, seed=n) for n in range(4)]
    halves = [windows_of(tmp_path, declaration, part, str(n)) for n, part in enumerate((sources[:1], sources[1:]))]
    pooled = pool_statistics([relative_statistics(half) for half in halves])
    direct = pool_statistics([relative_statistics(windows_of(tmp_path, declaration, sources, "whole"))])
    for key in ("center", "half"):
        one, two = pooled.chunk(halves[0].layout), direct.chunk(halves[0].layout)
        np.testing.assert_array_equal(getattr(one, key), getattr(two, key))


def test_the_cache_answers_for_the_same_commit_and_settings_only(tmp_path, monkeypatch):
    declaration = robot_declaration()
    windows = windows_of(tmp_path, declaration, [episode("a", declaration)])
    first = relative_statistics(windows)
    computed = []
    compute = statistics._compute
    monkeypatch.setattr(statistics, "_compute", lambda *args: computed.append(1) or compute(*args))
    np.testing.assert_array_equal(relative_statistics(windows).q01, first.q01)
    assert not computed

    dataset = windows.dataset
    for changed in (
        WindowDataset(dataset, 5, 1 / 30),
        WindowDataset(dataset, 4, 1 / 15),
        WindowDataset(dataset, 4, 1 / 30, stride=2),
    ):
        relative_statistics(changed)
    assert len(computed) == 3
    dataset.append([episode("b", declaration, seed=1)])
    relative_statistics(WindowDataset(dataset, 4, 1 / 30))
    relative_statistics(WindowDataset(dataset, 4, 1 / 30, episodes=[0]))
    assert len(computed) == 5


@pytest.mark.parametrize("what", ["truncated", "flipped", "link"])
def test_a_damaged_cache_is_computed_again(tmp_path, what):
    declaration = robot_declaration()
    windows = windows_of(tmp_path, declaration, [episode("a", declaration)])
    first = relative_statistics(windows)
    (file,) = (windows.dataset.cache / "statistics").iterdir()
    kept = file.read_bytes()
    for at in range(0, len(kept), len(kept) // 40):
        file.unlink()
        if what == "link":
            file.symlink_to("/dev/zero")
        else:
            file.write_bytes(kept[:at] if what == "truncated" else kept[:at] + bytes([kept[at] ^ 4]) + kept[at + 1 :])
        found = relative_statistics(windows)
        np.testing.assert_array_equal(found.q99, first.q99)
        np.testing.assert_array_equal(found.chunk.mean, first.chunk.mean)
        assert file.stat().st_size == len(kept)  # and it is kept again


# --- scales ----------------------------------------------------------------------------------------------------------


def test_one_motion_is_one_number_whatever_embodiment_makes_it(tmp_path):
    """The same dW of two embodiments normalises to equal numbers, although one moves ten times as much."""
    small, large = robot_declaration(), robot_declaration(spec=robot_spec(("right",), 5, "acme/other@1", "acme/five@1"))
    parts = [
        windows_of(tmp_path, declaration, [episode("a", declaration, seed=n)], str(n))
        for n, declaration in enumerate((small, large))
    ]
    for n, part in enumerate(parts):
        source = episode("slow", part.dataset.declaration, seed=9)
        source.action[:, :3] *= 0.1 ** (n + 1)
        part.dataset.append([source])
    parts = [WindowDataset(part.dataset, 4, 1 / 30) for part in parts]
    pooled = pool_statistics([relative_statistics(part) for part in parts])
    motion = np.random.default_rng(0).normal(size=(4, 9))
    numbers = []
    for part in parts:
        block = part.layout.blocks["right_wrist"]
        values = np.zeros((4, part.layout.dim))
        values[:, block] = motion
        numbers.append(pooled.chunk(part.layout).normalise(values)[:, block])
    np.testing.assert_array_equal(*numbers)


def test_q01_and_q99_become_minus_one_and_one(robot):
    found = relative_statistics(robot)
    scale = pool_statistics([found]).chunk(robot.layout)
    wide = (found.q99 - found.q01) / 2 > 0.01
    assert wide.any()
    np.testing.assert_allclose(scale.normalise(found.q99)[wide], 1, atol=1e-4)
    np.testing.assert_allclose(scale.normalise(found.q01)[wide], -1, atol=1e-4)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_restoring_undoes_normalising_without_clipping(robot, seed):
    scale = pool_statistics([relative_statistics(robot)]).chunk(robot.layout)
    values = 10 * np.random.default_rng(seed).normal(size=(3, 4, robot.layout.dim))
    np.testing.assert_allclose(scale.restore(scale.normalise(values)), values, atol=1e-5)


def test_columns_that_hardly_move_get_the_floor_and_are_reported(tmp_path):
    declaration = robot_declaration()
    source = episode("a", declaration)
    still = np.zeros(9, np.float32)
    still[[3, 7]] = 1
    source.action[:, :9] = source.state[:, :9] = still
    source.action[:, 10] = 0.3
    windows = windows_of(tmp_path, declaration, [source])
    pooled = pool_statistics([relative_statistics(windows)])
    scale = pooled.chunk(windows.layout)
    np.testing.assert_allclose(scale.half[:, :9], [[0.002] * 3 + [0.01] * 6] * 4)
    np.testing.assert_allclose(scale.half[:, 10], 0.01)
    np.testing.assert_allclose(scale.center[:, 10], 0.3, rtol=0.003)
    assert "right: right_wrist.x" in pooled.at_floor
    assert "acme/claw@1 right: right_hand.joint_1" in pooled.at_floor
    assert "acme/claw@1 right: right_hand.joint_0" not in pooled.at_floor
    assert "acme/hand@1: right_wrist.x" in pooled.at_floor


def test_a_side_never_seen_takes_the_mirrored_scale_of_the_other(robot):
    wrists = pool_statistics([relative_statistics(robot)]).wrists
    right, left = wrists["right"], wrists["left"]
    np.testing.assert_array_equal(right.half, left.half)
    pose = pose_from_vec9(np.array([0.1, 0.2, 0.3, 0.36, 0.48, -0.8, -0.8, 0.6, 0.0]))
    mirrored = vec9_from_pose(mirror_pose(pose))
    np.testing.assert_allclose(left.normalise(mirrored), right.normalise(vec9_from_pose(pose)) * MIRROR, atol=1e-5)


MIRROR = np.array([1, -1, 1, 1, -1, 1, -1, 1, -1])


def test_people_without_a_state_have_a_neutral_state_scale(tmp_path):
    declaration = human_declaration()
    windows = windows_of(tmp_path, declaration, [episode("a", declaration)])
    pooled = pool_statistics([relative_statistics(windows)])
    scale = pooled.state("human/hands@1")
    assert (scale.center == 0).all()
    assert (scale.half == 1).all()
    assert "human/hands@1: left_wrist.x" in pooled.unseen


def test_steps_that_no_window_reaches_take_the_scale_of_the_step_before(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration, rows=3)])
    windows = WindowDataset(dataset, 6, 1 / 30)
    scale = pool_statistics([relative_statistics(windows)]).chunk(windows.layout)
    for step in (3, 4, 5):
        np.testing.assert_array_equal(scale.half[step], scale.half[2])


def test_saved_and_loaded_scales_are_equal(tmp_path, robot):
    pooled = pool_statistics([relative_statistics(robot)])
    pooled.save(tmp_path / "statistics.json")
    loaded = Statistics.load(tmp_path / "statistics.json")
    assert (loaded.horizon, loaded.chunk_dt_s, loaded.at_floor) == (4, 1 / 30, pooled.at_floor)
    for one, two in (
        (loaded.chunk(robot.layout), pooled.chunk(robot.layout)),
        (loaded.state("acme/hand@1"), pooled.state("acme/hand@1")),
    ):
        np.testing.assert_array_equal(one.center, two.center)
        np.testing.assert_array_equal(one.half, two.half)


@pytest.mark.parametrize(
    "change",
    [
        {"wrists": {}},
        {"hands": {"x right": {"center": [[0]], "half": [[0]]}}},
        {"states": {"x": {"center": [0], "half": ["a"]}}},
        {"horizon": "many"},
        {"at_floor": None},
    ],
)
def test_a_malformed_table_is_refused(tmp_path, robot, change):
    file = tmp_path / "statistics.json"
    pool_statistics([relative_statistics(robot)]).save(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(CheckpointError, match="is not a table of statistics"):
        Statistics.load(file)


def test_a_later_stage_inherits_the_wrists_of_the_first(tmp_path, robot):
    other = robot_declaration(spec=robot_spec(("right",), 5, "acme/other@1", "acme/five@1"))
    later = windows_of(tmp_path, other, [episode("a", other)])
    first = pool_statistics([relative_statistics(robot)])
    second = pool_statistics([relative_statistics(later)])
    stage = first.inherited_by(second)
    block = later.layout.blocks["right_wrist"]
    np.testing.assert_array_equal(stage.chunk(later.layout).half[:, block], first.wrists["right"].half)
    np.testing.assert_array_equal(stage.state("acme/other@1").half, second.state("acme/other@1").half)
    with pytest.raises(CheckpointError, match=r"no statistics of 'acme/five@1 right'; allowed: acme/claw@1 right"):
        first.chunk(later.layout)
    with pytest.raises(RecipeError, match="cannot inherit"):
        first.inherited_by(dataclasses.replace(second, horizon=7))


def test_parts_of_different_horizons_are_not_pooled(robot):
    parts = [relative_statistics(robot), relative_statistics(WindowDataset(robot.dataset, 5, 1 / 30))]
    with pytest.raises(RecipeError, match="same horizon"):
        pool_statistics(parts)
