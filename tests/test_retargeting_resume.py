"""Retargeting that is killed, resumed, and done by many: what comes out is the same in every bit."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from egoscale_sdk.data import Dataset
from egoscale_sdk.engine import choose_engine
from egoscale_sdk.errors import DataError
from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import dataset as module
from egoscale_sdk.retargeting import derive
from egoscale_sdk.retargeting.dataset import retarget_dataset
from egoscale_sdk.retargeting.keypoints import KeypointRetargeter
from egoscale_sdk.specs import Provider
from tests.data_kit import human_declaration
from tests.kill_kit import calls_of, kill_at
from tests.retargeting_work import DeadlyDerive
from tests.test_retargeting_dataset import person

PROVIDER = Provider(distribution="egoscale-sdk", version="0.1.0")
TARGET, SET = "unitree/g1_dex3", "unitree_g1_dex3"
LENGTHS = ((24, 9), (40,), (3, 31), (50, 2), (17,), (1100,))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch):
    """Several tasks, one of two segments; batches smaller than a task."""
    monkeypatch.setattr(module, "TASK_ROWS", 80)
    monkeypatch.setattr(derive, "BATCH_ROWS", 60)
    monkeypatch.setattr(derive, "BLOCK_ROWS", 32)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A dataset of six segments, one with a gap in time and a lost hand."""
    dataset = Dataset.create(tmp_path_factory.mktemp("people") / "people.zarr", human_declaration())
    for number, lengths in enumerate(LENGTHS):
        episodes = [person(f"{number}-{k}", rows=rows, seed=10 * number + k) for k, rows in enumerate(lengths)]
        if number == 1:
            episodes[0].time_ns[20:] += 500_000_000
            episodes[0].valid[5:9] = 0
            episodes[0].action[5:9] = 0
        dataset.append(episodes)
    return dataset.path


@pytest.fixture
def people(recorded, tmp_path):
    return Dataset.open(shutil.copytree(recorded, tmp_path / "people.zarr"))


def retarget(dataset, engine=None):
    hands = default_host().spec(TARGET).hands
    retargeters = {hand.side: KeypointRetargeter(hand, iterations=2, rounds=2) for hand in hands}
    return retarget_dataset(dataset, default_host().spec(TARGET), retargeters, PROVIDER, engine=engine)


@pytest.fixture(scope="module")
def whole(recorded, tmp_path_factory):
    """What an uninterrupted run in this process makes of it, all in one task."""
    dataset = Dataset.open(shutil.copytree(recorded, tmp_path_factory.mktemp("whole") / "people.zarr"))
    retarget(dataset)
    return contents(dataset)


def contents(dataset):
    """Everything that a reader sees of the set."""
    rows = [dataset.rows(number, SET) for number in range(len(dataset.episodes))]
    return [(part.action.copy(), part.valid.copy(), part.raw["residual_m"].copy()) for part in rows]


def check(dataset, whole):
    """Every base segment has the set once, every bit as it should be, and every file its checksum."""
    bases = [entry.base for entry in dataset.entries.values() if entry.base is not None]
    assert sorted(bases) == sorted(dataset.segments)
    for path in dataset.paths:
        dataset.object(path).check_contents()
    for found, wanted in zip(contents(dataset), whole, strict=True):
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_each_task_is_a_commit_and_what_is_missing_is_said(people, monkeypatch):
    before = people.version
    with pytest.raises(KeyboardInterrupt):
        _stop_after(people, 2)
    stopped = Dataset.open(people.path)
    assert stopped.version == before + 2
    missing = stopped.missing_segments(SET)
    assert list(missing) == list(stopped.segments[-len(missing) :])
    with pytest.raises(DataError, match="run egoscale retarget again"):
        stopped.rows(len(stopped.episodes) - 1, SET)


def _stop_after(dataset, tasks):
    """Interrupt, as Ctrl-C does, when so many tasks were reported."""

    class Told:
        calls = 0

        def __call__(self, done, total=None, note=""):
            self.calls += 1
            assert "hand-frames, " in note
            if self.calls == tasks:
                raise KeyboardInterrupt

    hands = default_host().spec(TARGET).hands
    retargeters = {hand.side: KeypointRetargeter(hand, iterations=2, rounds=2) for hand in hands}
    retarget_dataset(dataset, default_host().spec(TARGET), retargeters, PROVIDER, progress=Told())


def test_resumed_it_does_only_the_rest_and_ends_as_if_it_had_never_stopped(people, whole):
    with pytest.raises(KeyboardInterrupt):
        _stop_after(people, 2)
    again = Dataset.open(people.path)
    rest = len(again.missing_segments(SET))
    assert 0 < rest < len(again.segments)
    summary = retarget(again)
    assert 0 < summary.episodes < len(again.episodes)
    check(Dataset.open(people.path), whole)
    assert retarget(again).episodes == 0


