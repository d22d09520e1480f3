"""Observations at any times before a window's t0: states by slerp, images as they were, nothing from elsewhere."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.data import Dataset, WindowDataset
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import ImageStream, LanguageSpan
from tests.data_kit import camera, episode, jpeg, robot_declaration, robot_spec
from tests.test_data_windows import literal_pose, literal_rows_around, recordings

OFFSETS = (-0.5, -0.1, -1 / 30, 0.0)


def dataset_of(folder, declaration, *sources):
    dataset = Dataset.create(Path(folder) / "d.zarr", declaration)
    dataset.append(sources)
    return dataset


def literal_state(source, layout, row, offset):
    """Measured row and mask per column at an offset: one group after the other."""
    same = [n for n in range(len(source.time_ns)) if source.map_id[n] == source.map_id[row]]
    low, high = min(same), max(same) + 1
    times, state, valid = source.time_ns[low:high], source.state[low:high], source.state_valid[low:high]
    values, mask = np.zeros(layout.dim), np.zeros(layout.dim, bool)
    t = source.time_ns[row] + round(offset * 1e9)
    for g, (group, block) in enumerate(layout.blocks.items()):
        around = literal_rows_around(t, times, valid[:, g])
        if around is None:
            continue
        a, b = around
        mask[block] = True
        if a == b:
            values[block] = state[a, block]
        elif group.endswith("hand"):
            share = (t - times[a]) / (times[b] - times[a])
            values[block] = (1 - share) * state[a, block] + share * state[b, block]
        else:
            pose = literal_pose(t, times, state[:, block], a, b)
            values[block] = [*pose[:3, 3], *pose[0, :3], *pose[1, :3]]
    return values, mask


@settings(max_examples=8, deadline=None)
@given(recordings())
def test_past_states_equal_the_literal_reference(recording):
    seed, rows, time_ns, masks, map_id = recording
    declaration = robot_declaration(spec=robot_spec(("left", "right")))
    source = episode("e", declaration, rows, seed, time_ns=time_ns, valid=np.ones((rows, 4), np.uint8), map_id=map_id)
    source = dataclasses.replace(source, state_valid=masks[1])
    with tempfile.TemporaryDirectory() as folder:
        windows = WindowDataset(dataset_of(folder, declaration, source), 3, 0.05, offsets_s=OFFSETS)
        batch = windows.batch(range(len(windows)))
        plain = WindowDataset(windows.dataset, 3, 0.05).batch(range(len(windows)))
    assert batch.state.shape == (rows, len(OFFSETS), windows.state_layout.dim)
    for row in range(rows):
        for n, offset in enumerate(OFFSETS):
            values, mask = literal_state(source, windows.state_layout, row, offset)
            np.testing.assert_array_equal(batch.state_mask[row, n], mask)
            np.testing.assert_allclose(batch.state[row, n], values, atol=2e-6)
    np.testing.assert_array_equal(batch.state[:, -1], plain.state)
    np.testing.assert_array_equal(batch.chunk, plain.chunk)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.0, 0.2]))
def test_several_cameras_show_what_they_showed_then_or_nothing(seed, resets):
    """Each camera has its own clock and drops frames; the shade of a frame is its number."""
    rng = np.random.default_rng(seed)
    rows = 24
    declaration = robot_declaration(cameras=(camera("head"), camera("left", 16, 8), camera("right", 8, 8)))
    source = episode("e", declaration, rows, seed, map_id=np.cumsum(rng.random(rows) < resets).astype(np.int32))
    streams = {}
    for stream in declaration.cameras[:2]:
        times = np.sort(rng.choice(np.arange(-20, 40), 25, replace=False)) * 33_000_000 + source.time_ns[0]
        shades = [jpeg(10 * n, stream.height_px, stream.width_px) for n in range(len(times))]
        streams[stream.name] = ImageStream(shades, times)
    source = dataclasses.replace(source, images=streams)
    with tempfile.TemporaryDirectory() as folder:
        windows = WindowDataset(dataset_of(folder, declaration, source), 3, 1 / 30, offsets_s=OFFSETS)
        batch = windows.batch(range(rows))
    assert batch.images["left"].shape == (rows, len(OFFSETS), 16, 8, 3)
    assert not batch.image_mask["right"].any()
    for name, stream in streams.items():
        for row in range(rows):
            for n, offset in enumerate(OFFSETS):
                shown = literal_frame(source, stream, row, offset)
                assert batch.image_mask[name][row, n] == (shown is not None)
                picture = batch.images[name][row, n]
                assert picture.mean() == pytest.approx(0 if shown is None else 10 * shown, abs=2)


def literal_frame(source, stream, row, offset):
    """The newest frame at the newest row of the same map by then, unless it is half a second old."""
    t = source.time_ns[row] + round(offset * 1e9)
    rows = [n for n in range(len(source.time_ns)) if source.map_id[n] == source.map_id[row]]
    if t < source.time_ns[rows[0]] - 0.02 / 30 * 1e9:
        return None
    then = max(n for n in rows if source.time_ns[n] <= t + 0.02 / 30 * 1e9)
    frames = [n for n in range(len(stream.time_ns)) if stream.time_ns[n] <= source.time_ns[then] + 1_000_000]
    if not frames or source.time_ns[then] - stream.time_ns[frames[-1]] > 500_000_000:
        return None
    return frames[-1]


def test_people_have_no_state_at_any_time(tmp_path):
    declaration = robot_declaration(has_state=False)
    windows = WindowDataset(dataset_of(tmp_path, declaration, episode("a", declaration)), 3, 0.05, offsets_s=(-0.1, 0))
    batch = windows.batch([3, 4])
    assert batch.state.shape[:2] == (2, 2)
    assert not batch.state_mask.any()


@pytest.mark.parametrize("offsets", [(), (0.1,), (-0.1, 0.01), (float("nan"),)])
def test_nothing_is_observed_after_the_window_begins(tmp_path, offsets):
    declaration = robot_declaration()
    with pytest.raises(DataError, match="none after the window's t0"):
        WindowDataset(dataset_of(tmp_path, declaration, episode("a", declaration)), 3, 0.05, offsets_s=offsets)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 29), st.integers(1, 15), st.sampled_from(["task", "subtask", "narration"])), max_size=6
    )
)
def test_the_prompt_is_the_first_task_caption_over_the_row_then_any_then_the_label(spans):
    declaration = robot_declaration()
    captions = [LanguageSpan(f"{n} {k}", a, min(30, a + length), k) for n, (a, length, k) in enumerate(spans)]
    with tempfile.TemporaryDirectory() as folder:
        source = episode("a", declaration, 30, language=captions)
        prompts = WindowDataset(dataset_of(folder, declaration, source), 3, 1 / 30).batch(range(30)).prompts
    for row, prompt in enumerate(prompts):
        over = [span for span in captions if span.start <= row < span.stop]
        tasks = [span.text for span in over if span.kind == "task"]
        assert prompt == (tasks or [span.text for span in over] or ["pick"])[0]
