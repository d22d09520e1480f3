"""A dataset on an object store is the dataset that it would be on a disk; what goes wrong there is said in a line."""

import multiprocessing
import os
import pickle
import sys
import threading
import warnings

import numpy as np
import obstore
import pytest
import zarr
from obstore.store import from_url
from zarr.storage import ObjectStore

from benchmarks.range_server import RangeServer
from egoscale_sdk.data import Dataset, log, remote_arrays
from egoscale_sdk.data.remote import RemoteStore
from egoscale_sdk.data.segment import StoredObject
from egoscale_sdk.data.store import StoreError, open_store
from egoscale_sdk.errors import DataError, EgoscaleError, MissingExtraError
from egoscale_sdk.specs import ActionSetSpec
from tests.data_kit import camera, episode, robot_declaration
from tests.remote_kit import bucket, s3_server

__all__ = ["bucket", "s3_server"]


def filled(where, keys="abc"):
    """A dataset with a segment per key, of two episodes each, and a derived action set."""
    declaration = robot_declaration(cameras=(camera(),))
    dataset = Dataset.create(where, declaration)
    for n, key in enumerate(keys):
        dataset.append([episode(f"{key}{m}", declaration, rows=40 + n, seed=2 * n + m) for m in range(2)])
    native = declaration.native
    spec = ActionSetSpec.model_validate(native.model_dump() | {"name": "again", "embodiment": "acme/other@1"})
    values = {path: dataset.segment(path).read("action") for path in dataset.segments}
    dataset.add_action_set(
        spec, {path: {"action": -rows, "valid": np.ones((len(rows), 2), np.uint8)} for path, rows in values.items()}
    )
    return dataset


def same(one, other):
    assert [ref.key for ref in one.episodes] == [ref.key for ref in other.episodes]
    for mine, yours in zip(one.episodes, other.episodes, strict=True):
        assert (mine.labels, mine.start, mine.length) == (yours.labels, yours.start, yours.length)
        for name in ("native", "again"):
            first, second = one.rows(mine, name), other.rows(yours, name)
            for field in ("time_ns", "action", "valid", "conf_steps", "map_id"):
                np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
        assert bytes(one.jpeg(mine, "head", 5)) == bytes(other.jpeg(yours, "head", 5))
        assert one.language(mine) == other.language(yours)
        assert one.calibration(mine, "head") == other.calibration(yours, "head")


def one_line(error):
    assert isinstance(error.value, EgoscaleError)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
    return str(error.value)


def test_a_dataset_on_an_object_store_is_that_on_a_disk(bucket, tmp_path):
    there, here = filled(f"{bucket}/made/d.zarr"), filled(tmp_path / "d.zarr")
    opened = Dataset.open(f"{bucket}/made/d.zarr")
    same(opened, here)
    assert opened.where == there.where == f"{bucket}/made/d.zarr"
    assert opened.name == "d.zarr"
    assert opened.keys() == here.keys()
    assert [Dataset.open(opened.where, version).keys() for version in range(4)] == [
        Dataset.open(here.path, version).keys() for version in range(4)
    ]
    for path in opened.paths:
        opened.object(path).check_contents()
    assert opened.append([episode("d", opened.declaration), episode("a0", opened.declaration)]) == 1
    assert len(Dataset.open(opened.where).episodes) == 7


