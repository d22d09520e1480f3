"""Blocks from afar hold what is on the disk; a bad network is tried again, damage is named and set aside."""

import pickle
import shutil

import numpy as np
import pytest

from benchmarks.range_server import RangeServer
from egoscale_sdk.data import Dataset, remote_arrays, stored
from egoscale_sdk.data.blocks import BlockReader, Span
from egoscale_sdk.data.store import StoreError
from egoscale_sdk.errors import DataError
from tests.data_kit import camera, episode, robot_declaration


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    declaration = robot_declaration(cameras=(camera(), camera("wrist")))
    dataset = Dataset.create(tmp_path_factory.mktemp("d") / "d.zarr", declaration)
    for n in range(3):
        long = episode(f"long{n}", declaration, rows=700, seed=n)
        images = dict(long.images) | {"wrist": None} if n == 1 else long.images
        dataset.append([episode(f"short{n}", declaration, rows=30, seed=n + 9), vary(long, images)])
    return dataset


def vary(item, images):
    from dataclasses import replace

    return replace(item, images={name: stream for name, stream in images.items() if stream is not None})


@pytest.fixture
def copy(made, tmp_path):
    return Dataset.open(shutil.copytree(made.path, tmp_path / "d.zarr"))


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("EGOSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EGOSCALE_REQUEST_DEADLINE_S", "20")


def check(block, dataset, span, images):
    """Compare a block with what a local segment holds."""
    segment = dataset.segment(span.segment)
    rows = np.arange(span.start, span.stop)
    for name in ("time", "map_id", "action", "valid"):
        np.testing.assert_array_equal(block.take(name, rows), segment.array(name).read(span.start, span.stop))
    for name in ("head", "wrist"):
        found = [None if data is None else bytes(data) for data in block.jpegs(name, np.arange(*images))]
        assert found == [segment.jpeg(name, row) for row in range(*images)]


SPANS = [((0, 730), (0, 730)), ((0, 1), (0, 1)), ((200, 460), (210, 440)), ((729, 730), (729, 730)), ((5, 40), (9, 9))]


@pytest.mark.parametrize(("rows", "images"), SPANS)
def test_a_block_holds_what_the_disk_holds(made, rows, images):
    with RangeServer(made.path.parent) as server:
        for dataset in (made, Dataset.open(f"{server.url}/d.zarr")):
            with BlockReader(dataset) as reader:
                for path in made.segments:
                    span = Span(path, *rows)
                    check(reader.fetch(span, images).result(), made, span, images)
                assert dict(reader.quarantine) == {}


def test_many_blocks_in_flight_cost_few_requests(made, monkeypatch):
    monkeypatch.setattr(remote_arrays, "SMALL_BYTES", 0)
    with RangeServer(made.path.parent, latency_s=0.002) as server:
        dataset = Dataset.open(f"{server.url}/d.zarr")
        before = server.served()["gets"]
        spans = [Span(path, start, start + 128) for path in made.segments for start in (0, 128, 256, 384, 512)]
        with BlockReader(dataset, in_flight=4) as reader:
            futures = [reader.fetch(span) for span in spans]
            for span, future in zip(spans, futures, strict=True):
                check(future.result(), made, span, (span.start, span.stop))
        served = server.served()
    frames = 128 * len(spans)
    assert served["gets"] - before <= 0.1 * frames
    narrow = [count for name, count in served["names"].items() if "/offsets/" in name or "/row/" in name]
    assert set(narrow) == {1}, "narrow arrays are fetched once"
    wide = [count for name, count in served["names"].items() if "/head/data/" in name or "/action/" in name]
    assert set(wide) == {5}, "one request a block"


def test_an_array_is_taken_from_far_as_from_near(made):
    with RangeServer(made.path.parent) as server:
        segment = Dataset.open(f"{server.url}/d.zarr").segment(made.segments[0])
        rows = np.array([[3, 700], [5, 5], [729, 0]])
        for name in ("action", "time"):
            near = made.segment(made.segments[0]).array(name)
            np.testing.assert_array_equal(segment.array(name).take(rows), near.take(rows))
            np.testing.assert_array_equal(near.take(rows), near.read()[rows])
            for far in (near, segment.array(name)):
                with pytest.raises(DataError, match="are not in"):
                    far.take(np.array([730]))


