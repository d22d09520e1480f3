"""Windows against a literal reference: one loop per step, one formula per column, scipy for rotations."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from egoscale_sdk.data import Dataset, WindowDataset
from egoscale_sdk.data.images import resize_area
from egoscale_sdk.data.resample import bracket
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import make_pose, pose_from_vec9, rotation_from_rpy, vec9_from_pose
from egoscale_sdk.hands.action_space import WristHandSpace
from egoscale_sdk.interfaces import LanguageSpan
from tests.data_kit import camera, episode, human_declaration, robot_declaration, robot_spec
from tests.test_data_dataset import derived_arrays, derived_set


def make(folder, declaration, *episodes):
    dataset = Dataset.create(folder / "d.zarr", declaration)
    dataset.append(episodes)
    return dataset


# --- the literal reference -------------------------------------------------------------------------------------------


def matrix(vec9):
    rows = np.asarray(vec9[3:], float).reshape(2, 3)
    T = np.eye(4)
    T[:3, :3] = [rows[0], rows[1], np.cross(rows[0], rows[1])]
    T[:3, 3] = vec9[:3]
    return T


def literal_pose(t, times, vec9s, a, b):
    """Interpolate one wrist at time t between rows a and b."""
    if a == b:
        return matrix(vec9s[a])
    share = (t - times[a]) / (times[b] - times[a])
    A, B = matrix(vec9s[a]), matrix(vec9s[b])
    T = np.eye(4)
    T[:3, :3] = Slerp([0, 1], Rotation.from_matrix([A[:3, :3], B[:3, :3]]))(share).as_matrix()
    T[:3, 3] = (1 - share) * A[:3, 3] + share * B[:3, 3]
    return T


def literal_rows_around(t, times, valid):
    """Rows between which t lies, as (a, b); None outside, in a gap, or where one that matters is invalid."""
    for n, stamp in enumerate(times):
        if t < stamp:
            step = stamp - times[n - 1] if n else 1e9 / 30
        else:
            step = times[n + 1] - stamp if n + 1 < len(times) else 1e9 / 30
        if abs(t - stamp) < 0.02 * step:
            return (n, n) if valid[n] else None
    for n in range(len(times) - 1):
        if times[n] < t < times[n + 1]:
            gap = times[n + 1] - times[n] > 0.5e9
            return (n, n + 1) if valid[n] and valid[n + 1] and not gap else None
    return None


def literal_chunk(source, layout, row, horizon, dt, observed, state):
    """Chunk and mask of the window at ``row``, step by step and group by group."""
    same_map = [n for n in range(len(source.time_ns)) if source.map_id[n] == source.map_id[row]]
    start, stop = min(same_map), max(same_map) + 1
    times, action, valid = source.time_ns[start:stop], source.action[start:stop], source.valid[start:stop]
    values, mask = np.zeros((horizon, layout.dim)), np.zeros((horizon, layout.dim), bool)
    for k in range(horizon):
        t = source.time_ns[row] + round((k + observed) * dt * 1e9)
        for g, (group, block) in enumerate(layout.blocks.items()):
            around = literal_rows_around(t, times, valid[:, g])
            if around is None:
                continue
            a, b = around
            if group.endswith("hand"):
                share = 0 if a == b else (t - times[a]) / (times[b] - times[a])
                values[k, block] = (1 - share) * action[a, block] + share * action[b, block]
                mask[k, block] = True
            elif (source.state_valid[row, g] if state else source.valid[row, g]) == 1:
                reference = matrix((source.state if state else source.action)[row, block])
                relative = np.linalg.inv(reference) @ literal_pose(t, times, action[:, block], a, b)
                values[k, block] = [*relative[:3, 3], *relative[0, :3], *relative[1, :3]]
                mask[k, block] = True
    return values, mask


@st.composite
def recordings(draw):
    """Times with jitter, drop-outs and a gap, random masks, and now and then a new map."""
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    rows = draw(st.integers(2, 25))
    steps = 33_333_333 + rng.integers(-3_000_000, 3_000_000, rows)
    steps += (rng.random(rows) < 0.1) * draw(st.sampled_from([33_333_333, 700_000_000]))
    time_ns = np.cumsum(steps).astype(np.int64)
    masks = (rng.random((2, rows, 4)) < draw(st.sampled_from([0.7, 1.0]))).astype(np.uint8)
    map_id = np.cumsum(rng.random(rows) < draw(st.sampled_from([0.0, 0.1]))).astype(np.int32)
    return seed, rows, time_ns, masks, map_id


@settings(max_examples=25, deadline=None)
@given(recordings(), st.sampled_from([1 / 30, 0.02, 0.1]), st.booleans())
def test_chunks_equal_the_literal_reference(recording, dt, robot):
    seed, rows, time_ns, masks, map_id = recording
    declaration = robot_declaration(spec=robot_spec(("left", "right"))) if robot else human_declaration()
    source = episode("e", declaration, rows, seed, time_ns=time_ns, valid=masks[0], map_id=map_id)
    if robot:
        source = dataclasses.replace(source, state_valid=masks[1])
    starts = [row for row in range(rows) if literal_starts(source, row, dt, robot)]
    with tempfile.TemporaryDirectory() as folder:
        dataset = make(Path(folder), declaration, source)
        if not starts:
            with pytest.raises(DataError, match="no row from which a window could start"):
                WindowDataset(dataset, 6, dt)
            return
        windows = WindowDataset(dataset, 6, dt)
        assert [windows.place(n)[1] for n in range(len(windows))] == starts
        batch = windows.batch(range(len(windows)))
    for n, row in enumerate(starts):
        values, mask = literal_chunk(source, windows.layout, row, 6, dt, not robot, robot)
        np.testing.assert_array_equal(batch.mask[n], mask)
        np.testing.assert_allclose(batch.chunk[n], values, atol=2e-6)
        assert batch.time_ns[n] == time_ns[row]


def literal_starts(source, row, dt, robot):
    """A window starts where something is known and, for people, where the first target lies within the map."""
    last = max(t for t, m in zip(source.time_ns, source.map_id, strict=True) if m == source.map_id[row])
    return bool(source.valid[row].any() and (robot or source.time_ns[row] + round(dt * 1e9) <= last))


# --- properties ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def robot(tmp_path_factory):
    declaration = robot_declaration(cameras=(camera(),))
    sources = [episode(key, declaration, seed=n) for n, key in enumerate("ab")]
    return make(tmp_path_factory.mktemp("d"), declaration, *sources), sources


def test_a_world_that_moves_leaves_chunks_unchanged(tmp_path, robot):
    dataset, sources = robot
    world = make_pose(rotation_from_rpy([0.4, -1.2, 2.0]), [0.5, -0.3, 0.8])

    def moved(rows):
        wrists = vec9_from_pose(world @ pose_from_vec9(rows[:, :9].astype(np.float64)))
        return np.concatenate([wrists, rows[:, 9:]], 1).astype(np.float32)

    changed = [dataclasses.replace(s, action=moved(s.action), state=moved(s.state)) for s in sources]
    other = make(tmp_path, dataset.declaration, *changed)
    one, two = (WindowDataset(d, 8, 0.05).batch(range(60)) for d in (dataset, other))
    np.testing.assert_allclose(one.chunk, two.chunk, atol=1e-5)
    assert np.abs(one.reference - two.reference).max() > 0.1


def test_chunks_decode_to_the_recorded_commands(robot):
    dataset, sources = robot
    windows = WindowDataset(dataset, 5, 1 / 30)
    batch = windows.batch([3])
    rows = WristHandSpace(windows.layout).decode(batch.chunk, batch.reference)
    np.testing.assert_allclose(rows[0], sources[0].action[3:8], atol=1e-5)
    np.testing.assert_array_equal(batch.reference[0, :9], sources[0].state[3, :9])
    np.testing.assert_array_equal(batch.state[0], sources[0].state[3])


def test_windows_are_padded_and_masked_at_the_end_of_an_episode(robot):
    dataset, _ = robot
    windows = WindowDataset(dataset, 16, 1 / 30)
    assert len(windows) == 80
    assert windows.place(39) == (0, 39)
    batch = windows.batch([39, 40])
    assert batch.mask[0].any(1).tolist() == [True] + [False] * 15
    assert (batch.chunk[0, 1:] == 0).all()
    assert batch.mask[1].all()


def test_people_have_no_state_and_are_their_own_reference(tmp_path):
    declaration = human_declaration()
    source = episode("a", declaration)
    windows = WindowDataset(make(tmp_path, declaration, source), 4, 1 / 30)
    batch = windows.batch(range(3))
    assert not batch.state_mask.any()
    assert not batch.state.any()
    np.testing.assert_array_equal(batch.reference, source.action[:3])
    expected = np.linalg.inv(matrix(source.action[0, :9])) @ matrix(source.action[1, :9])
    np.testing.assert_allclose(pose_from_vec9(batch.chunk[0, 0, :9]), expected, atol=1e-5)
    assert len(windows) == 39  # the last row has no pose after it


def test_a_command_is_no_measurement(tmp_path):
    declaration = robot_declaration(has_state=False)
    windows = WindowDataset(make(tmp_path, declaration, episode("a", declaration)), 4, 1 / 30)
    batch = windows.batch([0])
    assert not batch.mask[:, :, :9].any()
    assert batch.mask[:, :, 9:].all()


def test_an_absent_hand_is_masked_and_its_numbers_change_nothing(tmp_path_factory):
    declaration = robot_declaration(spec=robot_spec(("left", "right")))
    valid = np.ones((40, 4), np.uint8)
    valid[:, [0, 2]] = 0
    batches = []
    for filler in (0.0, 0.7):
        source = episode("a", declaration, valid=valid)
        layout = declaration.native.layout
        for group in ("left_wrist", "left_hand"):
            source.action[:, layout.blocks[group]] = filler
        batches.append(WindowDataset(make(tmp_path_factory.mktemp("d"), declaration, source), 4, 0.05).batch([5]))
    np.testing.assert_array_equal(batches[0].chunk, batches[1].chunk)
    np.testing.assert_array_equal(batches[0].mask, batches[1].mask)
    assert not batches[0].mask[..., layout.blocks["left_hand"]].any()


def test_a_derived_set_gives_its_own_columns_and_the_mover_its_name(tmp_path):
    declaration = human_declaration()
    dataset = make(tmp_path, declaration, episode("a", declaration))
    claw = derived_set(declaration)
    dataset.add_action_set(claw, derived_arrays(dataset, claw))
    with pytest.raises(DataError, match="several action sets"):
        WindowDataset(dataset, 4, 1 / 30)
    windows = WindowDataset(dataset, 4, 1 / 30, action_set="claw")
    batch = windows.batch([0, 1])
    assert batch.chunk.shape == (2, 4, 22)
    assert (batch.embodiment, batch.hand_spaces["left"].id) == ("human/hands@1", "acme/claw@1")
    assert batch.state.shape == (2, 144)


def test_stride_and_episodes_choose_windows(robot):
    dataset, _ = robot
    windows = WindowDataset(dataset, 4, 1 / 30, episodes=[1], stride=10)
    assert [windows.place(n) for n in range(len(windows))] == [(1, 0), (1, 10), (1, 20), (1, 30)]
    with pytest.raises(DataError, match=r"no episode 2; allowed: 0\.\.1"):
        WindowDataset(dataset, 4, 1 / 30, episodes=[2])
    with pytest.raises(DataError, match="must be positive"):
        WindowDataset(dataset, 0, 1 / 30)


@pytest.mark.parametrize(
    "options",
    [
        {"chunk_dt_s": np.nan},
        {"chunk_dt_s": np.inf},
        {"horizon": 10**9, "chunk_dt_s": 1e-9},
        {"horizon": 10**4, "chunk_dt_s": 1e3},
        {"offsets_s": (-np.inf, 0.0)},
        {"offsets_s": (np.nan,)},
        {"offsets_s": (-1e30,)},
        {"image_size_px": 0},
        {"image_size_px": (-1, 5)},
        {"image_size_px": 10**6},
    ],
)
def test_sizes_and_times_that_make_no_sense_are_refused(robot, options):
    with pytest.raises(DataError, match=r"must be positive|observations at|image_size_px: is"):
        WindowDataset(robot[0], **{"horizon": 4, "chunk_dt_s": 1 / 30} | options)


# --- images and prompts ----------------------------------------------------------------------------------------------


def test_images_are_those_the_rows_see(robot):
    dataset, _ = robot
    batch = WindowDataset(dataset, 4, 1 / 30).batch([0, 1, 11, 45])
    assert batch.images["head"].shape == (4, 24, 32, 3)
    assert batch.images["head"].dtype == np.uint8
    for n, (index, row) in enumerate([(0, 0), (0, 1), (0, 11), (1, 5)]):
        np.testing.assert_array_equal(batch.images["head"][n], dataset.image(index, "head", row))
    assert batch.images["head"][2].mean() == pytest.approx(20, abs=1)
    assert batch.image_mask["head"].all()


def test_an_absent_camera_is_black_and_masked(robot):
    dataset, _ = robot
    batch = WindowDataset(dataset, 4, 1 / 30, cameras=["head", "wrist"], image_size_px=(6, 8)).batch([0, 30])
    assert list(batch.images) == ["head", "wrist"]
    assert batch.images["wrist"].shape == (2, 6, 8, 3)
    assert not batch.images["wrist"].any()
    assert not batch.image_mask["wrist"].any()
    assert batch.images["head"][1].mean() == pytest.approx(60, abs=1)
    with pytest.raises(DataError, match=r"no camera 'hed'.*did you mean 'head'"):
        WindowDataset(dataset, 4, 1 / 30, cameras=["hed"])


def test_an_image_that_is_none_is_black_and_masked(tmp_path):
    declaration = robot_declaration(cameras=(camera(),))
    source = episode("a", declaration)
    late = dataclasses.replace(source.images["head"], time_ns=source.images["head"].time_ns + 300_000_000)
    source = dataclasses.replace(source, images={"head": late})
    batch = WindowDataset(make(tmp_path, declaration, source), 4, 1 / 30).batch([0, 8, 9, 39])
    assert batch.image_mask["head"].tolist() == [False, False, True, True]
    assert not batch.images["head"][:2].any()


def test_prompts_prefer_the_task_and_fall_back_to_the_label(tmp_path):
    declaration = robot_declaration()
    spans = [LanguageSpan("lift", 0, 5, "subtask"), LanguageSpan("stack the cups", 0, 10)]
    dataset = make(tmp_path, declaration, episode("a", declaration, language=spans))
    assert WindowDataset(dataset, 4, 1 / 30).batch([2, 20]).prompts == ["stack the cups", "pick"]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(0, 999))
def test_resize_is_the_mean_over_the_covered_area(h, w, new_h, new_w, seed):
    image = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
    fine = image.repeat(new_h, 0).repeat(new_w, 1).astype(float)  # a grid that both sizes divide
    expected = fine.reshape(new_h, h, new_w, w, 3).mean((1, 3))
    np.testing.assert_allclose(resize_area(image, (new_h, new_w)), expected, atol=0.51)


def test_a_query_within_rounding_of_a_row_is_that_row():
    times = np.array([[0, 100, 200]], np.int64) * 1_000_000
    at = bracket(times, np.array([[-1, 1, 99, 150, 201, 202.5]]) * 1e6, 10.0)
    assert at.share.tolist() == [[0, 0, 1, 0.5, 0, 0]]
    assert at.usable.tolist() == [[True, True, True, True, True, False]]


def test_a_damaged_index_of_windows_is_made_again(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode(str(n), declaration, rows=30, seed=n) for n in range(4)])

    def places():
        windows = WindowDataset(dataset, 4, 1 / 30)
        return [windows.place(number) for number in range(len(windows))]

    first = places()
    (file,) = (dataset.cache / "index").iterdir()
    kept = file.read_bytes()
    for at in range(0, len(kept), 7):
        file.unlink()
        file.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :] if at % 2 else kept[:at])
        assert places() == first
        assert file.read_bytes() == kept