def test_zarr_python_reads_it_without_a_warning(bucket):
    dataset = filled(f"{bucket}/d.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group = zarr.open_group(ObjectStore(from_url(dataset.where, client_options={"allow_http": True})), mode="r")
        members = dict(group.members(max_depth=None))
    for path in dataset.paths:
        stored = dataset.object(path)
        for name in stored.names:
            np.testing.assert_array_equal(members[f"{path}/{name}"][...], stored.read(name))


def test_what_needs_a_disk_says_so(bucket):
    with pytest.raises(DataError, match="needs a dataset on a disk"):
        _ = filled(f"{bucket}/d.zarr").path


def test_two_writers_lose_no_episode_and_double_none(bucket):
    where = f"{bucket}/d.zarr"
    declaration = Dataset.create(where, robot_declaration()).declaration
    errors = []

    def write(name):
        try:
            for n in range(3):
                for key in (f"{name}{n}", f"both{n}"):
                    Dataset.open(where).append([episode(key, declaration, rows=4)])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("mine", "yours")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    expected = [f"{name}{n}" for name in ("mine", "yours", "both") for n in range(3)]
    assert sorted(ref.key for ref in Dataset.open(where).episodes) == sorted(expected)


def test_a_put_that_was_answered_too_late_is_no_conflict(bucket):
    dataset = filled(f"{bucket}/d.zarr", "a")
    store, state = dataset.store, log.CommitLog(dataset.store).state()
    forgetful = RemoteStore(dataset.where)
    forgetful.create = lambda name, data: store.create(name, data) and False
    assert log.CommitLog(forgetful).publish(state, oldest=1).oldest == 1
    with pytest.raises(log.CommitConflictError):
        log.CommitLog(store).publish(state, oldest=0)


def test_nothing_is_created_over_a_dataset(bucket):
    filled(f"{bucket}/d.zarr", "a")
    with pytest.raises(DataError, match="already exists"):
        Dataset.create(f"{bucket}/d.zarr", robot_declaration())


def test_a_creation_that_was_cut_off_is_completed_by_the_next(bucket):
    dataset = filled(f"{bucket}/d.zarr", "a")
    obstore.delete(from_url(dataset.where, client_options={"allow_http": True}), "zarr.json")
    assert not Dataset.exists(dataset.where)
    with pytest.raises(DataError, match="was created by another writer meanwhile; run it again"):
        Dataset.create(dataset.where, robot_declaration())
    assert Dataset.open(dataset.where).keys() == dataset.keys()


def test_a_hole_in_the_log_is_noticed(bucket):
    dataset = filled(f"{bucket}/d.zarr")
    obstore.delete(from_url(dataset.where, client_options={"allow_http": True}), "commits/000000000002.json")
    with pytest.raises(DataError, match="commit 2 is missing although 4 exists") as error:
        Dataset.open(dataset.where)
    one_line(error)


def test_a_missing_object_is_named(bucket, monkeypatch):
    dataset = filled(f"{bucket}/d.zarr")
    monkeypatch.setattr(remote_arrays, "_kept", remote_arrays._Pieces(2**20))  # what was read is kept
    name = f"{dataset.segments[1]}/action/c/0/0"
    obstore.delete(from_url(dataset.where, client_options={"allow_http": True}), name)
    with pytest.raises(DataError, match=f"{name}: is missing") as error:
        Dataset.open(dataset.where).rows(2)
    one_line(error)


@pytest.mark.parametrize("where", ["{}/none.zarr", "s3://no-such-bucket-here/d.zarr"])
def test_where_there_is_nothing(bucket, where):
    with pytest.raises(DataError, match="there is no dataset") as error:
        Dataset.open(where.format(bucket))
    one_line(error)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("ftp://host/d.zarr", "unknown scheme 'ftp'; allowed: a path, s3://"),
        ("s3://bucket", "is not the address of a dataset"),
        ("s3:///d.zarr", "is not the address of a dataset"),
        ("https://user:word@host/d.zarr", "https://host/d.zarr: an address holds no credentials"),
        ("https://host/d.zarr?token=word", "https://host/d.zarr: an address holds no credentials and no query"),
    ],
)
def test_an_address_that_is_none(where, message):
    with pytest.raises(DataError, match=message) as error:
        Dataset.open(where)
    assert "word" not in one_line(error)


def test_a_store_that_does_not_answer(monkeypatch):
    monkeypatch.setenv("EGOSCALE_REQUEST_RETRIES", "0")
    with pytest.raises(StoreError, match="cannot be reached") as error:
        Dataset.open("http://127.0.0.1:9/d.zarr")
    one_line(error)


def test_a_store_that_refuses(tmp_path):
    filled(tmp_path / "d.zarr", "a")
    with RangeServer(tmp_path, fault=lambda name, count: "deny") as server:
        with pytest.raises(StoreError, match="access is denied") as error:
            Dataset.open(f"{server.url}/d.zarr")
        one_line(error)


def test_a_web_server_is_only_read_from(tmp_path):
    dataset = filled(tmp_path / "d.zarr", "a")
    with RangeServer(tmp_path) as server:
        there = Dataset.open(f"{server.url}/d.zarr")
        same(there, dataset)
        for write in (
            lambda: there.append([episode("b", there.declaration)]),
            lambda: Dataset.create(f"{server.url}/new.zarr", there.declaration),
        ):
            with pytest.raises(StoreError, match="a web server is only read from") as error:
                write()
            one_line(error)


def test_a_hole_in_the_log_of_a_web_server_is_noticed(tmp_path):
    dataset = filled(tmp_path / "d.zarr")
    (dataset.path / "commits" / "000000000002.json").unlink()
    with RangeServer(tmp_path) as server, pytest.raises(DataError, match="commit 2 is missing although 4 exists"):
        Dataset.open(f"{server.url}/d.zarr")