def test_tasks_batches_and_blocks_of_another_size_change_no_bit(people, whole, monkeypatch):
    monkeypatch.setattr(module, "TASK_ROWS", 1)
    monkeypatch.setattr(derive, "BATCH_ROWS", 1)
    retarget(people)
    check(people, whole)


def test_two_processes_give_the_same_bits(people, whole):
    summary = retarget(people, choose_engine("process", 2))
    assert summary.episodes == len(people.episodes)
    check(Dataset.open(people.path), whole)


def test_two_runs_at_once_leave_every_segment_once(people, whole):
    """The other writer finishes while this one is at its first task."""
    other = Dataset.open(people.path)

    def work(done, total=None, note=""):
        if done and len(other.missing_segments(SET)) == len(other.segments):
            retarget(other)

    hands = default_host().spec(TARGET).hands
    retargeters = {hand.side: KeypointRetargeter(hand, iterations=2, rounds=2) for hand in hands}
    retarget_dataset(people, default_host().spec(TARGET), retargeters, PROVIDER, progress=work)
    check(Dataset.open(people.path), whole)
    folders = [file for file in (people.path / "derived" / SET).iterdir() if file.is_dir()]
    assert len(folders) == len(people.segments)  # what came second was removed


@pytest.mark.slow
def test_killed_at_any_call_it_resumes_and_ends_as_if_it_had_never_been(recorded, whole, tmp_path):
    trial = Dataset.open(shutil.copytree(recorded, tmp_path / "trial.zarr"))
    total = calls_of(lambda: retarget(trial))
    killed = 0
    for number, point in enumerate(np.linspace(1, total - 1, 24).astype(int)):
        path = shutil.copytree(recorded, tmp_path / f"{number}.zarr")
        killed += kill_at(lambda path=path: retarget(Dataset.open(path)), int(point))
        _check_part(Dataset.open(path), whole)
        kill_at(lambda path=path: retarget(Dataset.open(path)), total // 3)  # and once more
        retarget(Dataset.open(path))
        check(Dataset.open(path), whole)
        shutil.rmtree(path)
    assert killed >= 20


def _check_part(dataset, whole):
    """What is there is whole; the rest is said to be missing."""
    if SET not in {each.name for each in dataset.declaration.action_sets}:
        return
    missing = dataset.missing_segments(SET)
    for number, episode in enumerate(dataset.episodes):
        if episode.segment not in missing:
            np.testing.assert_array_equal(dataset.rows(number, SET).action, whole[number][0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["process", "ray"])
def test_a_worker_that_is_killed_loses_nothing_and_brings_nothing_twice(people, whole, tmp_path, name, monkeypatch):
    scars = tmp_path / "scars"
    scars.mkdir()
    monkeypatch.setattr(module, "Derive", lambda *given: DeadlyDerive(*given, folder=scars))
    summary = retarget(people, choose_engine(name, 2))
    assert len(list(scars.iterdir())) == 2
    assert summary.episodes == len(people.episodes)
    check(Dataset.open(people.path), whole)


@pytest.mark.slow
def test_the_command_is_killed_with_its_workers_and_resumes(recorded, tmp_path):
    """The whole command in processes of its own, killed after random times; the times change nothing."""
    alone = shutil.copytree(recorded, tmp_path / "alone.zarr")
    words = [sys.executable, "-m", "egoscale_sdk", "retarget", "--to", TARGET, "-q"]
    subprocess.run([*words, str(alone)], check=True, capture_output=True)
    wanted = contents(Dataset.open(alone))
    path, dice = shutil.copytree(recorded, tmp_path / "killed.zarr"), random.Random(1)
    for _ in range(4):
        command = [*words, str(path), "--engine", "process", "--workers", "2"]
        process = subprocess.Popen(command, start_new_session=True)
        time.sleep(dice.uniform(1, 12))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([*words, str(path)], check=True, capture_output=True)
    check(Dataset.open(path), wanted)


@pytest.mark.slow
def test_a_long_clip_is_never_held_whole(tmp_path):
    """An hour more of both hands costs its joints, buffers up to a shard, and the dataset's mapped pages."""
    small, large = (_peak_mb(tmp_path / f"{hours}.zarr", hours) for hours in (1.5, 2.5))
    assert large - small < 220
    assert large < 1500


def _peak_mb(path, hours):
    here = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, "-m", "tests.long_clip"]
    subprocess.run([*words, "build", str(path), str(hours)], check=True, env=here)
    said = subprocess.run([*words, "retarget", str(path)], check=True, env=here, capture_output=True, text=True).stdout
    frames, kilobytes = map(int, said.split())
    assert frames == 2 * int(hours * 108_000)
    return kilobytes / 1024
