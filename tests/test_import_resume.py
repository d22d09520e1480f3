"""Imports that are killed, resumed, done by many or at once: no episode is lost, none is there twice or in part."""

import os
import shutil

import numpy as np
import pytest

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.importers import run
from egoscale_sdk.data.importers.exchange import write_exchange_episode
from egoscale_sdk.engine import choose_engine
from tests.data_kit import human_declaration
from tests.import_kit import Import, moving_hands
from tests.import_work import DeadlyWrite, append_task, import_takes, import_task, opened
from tests.kill_kit import calls_of, kill_at

EPISODES, ROWS = 23, 12
KILLS = int(os.environ.get("EGOSCALE_KILLS", "24"))


@pytest.fixture(scope="module")
def takes(tmp_path_factory):
    """A folder of episodes, one of which cannot be read."""
    folder = tmp_path_factory.mktemp("recorded") / "takes"
    for n in range(EPISODES):
        arrays = {"keypoints": moving_hands(ROWS, n), "valid": np.ones((ROWS, 2))}
        write_exchange_episode(folder / f"{n:02d}.npz", time_ns=np.arange(ROWS) * 33_333_333 + n, **arrays)
    (folder / "07.npz").write_bytes((folder / "07.npz").read_bytes()[:100])
    return folder


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch):
    monkeypatch.setattr(run, "COMMIT_EPISODES", 4)


@pytest.fixture(scope="module")
def whole(takes, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "d.zarr"
    import_takes(takes, path)
    return contents(Dataset.open(path))


def contents(dataset):
    return [(episode.key, dataset.rows(episode).action.tobytes()) for episode in dataset.episodes]


def check(path, whole, *, ordered=True):
    """Every episode once, every bit as it should be, and every file its checksum."""
    dataset = Dataset.open(path)
    for name in dataset.paths:
        dataset.object(name).check_contents()
    found = contents(dataset)
    assert (found if ordered else sorted(found)) == (whole if ordered else sorted(whole))


def check_part(path, whole):
    """Whatever is visible is a whole episode, as recorded."""
    if Dataset.exists(path):
        dataset = Dataset.open(path)
        for name in dataset.paths:
            dataset.object(name).check_contents()
        found = contents(dataset)
        assert len(set(found)) == len(found)
        assert set(found) <= set(whole)
        return len(found)
    return 0


@pytest.mark.parametrize("name", ["process", pytest.param("ray", marks=pytest.mark.slow)])
def test_many_workers_make_the_dataset_that_one_makes(takes, whole, tmp_path, name):
    summary = run.import_recording(opened(takes), tmp_path / "d.zarr", engine=choose_engine(name, 2))
    assert (summary.imported, list(summary.failed)) == (EPISODES - 1, [opened(takes).keys[7]])
    check(tmp_path / "d.zarr", whole)


def test_a_second_import_adds_nothing(takes, whole, tmp_path):
    import_takes(takes, tmp_path / "d.zarr")
    version = Dataset.open(tmp_path / "d.zarr").version
    summary = run.import_recording(opened(takes), tmp_path / "d.zarr", engine=choose_engine("process", 2))
    assert (summary.imported, summary.present) == (0, EPISODES - 1)
    assert Dataset.open(tmp_path / "d.zarr").version == version


def test_imports_at_once_bring_every_episode_once(takes, whole, tmp_path):
    """Four processes import the same recording into a dataset that none of them finds at first."""
    work = [(takes, tmp_path / "d.zarr")] * 4
    brought = [summary.imported for _, summary in choose_engine("process", 4).map(import_task, work)]
    assert sum(brought) == EPISODES - 1
    check(tmp_path / "d.zarr", whole, ordered=False)


def test_eight_writers_lose_no_episode(tmp_path):
    path = tmp_path / "d.zarr"
    tasks = [(path, writer, 5) for writer in range(8)]
    Dataset.create(path, human_declaration())
    assert sum(added for _, added in choose_engine("process", 8).map(append_task, tasks)) == 40
    dataset = Dataset.open(path)
    assert sorted(dataset.keys()) == sorted(f"{writer}-{n}" for writer in range(8) for n in range(5))
    assert dataset.version == 40
    for name in dataset.paths:
        dataset.object(name).check_contents()


@pytest.mark.slow
def test_killed_at_any_call_nothing_is_seen_in_part_and_nothing_lost(takes, whole, tmp_path):
    """``EGOSCALE_KILLS=200 pytest -m slow tests/test_import_resume.py`` kills it at 200 points."""
    total, killed, seen = calls_of(lambda: import_takes(takes, tmp_path / "trial.zarr")), 0, []
    path = tmp_path / "d.zarr"
    for point in np.linspace(1, total - 1, KILLS).astype(int):
        killed += kill_at(lambda: import_takes(takes, path), int(point))
        before = check_part(path, whole)
        kill_at(lambda: import_takes(takes, path), total // 4)  # and once more: what was committed stays
        seen.append((before, check_part(path, whole)))
        assert seen[-1][1] >= before
        import_takes(takes, path)
        check(path, whole)
        shutil.rmtree(path)
    assert killed >= KILLS - 2
    assert len({count for count, _ in seen}) > 4  # points in every part of the work
    print(f"{killed} imports killed, then again: 0 episodes in part, 0 committed ones lost")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["process", "ray"])
def test_a_worker_that_is_killed_loses_nothing_and_brings_nothing_twice(takes, whole, tmp_path, name, monkeypatch):
    scars = tmp_path / "scars"
    scars.mkdir()
    monkeypatch.setattr(run, "WriteSegment", lambda *given: DeadlyWrite(*given, folder=scars))
    summary = run.import_recording(opened(takes), tmp_path / "d.zarr", engine=choose_engine(name, 2))
    assert len(list(scars.iterdir())) == 2
    assert summary.imported == EPISODES - 1
    check(tmp_path / "d.zarr", whole)


def test_the_command_takes_engine_and_workers(takes, tmp_path, capsys):
    good = tmp_path / "takes"
    good.mkdir()
    for n in range(3):
        shutil.copy(takes / f"{n:02d}.npz", good)
    imports = Import(capsys)
    said = imports("keypoints", good, tmp_path / "d.zarr", "--engine", "process", "--workers", 2)
    assert (said["imported"], said["failed"]) == (3, {})
    assert "use --engine process" in imports.refused(
        "keypoints", good, tmp_path / "e.zarr", "--engine", "local", "--workers", 2
    )
    assert "local" in imports.refused("keypoints", good, tmp_path / "e.zarr", "--engine", "rya")
