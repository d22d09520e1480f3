"""Loading from an object store: the same batches as from a disk, few requests, damage set aside."""

import dataclasses
import shutil
from itertools import islice

import numpy as np
import pytest

from benchmarks.range_server import RangeServer
from egoscale_sdk.data import Blocks, Dataset, Loader, Mixture, WindowDataset
from egoscale_sdk.data.blocks import BlockReader
from egoscale_sdk.data.store import StoreError
from egoscale_sdk.errors import DataError
from tests.data_kit import camera, episode, human_declaration, robot_declaration
from tests.test_data_loader import printed

BLOCKS = Blocks(64, 256, 2)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("EGOSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EGOSCALE_REQUEST_DEADLINE_S", "20")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A robot in two segments, with two cameras of which one is missing at times, and people in a third dataset."""
    folder = tmp_path_factory.mktemp("d")
    robot = robot_declaration(cameras=(camera(), camera("wrist", 16, 16)))
    dataset = Dataset.create(folder / "robot.zarr", robot)
    for n in range(2):
        blind = episode(f"blind{n}", robot, rows=150, seed=n)
        blind = dataclasses.replace(blind, images={"head": blind.images["head"]})
        dataset.append([episode(f"seeing{n}", robot, rows=250, seed=n + 5), blind])
    people = human_declaration()
    dataset = Dataset.create(folder / "people.zarr", people)
    dataset.append([episode(f"person{n}", people, rows=90, seed=n) for n in range(3)])
    return folder


def mixture(where, blocks=BLOCKS, **options):
    robot = WindowDataset(Dataset.open(f"{where}/robot.zarr"), 4, 0.05, **options)
    people = WindowDataset(Dataset.open(f"{where}/people.zarr"), 4, 0.05)
    return Mixture([(robot, 3), (people, 1)], 16, 7, blocks)


@pytest.mark.parametrize("options", [{}, {"offsets_s": (-0.5, 0.0)}, {"episodes": [3, 0, 2], "stride": 3}])
def test_batches_from_afar_are_those_of_the_disk(folder, options):
    near = [printed(step) for step in islice(iter(Loader(mixture(folder, **options))), 70)]  # more than an epoch
    with RangeServer(folder) as server:
        mixed = mixture(server.url, **options)
        far = [printed(step) for step in islice(iter(Loader(mixed, threads=3)), 70)]
        middle = [printed(step) for step in islice(iter(Loader(mixed, start=33)), 20)]
    assert far == near
    assert middle == near[33:53]


def test_processes_share_an_object_store_and_read_no_block_twice(folder, monkeypatch):
    near = [sorted(t for _, batch in step for t in batch.time_ns.tolist()) for step in Loader(mixture(folder), stop=40)]
    fetched = [[], []]
    fetch = BlockReader.fetch
    with RangeServer(folder) as server:
        steps = [[] for _ in range(40)]
        for rank in range(2):
            monkeypatch.setattr(
                BlockReader, "fetch", lambda *args, own=fetched[rank]: own.append(args[1]) or fetch(*args)
            )
            for step, batches in enumerate(Loader(mixture(server.url), rank=rank, ranks=2, stop=40)):
                steps[step] += [t for _, batch in batches for t in batch.time_ns.tolist()]
    assert [sorted(step) for step in steps] == near
    assert all(len(set(own)) == len(own) > 4 for own in fetched)
    assert len(set(fetched[0]) & set(fetched[1])) <= 2, "but for the few windows at an epoch's end"


def test_an_epoch_costs_few_requests(folder):
    with RangeServer(folder) as server:
        windows = WindowDataset(Dataset.open(f"{server.url}/robot.zarr"), 4, 0.05)
        before = server.served()["gets"]
        list(Loader(Mixture([(windows, 1)], 32, 0, Blocks(256, 1024, 1)), stop=len(windows) // 32))
        gets = server.served()["gets"] - before
    assert gets / len(windows) < 0.1


def test_blocks_that_are_used_up_are_let_go(folder):
    from egoscale_sdk.data import fetching

    held = []
    foresee = fetching.BlockFeed.foresee

    def watch(feed, *args, **kwargs):
        foresee(feed, *args, **kwargs)
        held.append(len(feed._held))

    with RangeServer(folder) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching.BlockFeed, "foresee", watch)
        windows = WindowDataset(Dataset.open(f"{server.url}/robot.zarr"), 4, 0.05)
        list(Loader(Mixture([(windows, 1)], 16, 0, Blocks(16, 64, 1)), stop=120))
    assert max(held) <= 16, (
        "the buffers that the steps in work and the foreseen ones draw from; 50 blocks make an epoch"
    )


def test_an_object_store_is_read_in_blocks_unless_told_otherwise(folder):
    with RangeServer(folder) as server:
        assert mixture(server.url, blocks=None).blocks == Blocks()
    assert mixture(folder, blocks=None).blocks == Blocks(block=1)


def test_rows_faster_than_declared_are_read_all_the_same(tmp_path):
    declaration = robot_declaration()
    sources = [episode("a", declaration, rows=300, time_ns=10**9 + np.arange(300, dtype=np.int64) * 4_000_000)]
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append(sources)
    with RangeServer(tmp_path) as server:
        steps = []
        for where in (tmp_path, server.url):
            windows = WindowDataset(Dataset.open(f"{where}/d.zarr"), 8, 0.05)
            steps.append([printed(s) for s in Loader(Mixture([(windows, 1)], 8, 0, Blocks(16, 64, 1)), stop=10)])
    assert steps[0] == steps[1]


# --- damage ----------------------------------------------------------------------------------------------------------


def damaged(folder, tmp_path, name):
    """Flip a bit in the middle of a file of the robot's first segment."""
    shutil.copytree(folder, tmp_path / "copy")
    segment = Dataset.open(tmp_path / "copy" / "robot.zarr").segments[0]
    file = tmp_path / "copy" / "robot.zarr" / segment / name
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 4
    file.write_bytes(data)
    return tmp_path / "copy", segment


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("name", ["cams/head/data/c/0", "action/c/0/0"])
def test_a_flipped_bit_is_named_or_its_segment_is_set_aside(folder, tmp_path, far, name):
    copy, segment = damaged(folder, tmp_path, name)
    with RangeServer(copy) as server:
        where = server.url if far else copy
        with pytest.raises(DataError) as error:
            list(Loader(mixture(where), stop=60))
        assert segment in str(error.value)
        assert "\n" not in str(error.value)
        loader = Loader(mixture(where), stop=60, on_damage="skip")
        steps = list(loader)
    ((place, found),) = loader.quarantine.items()
    assert place.endswith(segment)
    assert name.rpartition("/c/")[0] in str(found)
    windows = sum(len(batch) for step in steps for _, batch in step)
    assert 60 * 16 / 4 < windows < 60 * 16
    assert all(len(step) for step in steps)