def test_a_segment_is_opened_in_two_round_trips(tmp_path):
    dataset = filled(tmp_path / "d.zarr", "a")
    with RangeServer(tmp_path) as server:
        there = Dataset.open(f"{server.url}/d.zarr")
        before = there.store.requests
        segment = there.segment(there.segments[0])
        assert there.store.requests == before + 1, "the commit record"
        np.testing.assert_array_equal(segment.read("action"), dataset.segment(segment.path).read("action"))
        assert there.store.requests == before + 3, "rows and their checksums"


def test_a_huge_shape_is_refused_before_anything_is_fetched(tmp_path):
    dataset = filled(tmp_path / "d.zarr", "a")
    path = dataset.segments[0]
    addition = dataset.object(path).addition
    with RangeServer(tmp_path) as server:
        store = open_store(f"{server.url}/d.zarr")
        for shape in ((10**15, 12), (10**9, 10**9)):
            record = addition.arrays["action"].model_copy(update={"shape": shape})
            forged = addition.model_copy(update={"arrays": addition.arrays | {"action": record}})
            with pytest.raises(DataError, match="action"):
                StoredObject(store, forged).array("action").read()
        assert store.requests == 0


def test_without_the_extra_there_is_a_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'egoscale-sdk\[remote\]'"):
        Dataset.open("s3://bucket/d.zarr")


def upload_log(dataset, where):
    """Upload what is needed to open a dataset and to list its episodes: no segment."""
    store = open_store(where)
    for file in (dataset.path / "zarr.json", *(dataset.path / "commits").iterdir()):
        if file.is_file():
            store.replace(str(file.relative_to(dataset.path)), file.read_bytes())


def test_a_snapshot_makes_opening_cost_few_requests(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(log, "SNAPSHOT_EVERY", 2)
    declaration = robot_declaration()
    local = Dataset.create(tmp_path / "d.zarr", declaration)
    for number in range(25):
        local.append([episode(f"e{number}", declaration, rows=2)])
    upload_log(local, f"{bucket}/d.zarr")
    with RangeServer(tmp_path) as server:
        for where in (f"{bucket}/d.zarr", f"{server.url}/d.zarr"):
            dataset = Dataset.open(where)
            assert [ref.key for ref in dataset.episodes] == [f"e{n}" for n in range(25)]
            assert dataset.store.requests < 18, "the root, the log's end, a snapshot, three chunks of tables"
            for version in (0, 1, 9, 24):
                assert len(Dataset.open(where, version).episodes) == version


def read_sum(dataset):
    return float(sum(dataset.rows(ref).action.sum() for ref in dataset.episodes))


def in_child(method, work, *args):
    context = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(sender, *args))
    child.start()
    answer = receiver.recv() if receiver.poll(60) else None
    child.join(60)
    return answer


def say_sum(sender, dataset):
    try:
        sender.send(read_sum(dataset))
    except DataError as error:
        sender.send(str(error))


@pytest.mark.slow
def test_a_spawned_process_opens_its_own_client(bucket):
    dataset = filled(f"{bucket}/d.zarr")
    assert in_child("spawn", say_sum, dataset) == read_sum(dataset)
    assert read_sum(pickle.loads(pickle.dumps(dataset))) == read_sum(dataset)


def test_a_process_that_is_forked_from_a_reader_is_told_what_to_do_and_does_not_hang(bucket):
    dataset = filled(f"{bucket}/d.zarr")
    answer = in_child("fork", say_sum, dataset)
    assert "was forked from one that used an object store" in answer
    assert "'spawn'" in answer


def fork_and_read(sender, where):
    """In a new process: fork before anything is read, and read in both."""
    store = open_store(where)
    answers = [in_child("fork", say_sum_of, store.where), read_sum(Dataset.open(where)), os.getpid()]
    sender.send(answers)


def say_sum_of(sender, where):
    say_sum(sender, Dataset.open(where))


@pytest.mark.slow
def test_a_process_that_is_forked_before_anything_is_read_reads(bucket):
    dataset = filled(f"{bucket}/d.zarr")
    forked, parent, pid = in_child("spawn", fork_and_read, dataset.where)
    assert forked == parent == read_sum(dataset)
    assert pid != os.getpid()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_dataset_on_a_disk_is_read_by_any_process(tmp_path, method):
    dataset = filled(tmp_path / "d.zarr")
    assert in_child(method, say_sum, dataset) == read_sum(dataset)
