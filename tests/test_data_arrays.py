"""Arrays read the same through our reader and through zarr-python, whatever a shard looks like."""

import json
import math
import resource
import shutil

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.data import arrays, stored
from egoscale_sdk.data.arrays import DTYPES, ByteStream, open_group, sentinel, write_array
from egoscale_sdk.data.stored import StoredArray
from egoscale_sdk.errors import DataError


@pytest.fixture(params=["in memory", "mapped"])
def kept(request, monkeypatch):
    """How an array is kept once it is open."""
    if request.param == "mapped":
        monkeypatch.setattr(stored, "SMALL_BYTES", 0)


def both(folder, name, values):
    write_array(open_group(folder, create=True), name, values)
    stored = StoredArray(folder / name)
    np.testing.assert_array_equal(zarr.open_array(folder / name, mode="r")[...], values)
    return stored


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (0, 5), (1,), (256, 2), (257, 3), (700, 2, 3)])
def test_every_dtype_and_length_round_trips(tmp_path, kept, dtype, shape):
    values = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    stored = both(tmp_path, "x", values)
    assert (stored.shape, stored.dtype) == (shape, np.dtype(dtype))
    np.testing.assert_array_equal(stored.read(), values)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_chunk_of_zeros_is_stored_and_the_shard_stays_flat(tmp_path, dtype):
    values = np.zeros((900, 3), dtype)
    both(tmp_path, "x", values)
    assert (tmp_path / "x" / "c" / "0" / "0").stat().st_size >= values.nbytes
    assert not np.isin(sentinel(dtype), values)


def test_rows_across_shards(tmp_path, kept, monkeypatch):
    monkeypatch.setattr(arrays, "SHARD_BYTES", 512 * 8)
    values = np.random.default_rng(0).normal(size=(1300, 2)).astype(np.float32)
    stored = both(tmp_path, "x", values)
    assert len(list((tmp_path / "x" / "c").iterdir())) == 3
    for start, stop in ((0, 1300), (500, 520), (512, 1024), (1299, 1300), (7, 7)):
        np.testing.assert_array_equal(stored.read(start, stop), values[start:stop])
    with pytest.raises(DataError, match=r"rows 0\.\.1301 are not in 0\.\.1300"):
        stored.read(0, 1301)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=30))
def test_a_byte_stream_is_the_concatenation_of_its_pieces(tmp_path_factory, pieces):
    folder = tmp_path_factory.mktemp("stream")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "SHARD_BYTES", 512)
        patch.setattr(arrays, "INNER_BYTES", 128)
        stream = ByteStream(open_group(folder, create=True), "x")
        for piece in pieces:
            stream.append(piece)
        stream.close()
    joined = b"".join(pieces)
    assert stream.length == len(joined)
    assert StoredArray(folder / "x").read().tobytes() == joined
    assert zarr.open_array(folder / "x", mode="r")[...].tobytes() == joined


def foreign(folder, **settings):
    """An array as somebody else's writer might lay it out, with a chunk that is left out."""
    values = np.arange(600, dtype=np.float32).reshape(300, 2)
    values[100:200] = 0
    options = {"chunks": (50, 2), "shards": (300, 2), "fill_value": 0, "compressors": None} | settings
    array = zarr.create_array(folder / "x", shape=(300, 2), dtype="f4", filters=None, **options)
    array[...] = values
    return StoredArray(folder / "x"), values


@pytest.mark.parametrize(
    "settings", [{}, {"shards": None}, {"compressors": "auto"}, {"chunks": (50, 1)}, {"shards": (300, 2)}]
)
def test_a_shard_that_is_not_flat_is_read_through_zarr(tmp_path, kept, settings):
    stored, values = foreign(tmp_path, **settings)
    np.testing.assert_array_equal(stored.read(), values)
    np.testing.assert_array_equal(stored.read(90, 210), values[90:210])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"node_type": "group"}', "[" * 100_000, b"\xff\xfe".decode("latin1")],
)
def test_metadata_that_is_none_is_named(tmp_path, text):
    (tmp_path / "zarr.json").write_text(text)
    with pytest.raises(DataError, match=r"zarr\.json: is not the metadata of an array"):
        StoredArray(tmp_path)


def test_more_arrays_than_a_process_may_have_files_open(tmp_path, monkeypatch):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(stored, "SMALL_BYTES", 0)
    write_array(open_group(tmp_path / "0", create=True), "x", np.arange(5))
    for n in range(1, 600):
        shutil.copytree(tmp_path / "0", tmp_path / str(n))
    resource.setrlimit(resource.RLIMIT_NOFILE, (600, limits[1]))
    try:
        opened = [StoredArray(tmp_path / str(n) / "x") for n in range(600)]
        assert all(array.read().tolist() == [0, 1, 2, 3, 4] for array in opened)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        stored._mapped.cache_clear()


def test_objects_are_neither_written_nor_read(tmp_path):
    with pytest.raises(TypeError, match="dtype object is not stored"):
        write_array(open_group(tmp_path, create=True), "x", np.array([{}]))
    write_array(open_group(tmp_path, create=True), "x", np.zeros(3, np.uint8))
    file = tmp_path / "x" / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"data_type": "fixed_length_utf32"}))
    with pytest.raises(DataError, match="is not the metadata of an array"):
        StoredArray(tmp_path / "x")
