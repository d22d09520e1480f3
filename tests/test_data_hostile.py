"""Whatever happened to its files: a dataset reads as it was written, or is refused in one line."""

import hashlib
import json
import os
import re
import shutil
import uuid

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.data import Dataset, log
from egoscale_sdk.data.images import decode
from egoscale_sdk.errors import DataError, EgoscaleError
from egoscale_sdk.specs import ActionSetSpec, digest
from tests.data_kit import camera, episode, robot_declaration


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A small dataset with a snapshot, two segments, a derived set and images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "SNAPSHOT_EVERY", 2)
        declaration = robot_declaration(cameras=(camera(),))
        dataset = Dataset.create(tmp_path_factory.mktemp("d") / "d.zarr", declaration)
        for n, key in enumerate("ab"):
            dataset.append([episode(f"{key}{m}", declaration, rows=300 if m else 9, seed=n) for m in range(2)])
        spec = ActionSetSpec.model_validate(declaration.native.model_dump() | {"name": "again"})
        path = dataset.segments[0]
        action = dataset.segment(path).read("action")
        dataset.add_action_set(spec, {path: {"action": -action, "valid": np.ones((len(action), 2), np.uint8)}})
    return dataset.path


@pytest.fixture
def path(original, tmp_path):
    return shutil.copytree(original, tmp_path / "d.zarr")


@pytest.fixture(scope="module")
def original_plain(tmp_path_factory):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path_factory.mktemp("d") / "d.zarr", declaration)
    dataset.append([episode(f"a{m}", declaration, rows=300 if m else 9) for m in range(2)])
    return dataset.path


@pytest.fixture
def plain(original_plain, tmp_path):
    return shutil.copytree(original_plain, tmp_path / "d.zarr")


def everything(path):
    """All that a dataset says and holds."""
    dataset = Dataset.open(path)
    found = [dataset.version, dataset.declaration.model_dump_json(), list(dataset.episodes), sorted(dataset.keys())]
    for ref in dataset.episodes:
        sets = ("native", "again") if ref.segment == dataset.segments[0] else ("native",)
        for name in sets:
            rows = dataset.rows(ref, name)
            found += [vars(rows)[field] for field in ("time_ns", "action", "valid", "conf_steps", "map_id")]
        found += [bytes(dataset.jpeg(ref, "head", row) or b"") for row in range(0, ref.length, 7)]
        found += [dataset.image(ref, "head", 3), dataset.language(ref), dataset.calibration(ref, "head")]
    found += [dataset.object(name).read(array) for name in dataset.paths for array in dataset.object(name).names]
    return found


def equal(one, other):
    return len(one) == len(other) and all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in zip(one, other, strict=True)
    )


def refused(read):
    """Whether reading is refused, in one line."""
    try:
        read()
    except EgoscaleError as error:
        message = str(error)
    else:
        return False
    assert "\n" not in message
    assert len(message) < 5000
    return True


def files_of(path):
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def damage(file, how, at, amount):
    data = bytearray(file.read_bytes())
    at = at % max(1, len(data))
    if how == "flip" and data:
        data[at] ^= 1 << amount % 8
    elif how == "truncate":
        del data[at:]
    elif how == "cut out":
        del data[at : at + amount]
    elif how == "insert":
        data[at:at] = b"\0" * amount
    elif how == "overwrite":
        data[at : at + amount] = os.urandom(len(data[at : at + amount]))
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how == "link":
        file.symlink_to("/dev/zero")
    elif how != "delete":
        file.write_bytes(data)


KINDS = ("flip", "truncate", "cut out", "insert", "overwrite", "delete", "folder", "link")


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(KINDS), st.integers(0, 2**20), st.integers(1, 5000))
def test_damage_is_refused_in_one_line_or_changes_nothing(original, data, how, at, amount):
    name = data.draw(st.sampled_from(files_of(original)))
    if how == "delete" and name == "commits/000000000003.json":
        return  # without its last commit a dataset is the version before: test_data_log.py
    path = original.parent / f"{uuid.uuid4().hex}.zarr"
    shutil.copytree(original, path)
    try:
        damage(path / name, how, at, amount)
        found = []
        if not refused(lambda: found.extend(everything(path))):
            assert equal(found, everything(original)), f"{how} {name} at {at}, {amount} bytes: silently other data"
    finally:
        shutil.rmtree(path)


