"""Writers that are killed, and many at once: nothing half-written is seen, nothing that was committed is lost."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from egoscale_sdk.data import Dataset, log
from tests.data_kit import camera, episode, robot_declaration

FORK = multiprocessing.get_context("fork")


def made(key, declaration):
    """The episode that a key stands for."""
    return episode(key, declaration, rows=6, seed=int(key.split("-")[1]))


def append_for_ever(path, name, sender):
    """Append a segment of two episodes after the other, and say which were committed."""
    log.SNAPSHOT_EVERY = 5
    dataset = Dataset.open(path)
    number = len(dataset.keys())
    sender.send([])
    while True:
        keys = [f"{name}-{number + n}" for n in range(2)]
        dataset.append([made(key, dataset.declaration) for key in keys])
        number += 2
        sender.send(keys)


def killed_after(path, name, delay_s):
    """Let a writer work for a while (or for one commit), kill it; return what it said was committed, and how long."""
    receiver, sender = FORK.Pipe(duplex=False)
    writer = FORK.Process(target=append_for_ever, args=(path, name, sender))
    writer.start()
    sender.close()
    told = receiver.recv()
    start = time.perf_counter()
    if delay_s is None:
        told += receiver.recv()
    else:
        time.sleep(delay_s)
    took_s = time.perf_counter() - start
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    try:
        while receiver.poll():
            told += receiver.recv()
    except EOFError:
        pass
    return told, took_s


def check(path, told):
    """Every episode is whole, is what its key says, and none that was committed is missing."""
    dataset = Dataset.open(path)
    assert set(told) <= dataset.keys()
    assert len(dataset.keys()) == len(dataset.episodes)
    for ref in dataset.episodes:
        expected = made(ref.key, dataset.declaration)
        np.testing.assert_array_equal(dataset.rows(ref).action, expected.action)
        assert bytes(dataset.jpeg(ref, "head", 2)) == expected.images["head"].jpegs[1]
    for name in dataset.paths:
        dataset.object(name).check_contents()


def kill_writers(path, times):
    Dataset.create(path, robot_declaration(cameras=(camera(height=8, width=8),)))
    told, commit_s = killed_after(path, "first", None)
    for number, share in enumerate(np.random.default_rng(7).uniform(0, 2.5, times).tolist()):
        told += killed_after(path, f"w{number}", share * commit_s)[0]
        assert set(told) <= Dataset.open(path).keys()
        if number % 50 == 49:
            check(path, told)
    check(path, told)
    return told


def test_a_writer_that_is_killed_at_any_moment_hurts_nobody(tmp_path):
    kill_writers(tmp_path / "d.zarr", 12)


@pytest.mark.slow
def test_two_hundred_writers_that_are_killed_hurt_nobody(tmp_path):
    assert len(kill_writers(tmp_path / "d.zarr", 200)) > 2


def append_some(path, name, count):
    for number in range(count):
        dataset = Dataset.open(path)
        dataset.append([made(f"{name}-{number}", dataset.declaration), made(f"all-{number}", dataset.declaration)])


def test_eight_writers_at_once_lose_nothing_and_double_nothing(tmp_path):
    path, count = tmp_path / "d.zarr", 3
    Dataset.create(path, robot_declaration(cameras=(camera(height=8, width=8),)))
    names = [f"w{n}" for n in range(8)]
    writers = [FORK.Process(target=append_some, args=(path, name, count)) for name in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    expected = [f"{name}-{number}" for name in (*names, "all") for number in range(count)]
    assert sorted(ref.key for ref in Dataset.open(path).episodes) == sorted(expected)
    check(path, expected)
