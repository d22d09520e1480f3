"""The index in columns says what the segments say, whatever was hidden, removed, relabelled or packed into chunks."""

import json
import resource
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sparse import make_sparse, measure_open
from egoscale_sdk.data import Dataset, log
from egoscale_sdk.data.episodes import CODED
from egoscale_sdk.data.records import Change
from tests.data_kit import episode, robot_declaration


def literal(dataset):
    """The episodes as the tables of the segments say, one after the other."""
    found = []
    for path, entry in dataset.entries.items():
        if entry.base is None:
            splits = {number: name for name, numbers in entry.split.items() for number in numbers}
            for number, item in enumerate(dataset.segment(path).table):
                if number not in entry.hidden:
                    labels = item.labels | ({"split": splits[number]} if number in splits else {})
                    found.append((item.key, path, number, item.start, item.length, labels))
    return found


def check(dataset):
    expected, index = literal(dataset), dataset.index
    refs = [(r.key, r.segment, r.number, r.start, r.length, r.labels) for r in dataset.episodes]
    assert refs == expected
    assert [r.index for r in dataset.episodes] == list(range(len(expected)))
    assert list(index.keys()) == [row[0] for row in expected]
    assert dataset.keys() == {row[0] for row in expected}
    columns = [index.number, index.start, index.length]
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [row[2:5] for row in expected]
    assert [index.segments[n] for n in index.segment] == [row[1] for row in expected]
    for name in CODED[:6]:
        texts = index.texts(name)
        codes = [texts[code] if code >= 0 else None for code in index.codes(name).tolist()]
        assert codes == [row[5].get(name) for row in expected]
    for ref, seconds, runs in zip(dataset.episodes, index.duration_ns, index.map_runs, strict=True):
        rows = dataset.rows(ref)
        assert seconds == rows.time_ns[-1] - rows.time_ns[0]
        assert runs == 1 + (np.diff(rows.map_id) != 0).sum()


LABELS = [
    {},
    {"task": "pick"},
    {"task": "place", "scene": "kitchen", "success": False},
    {"note": [1, 2], "quality": 0.5},
]
STEPS = st.one_of(
    st.tuples(st.just("append"), st.lists(st.integers(0, 3), min_size=1, max_size=3)),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("hide"), st.integers(0, 9)),
    st.tuples(st.just("split"), st.integers(0, 9)),
)


def do(dataset, step, argument, number):
    if step == "append":
        maps = np.arange(6, dtype=np.int32) // 2
        dataset.append(
            episode(f"é{number}-{n}", dataset.declaration, rows=3 + n, labels=LABELS[kind], map_id=maps[: 3 + n])
            for n, kind in enumerate(argument)
        )
    elif dataset.segments:
        path = dataset.segments[argument % len(dataset.segments)]
        entry = dataset.entries[path]
        if step == "remove":
            dataset.commit(lambda: Change(remove=(path,)))
        else:
            new = {"hidden": (entry.episodes - 1,)} if step == "hide" else {"split": {"test": (0,)}}
            dataset.commit(lambda: Change(update=(entry.model_copy(update=new),)))


@settings(max_examples=12, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=14), st.integers(1, 4))
def test_the_index_is_what_the_segments_say(tmp_path_factory, steps, every):
    path = tmp_path_factory.mktemp("d") / "d.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "SNAPSHOT_EVERY", every)
        dataset = Dataset.create(path, robot_declaration())
        for number, (step, argument) in enumerate(steps):
            dataset.keys()
            do(dataset, step, argument, number)
            assert dataset.keys() == set(dataset.index.keys())
        check(dataset)
        check(Dataset.open(path))
        for version in range(dataset.version):
            check(Dataset.open(path, version))
    shutil.rmtree(path)


def test_episodes_are_a_sequence(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    assert len(dataset.episodes) == 0
    assert list(dataset.index.keys()) == []
    assert dataset.index.codes("task").tolist() == []
    dataset.append(episode(key, declaration, rows=3) for key in "abc")
    keys = [ref.key for ref in dataset.episodes]
    assert keys == [dataset.episodes[n].key for n in (-3, np.int64(1), 2)]
    assert [ref.key for ref in dataset.episodes[1:]] == ["b", "c"]
    for outside in (3, -4):
        with pytest.raises(IndexError, match="among 3"):
            dataset.episodes[outside]


def test_few_chunks_hold_the_tables_of_many_commits(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "SNAPSHOT_EVERY", 1)
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    for number in range(23):
        dataset.append([episode(f"e{number}", declaration, rows=2)])
    snapshot = json.loads((dataset.path / "commits" / "snapshot-000000000023.json").read_text())
    assert [chunk["last"] for chunk in snapshot["body"]["chunks"]] == [10, 20, 21, 22, 23]
    check(Dataset.open(dataset.path))


def test_a_sparse_dataset_reads_like_any_other(tmp_path):
    path = make_sparse(tmp_path / "d.zarr", hours=0.2, segment_h=0.01, episode_s=6, size_px=8)
    dataset = Dataset.open(path)
    assert len(dataset.segments) == 20
    assert len(dataset.keys()) == len(dataset.episodes) == 120
    for ref in dataset.episodes[::17]:
        assert dataset.image(ref, "c0", 5).shape == (8, 8, 3)
        np.testing.assert_array_equal(dataset.rows(ref).action, dataset.rows(0).action)
    for path in dataset.segments[:2]:
        dataset.object(path).check_contents()


@pytest.mark.slow
def test_a_million_episodes_are_opened_in_little_memory(tmp_path):
    path = make_sparse(tmp_path / "d.zarr", hours=8340, segments_per_commit=20, size_px=8)
    found = measure_open(path)
    assert found["episodes"] >= 1_000_000
    assert found["added_mb"] <= 100
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    measure_open(path)
    print(f"{found}, {resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before:.2f} s of a processor")