@pytest.mark.slow
def test_the_fuzzing_looks_at_what_is_read(original, path):
    """Flipping a bit of what is read is always refused; what is never read may be anything."""
    unread = []
    for name in files_of(path):
        kept = (path / name).read_bytes()
        damage(path / name, "flip", len(kept) // 3, 1)
        if not refused(lambda: everything(path)):
            unread.append(name)
        (path / name).write_bytes(kept)
    names = {re.sub("[0-9a-f]{32}", "X", name) for name in unread}
    # groups, and what only a version without the snapshot would look at
    rest = {name for name in names if not name.endswith("/zarr.json") and not name.startswith("cache/")}
    rest = {name for name in rest if "/crc32c/" not in name}  # the last of them are sums of nothing
    assert rest <= {"commits/newest-snapshot", "commits/000000000000.json", "commits/000000000001.json", "zarr.json"}


@pytest.mark.parametrize("what", ["folder", "pipe", "link outside", "link to itself"])
def test_a_shard_that_is_no_file_is_refused(path, tmp_path, what):
    file = path / Dataset.open(path).segments[0] / "action/c/0/0"
    kept = file.read_bytes()
    file.unlink()
    if what == "folder":
        file.mkdir()
    elif what == "pipe":
        os.mkfifo(file)
    elif what == "link outside":
        (tmp_path / "outside").write_bytes(kept)
        file.symlink_to(tmp_path / "outside")
    else:
        file.symlink_to(file)
    with pytest.raises(DataError, match="action/c/0/0"):
        everything(path)


def forge(path, change):
    """Change what the first commit says of its segment, as somebody would who knows the format."""
    file = path / "commits" / "000000000001.json"
    value = json.loads(file.read_text())
    change(value["body"]["add"][0])
    value["digest"] = digest(value["body"])
    file.write_text(json.dumps(value))
    return Dataset.open(path)


def forge_array(path, **fields):
    """Change the metadata of an array, and what the commit says of that file."""

    def change(addition):
        file = path / addition["entry"]["path"] / "action" / "zarr.json"
        text = json.dumps(json.loads(file.read_text()) | fields).encode()
        file.write_bytes(text)
        mark = f"sha256:{hashlib.sha256(text).hexdigest()}"
        addition["files"]["action/zarr.json"] = {"size": len(text), "sha256": mark}

    return forge(path, change)


@pytest.mark.parametrize("shape", [[10**15, 12], [2**62, 2**62], [10**9, 12], [309, 10**12]])
def test_a_huge_shape_is_refused_before_memory_is_taken(plain, shape):
    dataset = forge_array(plain, shape=shape)
    with pytest.raises(DataError, match="action"):
        dataset.segment(dataset.segments[0]).array("action").read()


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": [-1, 12]},
        {"shape": ["a"]},
        {"shape": []},
        {"shape": None},
        {"data_type": "float64"},
        {"data_type": ["float32"]},
        {"data_type": {"name": "fixed_length_utf32", "configuration": {"length_bytes": 4}}},
        {"chunk_grid": {}},
        {"chunk_grid": {"configuration": {"chunk_shape": [0, 12]}}},
        {"chunk_grid": {"configuration": {"chunk_shape": [True, 12]}}},
        {"codecs": [{"name": "gzip", "configuration": {"level": 99}}]},
        {"codecs": []},
        {"codecs": 3},
    ],
)
def test_metadata_that_makes_no_sense_is_refused(plain, fields):
    dataset = forge_array(plain, **fields)
    assert refused(lambda: dataset.segment(dataset.segments[0]).array("action").read())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", [0]),
        ("key", ["a0"]),
        ("start", [0, 10**15]),
        ("length", [9, 2**40]),
        ("length", [-9, 300]),
        ("start", [-(2**70), 0]),
        ("texts", []),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(plain, field, value):
    def change(addition):
        addition["table"][field] = value

    assert refused(
        lambda: (forge(plain, change), [Dataset.open(plain).rows(ref) for ref in Dataset.open(plain).episodes])
    )


def test_a_picture_that_would_fill_the_memory_is_not_decoded():
    data = bytearray(simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xdc\xff\xdc"
    with pytest.raises(DataError, match="65500x65500 pixels; at most 8192 a side"):
        decode(bytes(data))


def test_a_shard_that_is_cut_after_it_was_opened_is_noticed_when_it_is_opened_again(path):
    dataset = Dataset.open(path)
    file = path / dataset.segments[0] / "action/c/0/0"
    os.truncate(file, 4096)
    with pytest.raises(DataError, match="has 4096 bytes"):
        dataset.segment(dataset.segments[0]).read("action")


@pytest.mark.parametrize("name", ["action/c/0/0", "cams/head/data/c/0"])
def test_a_shard_that_is_cut_while_it_is_read_is_refused(tmp_path, name):
    """Without a look at the length the system would end the process."""
    declaration = robot_declaration(cameras=(camera(),))
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration, rows=8000)])
    array = dataset.segment(dataset.segments[0]).array(name.rpartition("/c/")[0])
    array.read(0, 10)
    os.truncate(dataset.path / dataset.segments[0] / name, 4096)
    end = len(array)
    for read in (lambda: array.read(end - 10, end), lambda: array.take(np.array([0, end - 1]))):
        with pytest.raises(DataError, match=f"{name}: has 4096 bytes"):
            read()
