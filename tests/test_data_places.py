"""Where windows stand, against one loop per row; and the cache that keeps it."""

import dataclasses
import json
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from egoscale_sdk.data import Dataset, WindowDataset, log, places, spans
from egoscale_sdk.data.episodes import EpisodeTable
from egoscale_sdk.data.records import Change
from egoscale_sdk.errors import DataError
from egoscale_sdk.progress import silent
from tests.data_kit import PERIOD_NS, episode, human_declaration, robot_declaration, robot_spec
from tests.test_data_dataset import derived_arrays, derived_set


@st.composite
def corpora(draw):
    """Segments of a few episodes of any length, with what may break windows: resets, masks, jitter and drop-outs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    human, share = draw(st.booleans()), draw(st.sampled_from([0.3, 0.9, 1.0]))
    declaration = human_declaration() if human else robot_declaration(spec=robot_spec(("left", "right")))
    segments = []
    for _ in range(draw(st.integers(1, 3))):
        episodes = []
        for _ in range(draw(st.integers(1, 3))):
            rows = draw(st.integers(1, 30))
            steps = PERIOD_NS + rng.integers(-3_000_000, 3_000_000, rows) + (rng.random(rows) < 0.1) * 80_000_000
            source = episode(f"e{rng.integers(2**60)}", declaration, rows, int(rng.integers(999)))
            source = dataclasses.replace(
                source,
                time_ns=np.cumsum(steps).astype(np.int64),
                valid=(rng.random((rows, 4)) < share).astype(np.uint8),
                map_id=np.cumsum(rng.random(rows) < 0.05).astype(np.int32),
                language=[],
            )
            episodes.append(source)
        segments.append(episodes)
    return declaration, segments


def literal_windows(sources, chosen, dt_ns, stride, observed):
    """Every row of an episode that is on the grid of its map, has something valid, and reaches its first target."""
    found = []
    for number in chosen:
        source = sources[number]
        first = {}
        for row, where in enumerate(source.map_id.tolist()):
            first.setdefault(where, row)
            last = max(t for t, m in zip(source.time_ns, source.map_id, strict=True) if m == where)
            reached = source.time_ns[row] + (dt_ns if observed else 0) <= last
            if (row - first[where]) % stride == 0 and source.valid[row].any() and reached:
                found.append((number, row))
    return found


@settings(max_examples=10, deadline=None)
@given(corpora(), st.sampled_from([0.02, 1 / 30, 0.2]), st.integers(1, 7), st.data())
def test_windows_stand_where_the_literal_loop_puts_them(corpus, dt, stride, data):
    declaration, segments = corpus
    sources = [source for episodes in segments for source in episodes]
    chosen = data.draw(st.permutations(range(len(sources))))[: data.draw(st.integers(1, len(sources)))]
    expected = literal_windows(sources, chosen, round(dt * 1e9), stride, declaration.kind == "human")
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset.create(Path(folder) / "d.zarr", declaration)
        for episodes in segments:
            dataset.append(episodes)
        if not expected:
            with pytest.raises(DataError, match="no row from which a window could start"):
                WindowDataset(dataset, 4, dt, episodes=chosen, stride=stride)
            return
        windows = WindowDataset(dataset, 4, dt, episodes=chosen, stride=stride)
        assert [windows.place(n) for n in range(len(windows))] == expected
        for number, own in windows.by_episode().items():
            assert {windows.place(n)[0] for n in own} == {number}
        assert sum(map(len, windows.by_episode().values())) == len(windows)


@settings(max_examples=12, deadline=None)
@given(corpora(), st.sampled_from([0, 1, 33_333_333, 200_000_000, 700_000_000]), st.integers(1, 7), st.integers(1, 3))
def test_the_log_says_of_the_episodes_what_their_rows_say(corpus, first_ns, stride, every):
    declaration, segments = corpus
    rule = places.Rule("native", first_ns, stride)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "SNAPSHOT_EVERY", every)
        dataset = Dataset.create(Path(folder) / "d.zarr", declaration)
        for episodes in segments:
            dataset.append(episodes)
        entry = dataset.entries[dataset.segments[-1]]
        hidden = entry.model_copy(update={"hidden": (0,)} if entry.episodes > 1 else {})
        dataset.commit(lambda: Change(update=(hidden,)))
        for opened in (dataset, Dataset.open(dataset.path)):
            index = opened.index
            literal = [places._find(opened, index, rule, number) for number in range(len(index.segments))]
            np.testing.assert_array_equal(places._find_all(opened, rule, silent), np.concatenate(literal))
            runs, unsaid = places._from_log(index, rule)
            said = [found for number, found in enumerate(literal) if number not in unsaid]
            np.testing.assert_array_equal(runs, np.concatenate([runs[:0], *said]))
            assert first_ns or not len(unsaid)


def test_no_segment_is_read_to_find_windows_a_few_rows_ahead(tmp_path, monkeypatch):
    declaration = human_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    maps = np.repeat(np.arange(2, dtype=np.int32), 20)
    dataset.append([episode("a", declaration), episode("b", declaration, map_id=maps)])
    monkeypatch.setattr(dataset, "segment", None)
    windows = WindowDataset(dataset, 4, 5 / 30)
    assert [(run.start, run.stop) for run in windows.by_episode().values()] == [(0, 34), (34, 34 + 28)]
    with pytest.raises(TypeError):
        WindowDataset(dataset, 4, 7 / 30)


@pytest.mark.parametrize("every", [1, 100])
def test_segments_of_older_logs_are_read(tmp_path, monkeypatch, every):
    def without(entries, *rows):
        table = make(entries, *rows)
        return EpisodeTable(**{name: value for name, value in table if name not in ("known_runs", *spans.RAGGED)})

    declaration, make = human_declaration(), EpisodeTable.make
    monkeypatch.setattr(log, "SNAPSHOT_EVERY", every)
    monkeypatch.setattr(EpisodeTable, "make", without)
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration)])
    monkeypatch.setattr(EpisodeTable, "make", make)
    dataset.append([episode("b", declaration)])
    opened = Dataset.open(dataset.path)
    assert opened.index.spans().known_runs.tolist() == [-1, 1]
    assert [len(own) for own in WindowDataset(opened, 4, 1 / 30).by_episode().values()] == [39, 39]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"known_runs": (2,)}, "not as many"),
        ({"tail_ns": ()}, "not as many"),
        ({"known": (0, 41)}, "the column known names rows"),
        ({"known": (7, 3)}, "the column known names rows"),
        ({"map_runs": (2,), "resets": (40,), "tail_ns": (1,) * 12}, "the column resets names rows"),
        ({"map_runs": (0,), "tail_ns": ()}, "in no map"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path, change, message):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration)])
    table = dataset.object(dataset.segments[0]).addition.table
    with pytest.raises(ValidationError, match=message):
        EpisodeTable.model_validate_json(json.dumps(table.model_dump(mode="json") | change))


def test_a_derived_set_decides_for_itself_where_something_is_known(tmp_path):
    declaration = human_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration)])
    claw = derived_set(declaration)
    arrays = dict(derived_arrays(dataset, claw))
    for values in arrays.values():
        values["valid"][:15] = 0
    dataset.add_action_set(claw, arrays)
    assert WindowDataset(dataset, 4, 1 / 30, action_set="claw").place(0) == (0, 15)
    assert WindowDataset(dataset, 4, 1 / 30, action_set="native").place(0) == (0, 0)


def test_opening_again_reads_no_rows_and_a_new_commit_is_noticed(tmp_path, monkeypatch):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration)])
    searched = []
    find = places._find_all
    monkeypatch.setattr(places, "_find_all", lambda *args: searched.append(args[-1]) or find(*args))
    assert len(WindowDataset(dataset, 4, 1 / 30)) == 40
    assert len(WindowDataset(dataset, 9, 1 / 10)) == 40
    assert len(WindowDataset(Dataset.open(dataset.path), 4, 1 / 30, episodes=[0])) == 40
    assert len(searched) == 1, "robots' windows start anywhere, whatever the horizon"
    assert len(WindowDataset(dataset, 4, 1 / 30, stride=2)) == 20
    dataset.append([episode("b", declaration)])
    assert len(WindowDataset(dataset, 4, 1 / 30)) == 80
    assert len(searched) == 3


@pytest.mark.parametrize("damage", [b"", b"junk", b"\x93NUMPY\x01\x00"])
def test_a_damaged_cache_is_made_again(tmp_path, damage):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration)])
    WindowDataset(dataset, 4, 1 / 30)
    for file in (dataset.cache / "index").glob("windows-*.npy"):
        file.write_bytes(damage)
    assert len(WindowDataset(dataset, 4, 1 / 30)) == 40


def test_windows_can_be_sent_to_another_process(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode(key, declaration, seed=n) for n, key in enumerate("abc")])
    windows = WindowDataset(dataset, 4, 0.05, episodes=[2, 0], stride=3, offsets_s=(-0.1, 0.0))
    copy = pickle.loads(pickle.dumps(windows))
    assert (copy.episodes, copy.stride, copy.offsets_s) == ((2, 0), 3, (-0.1, 0.0))
    np.testing.assert_array_equal(copy.batch([5, 17]).chunk, windows.batch([5, 17]).chunk)


def test_a_window_that_there_is_not_is_an_index_error(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration)])
    for number in (-1, 40):
        with pytest.raises(IndexError, match=r"0\.\.39"):
            WindowDataset(dataset, 4, 1 / 30).batch([number])