@pytest.mark.parametrize("fault", ["error", "cut", "flip"])
def test_a_fault_that_passes_is_not_noticed(made, fault):
    def once(name, count):
        return fault if "/c/" in name and count == 1 else None

    with RangeServer(made.path.parent, fault=once) as server:
        span = Span(made.segments[0], 100, 300)
        with BlockReader(Dataset.open(f"{server.url}/d.zarr")) as reader:
            check(reader.read(span), made, span, (100, 300))


@pytest.mark.parametrize("fault", ["error", "hang"])
def test_a_store_that_stays_away_is_an_error_and_no_damage(made, fault, monkeypatch):
    monkeypatch.setenv("EGOSCALE_REQUEST_DEADLINE_S", "0.3")
    monkeypatch.setenv("EGOSCALE_REQUEST_RETRIES", "1")

    def always(name, count):
        return fault if "/action/" in name else None

    with RangeServer(made.path.parent, fault=always) as server:
        reader = BlockReader(Dataset.open(f"{server.url}/d.zarr"), on_damage="skip")
        with reader, pytest.raises(StoreError, match=r"action/c/0/0: cannot be reached") as error:
            reader.read(Span(made.segments[0], 0, 10))
        assert "\n" not in str(error.value)
        assert dict(reader.quarantine) == {}


def flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 4
    file.write_bytes(data)


@pytest.mark.parametrize("name", ["cams/head/data/c/0", "action/c/0/0"])
def test_a_flipped_bit_is_named_and_its_segment_set_aside(copy, name):
    flip(copy.path / copy.segments[1] / name, 5000)
    with RangeServer(copy.path.parent) as server:
        for where in (copy.where, f"{server.url}/d.zarr"):
            whole = [Span(path, 0, 730) for path in copy.segments]
            with BlockReader(Dataset.open(where)) as reader:
                with pytest.raises(DataError, match=f"{copy.segments[1]}/{name}: was changed .* 4096 bytes from 4096"):
                    reader.fetch(whole[1]).result()
                with pytest.raises(DataError, match="was changed"):
                    reader.read(Span(copy.segments[1], 0, 1))
            with BlockReader(Dataset.open(where), on_damage="skip") as reader:
                blocks = [future.result() for future in [reader.fetch(span) for span in whole]]
                assert [block is None for block in blocks] == [False, True, False]
                assert list(reader.quarantine) == [copy.segments[1]]
                check(blocks[2], copy, whole[2], (0, 730))


def test_what_was_verified_is_not_verified_again(copy, monkeypatch):
    monkeypatch.setattr(stored, "SMALL_BYTES", 0)
    array = copy.segment(copy.segments[0]).array("action")
    rows = array.read(0, 10)
    calls = []
    monkeypatch.setattr(stored, "first_difference", lambda *parts: calls.append(parts))
    np.testing.assert_array_equal(array.read(0, 10), rows)
    assert calls == []
    array.read(400, 410)
    assert len(calls) == 1


def test_a_reader_may_be_sent_to_another_process(made):
    with BlockReader(made) as reader:
        reader.read(Span(made.segments[0], 0, 10))
        other = pickle.loads(pickle.dumps(reader))
    with other:
        check(other.fetch(Span(made.segments[0], 0, 10)).result(), made, Span(made.segments[0], 0, 10), (0, 10))


def test_what_a_reader_does_not_know(made):
    with pytest.raises(DataError, match="on_damage: is 'ignore'; allowed: raise, skip"):
        BlockReader(made, on_damage="ignore")
    block = BlockReader(made).read(Span(made.segments[0], 10, 20))
    assert block.nbytes > 1000
    for ask in (lambda: block.take("action", np.array([9])), lambda: block.jpegs("head", np.array([20]))):
        with pytest.raises(IndexError, match=r"not in 10\.\.20"):
            ask()