def test_a_store_that_does_not_answer_is_no_damage(folder, monkeypatch):
    monkeypatch.setenv("EGOSCALE_REQUEST_DEADLINE_S", "1")
    monkeypatch.setenv("EGOSCALE_REQUEST_RETRIES", "0")
    down = []
    with RangeServer(folder, fault=lambda name, times: "error" if down else None) as server:
        loader = Loader(mixture(server.url), stop=200, on_damage="skip", threads=1, ahead=0)
        down.append(True)  # the index is read, no block is yet
        with pytest.raises(StoreError):
            list(loader)
    assert not loader.quarantine


def test_nothing_left_is_an_error(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration, rows=400)])
    file = tmp_path / "d.zarr" / dataset.segments[0] / "action" / "c" / "0" / "0"
    windows = WindowDataset(Dataset.open(tmp_path / "d.zarr"), 4, 0.05)
    data = bytearray(file.read_bytes())
    data[::1000] = bytes(len(data[::1000]))
    file.write_bytes(data)
    with pytest.raises(DataError, match="every window of a step, and those after it"):
        list(Loader(Mixture([(windows, 1)], 8, 0), stop=2, on_damage="skip"))


@pytest.mark.parametrize("far", [False, True])
def test_a_step_of_which_nothing_is_left_takes_the_next_windows(folder, tmp_path, far):
    """However small the share of a process in a step is, damage elsewhere does not end its training."""
    copy, segment = damaged(folder, tmp_path, "action/c/0/0")
    with RangeServer(copy) as server:
        where = server.url if far else copy
        windows = WindowDataset(Dataset.open(f"{where}/robot.zarr"), 4, 0.05)
        loader = Loader(Mixture([(windows, 1)], 1, 0, Blocks(16, 64, 1)), stop=100, on_damage="skip", images=False)
        steps = list(loader)
    assert len(steps) == 100
    assert all(len(batch) == 1 for step in steps for _, batch in step)
    (place,) = loader.quarantine
    assert place.endswith(segment)
