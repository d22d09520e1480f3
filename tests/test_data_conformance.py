"""Every array of a written dataset reads the same through zarr-python, tensorstore and our reader."""

import json
import warnings

import numpy as np
import pytest
import zarr

from egoscale_sdk.data import Dataset, arrays, stored
from egoscale_sdk.data.checksums import BLOCK, measure
from egoscale_sdk.specs import ActionSetSpec
from tests.data_kit import camera, episode, human_declaration, robot_declaration

tensorstore = pytest.importorskip("tensorstore")


@pytest.fixture(params=["large shards", "small shards"])
def dataset(request, tmp_path, monkeypatch):
    """Rows of zeros, one-row episodes, a segment without images, a derived set; shards of 64 MiB, or of few chunks."""
    if request.param == "small shards":
        monkeypatch.setattr(arrays, "SHARD_BYTES", 2**13)
        monkeypatch.setattr(arrays, "INNER_BYTES", 2**10)
        monkeypatch.setattr(stored, "SMALL_BYTES", 0)
    declaration = robot_declaration(cameras=(camera(), camera("wrist")))
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    zeros = np.zeros((600, declaration.native.layout.dim), np.float32)
    still = episode("zeros", declaration, rows=600, action=zeros, state=zeros if declaration.has_state else None)
    dataset.append([still, episode("one", declaration, rows=1), episode("last", declaration, rows=301)])
    dataset.append([episode("alone", declaration, rows=1)])
    dataset.append([episode("blind", declaration, rows=20, images={}, language=[], labels={})])
    spec = ActionSetSpec.model_validate(declaration.native.model_dump() | {"name": "again"})
    values = {path: dataset.segment(path).read("action") for path in dataset.segments}
    dataset.add_action_set(
        spec, {path: {"action": rows, "valid": np.zeros((len(rows), 2), np.uint8)} for path, rows in values.items()}
    )
    return Dataset.open(dataset.path)


def through_tensorstore(folder):
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder)}}
    return tensorstore.open(spec, open=True, read=True).result().read().result()


def every_array(dataset):
    for path in dataset.paths:
        yield from ((path, name) for name in (*dataset.object(path).names, "crc32c"))


def test_three_readers_read_the_same_bytes(dataset):
    empty = shards = 0
    for path, name in every_array(dataset):
        ours = dataset.object(path).array(name).read()
        folder = dataset.path / path / name
        for theirs in (zarr.open_array(folder, mode="r")[...], through_tensorstore(folder)):
            assert (theirs.shape, theirs.dtype) == (ours.shape, ours.dtype)
            assert np.asarray(theirs).tobytes() == ours.tobytes(), f"{path}/{name}"
        empty += len(ours) == 0
        shards = max(shards, len(list((folder / "c").iterdir())) if len(ours) else 0)
    assert empty
    assert shards > 3 or stored.SMALL_BYTES


def test_every_array_is_flat_and_recorded_as_it_is(dataset):
    for path, name in every_array(dataset):
        record = dataset.object(path).addition.arrays[name]
        metadata = json.loads((dataset.path / path / name / "zarr.json").read_text())
        assert list(record.shape) == metadata["shape"]
        assert record.dtype == metadata["data_type"]


def test_the_checksums_are_those_of_the_files_in_order(dataset):
    for path in dataset.paths:
        files = sorted(name for name in dataset.object(path).addition.files if not name.startswith("crc32c/"))
        expected = [value for name in files for value in measure(dataset.path / path / name)[2]]
        sums = zarr.open_array(dataset.path / path / "crc32c", mode="r")[...]
        assert sums.tolist() == expected
        size = sum(-(-dataset.object(path).addition.files[name].size // BLOCK) for name in files)
        assert len(sums) == size


def test_the_tree_is_walked_without_a_warning(dataset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        members = dict(zarr.open_group(dataset.path, mode="r").members(max_depth=None))
    assert {f"{path}/{name}" for path, name in every_array(dataset)} <= set(members)


def test_people_too(tmp_path):
    declaration = human_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration, rows=300)])
    for path, name in every_array(dataset):
        ours = dataset.object(path).array(name).read()
        np.testing.assert_array_equal(through_tensorstore(dataset.path / path / name), ours)
