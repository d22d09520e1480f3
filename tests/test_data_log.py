"""The log keeps its promises: nothing half-written is seen, nothing committed is lost, no change goes unnoticed."""

import json
import multiprocessing
import os
import shutil

import numpy as np
import pytest

from egoscale_sdk.data import Dataset, log
from egoscale_sdk.data.writer import SegmentWriter
from egoscale_sdk.errors import DataError, DeclarationError, EgoscaleError
from egoscale_sdk.specs import digest
from tests.data_kit import camera, episode, robot_declaration


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    declaration = robot_declaration(cameras=(camera(),))
    dataset = Dataset.create(tmp_path_factory.mktemp("d") / "d.zarr", declaration)
    for n, key in enumerate("abcd"):
        dataset.append([episode(key, declaration, seed=n)])
    return dataset.path


@pytest.fixture
def path(original, tmp_path):
    return shutil.copytree(original, tmp_path / "d.zarr")


def read_everything(path):
    dataset = Dataset.open(path)
    captions = [dataset.language(ref)[0].text for ref in dataset.episodes]
    assert set(captions) == {"pick the cube"}
    return [dataset.rows(ref).action.sum() + len(dataset.jpeg(ref, "head", 3)) for ref in dataset.episodes]


def commit_file(path, seq):
    return path / "commits" / f"{seq:012d}.json"


def rewrite_commit(path, seq, change):
    """Change a record as a careful forger would: the digest is made to fit."""
    value = json.loads(commit_file(path, seq).read_text())
    change(value["body"])
    value["digest"] = digest(value["body"])
    commit_file(path, seq).write_text(json.dumps(value))


def one_line(error):
    assert isinstance(error.value, EgoscaleError)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_commit_is_noticed(path):
    commit_file(path, 2).unlink()
    with pytest.raises(DataError, match="commit 2 is missing although 4 exists") as error:
        Dataset.open(path)
    one_line(error)


def test_a_lost_last_commit_is_an_earlier_version_not_an_error(path):
    commit_file(path, 4).unlink()
    assert Dataset.open(path).keys() == set("abc")


@pytest.mark.parametrize("seq", [0, 1, 2, 4])
def test_a_changed_commit_is_noticed(path, seq):
    file = commit_file(path, seq)
    file.write_text(file.read_text().replace('"format":1', '"format":1,"note":"x"', 1))
    with pytest.raises(DataError, match=rf"{seq:012d}\.json: was changed after it was committed"):
        Dataset.open(path)


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_a_forged_commit_breaks_the_chain(path, seq):
    rewrite_commit(path, seq, lambda body: body.update(remove=["segments/" + "0" * 32]))
    with pytest.raises(DataError, match="does not follow the commit before it"):
        Dataset.open(path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", "[" * 100_000, '{"body": {}, "digest": 3}'])
def test_a_record_that_is_none_is_named(path, text):
    commit_file(path, 4).write_text(text)
    with pytest.raises(DataError, match=r"000000000004\.json") as error:
        Dataset.open(path)
    assert len(one_line(error)) < 2000


@pytest.mark.parametrize(
    "name", ["../../secret", "segments/../../x", "/etc", "segments/" + "g" * 32, "segments", "derived/../" + "0" * 32]
)
def test_an_object_outside_the_dataset_is_refused(path, name):
    rewrite_commit(path, 4, lambda body: body["add"][0]["entry"].update(path=name))
    with pytest.raises(DataError, match=r"000000000004\.json:add\.0\.entry\.path"):
        Dataset.open(path)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a//b", ".hidden", "a\\b", "", "a\nb"])
def test_a_file_outside_its_object_is_refused(path, name):
    def climb(body):
        body["add"][0]["files"][name] = {"size": 1, "sha256": "sha256:" + "0" * 64}

    rewrite_commit(path, 4, climb)
    with pytest.raises(DataError, match=r"000000000004\.json:add\.0\.files"):
        Dataset.open(path)


@pytest.mark.parametrize("name", ["action/c/0/0", "cams/head/data/c/0", "time/zarr.json", "strings/data/c/0"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "longer"])
def test_a_damaged_file_is_named(path, name, damage):
    file = path / Dataset.open(path).segments[2] / name
    data = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(data[:-1] if damage == "truncated" else data + b"x")
    with pytest.raises(DataError, match=name) as error:
        read_everything(path)
    assert "restore it" in one_line(error)


def test_changed_metadata_of_an_array_is_noticed_when_it_is_opened(path):
    file = path / Dataset.open(path).segments[0] / "action" / "zarr.json"
    text = file.read_text()
    file.write_text(text.replace("float32", "float64", 1))
    with pytest.raises(DataError, match="was changed after it was committed"):
        read_everything(path)


def test_a_flipped_bit_is_found_by_reading_everything(path):
    stored = Dataset.open(path).object(Dataset.open(path).segments[1])
    file = stored.folder / "action/c/0/0"
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match="action/c/0/0: was changed"):
        Dataset.open(path).object(stored.path).check_contents()


def edit_attributes(path, change):
    file = path / "zarr.json"
    value = json.loads(file.read_text())
    change(value["attributes"])
    file.write_text(json.dumps(value))


def test_an_edited_declaration_is_refused(path):
    edit_attributes(path, lambda attributes: attributes["egoscale"].update(fps=60.0))
    with pytest.raises(DeclarationError, match="edited by hand") as error:
        Dataset.open(path)
    one_line(error)


def test_a_newer_declaration_says_to_upgrade(path):
    edit_attributes(path, lambda attributes: attributes["egoscale"].update(format=2, colour="blue"))
    with pytest.raises(DeclarationError, match=r"format 2; this SDK reads up to 1.*pip install --upgrade egoscale-sdk"):
        Dataset.open(path)


def test_a_newer_log_says_to_upgrade(path):
    rewrite_commit(path, 4, lambda body: body.update(format=2, novelty=[]))
    with pytest.raises(DataError, match=r"log format 2.*pip install --upgrade egoscale-sdk"):
        Dataset.open(path)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "declares no embodiment"),
        ({"egoscale": 7}, "declares no embodiment"),
        ({"egoscale": {"format": 1}}, "egoscale:uid: Field required"),
    ],
)
def test_a_zarr_group_of_somebody_else_is_no_dataset(path, attributes, message):
    (path / "zarr.json").write_text(json.dumps({"node_type": "group", "attributes": attributes}))
    with pytest.raises(DeclarationError, match=message):
        Dataset.open(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"attributes": 3}', "[" * 100_000])
def test_metadata_of_the_root_that_is_none_is_named(path, text):
    (path / "zarr.json").write_text(text)
    with pytest.raises(DataError, match="is not the metadata of a Zarr group"):
        Dataset.open(path)


def test_nothing_and_a_file_are_no_dataset(tmp_path):
    with pytest.raises(DataError, match="there is no dataset"):
        Dataset.open(tmp_path / "none.zarr")
    (tmp_path / "file").write_text("hello")
    with pytest.raises(DataError):
        Dataset.open(tmp_path / "file")


def test_a_dataset_without_its_log_is_refused(path):
    shutil.rmtree(path / "commits")
    with pytest.raises(DataError, match="no commit log"):
        Dataset.open(path)


def in_child(work, *args):
    child = multiprocessing.get_context("fork").Process(target=work, args=args)
    child.start()
    child.join(60)
    return child.exitcode


def die_before_commit(path, stage):
    declaration = Dataset.open(path).declaration
    writer = SegmentWriter(path, declaration)
    writer.add(episode("lost", declaration))
    if stage == "moved":
        writer.finish()
    os._exit(9)


@pytest.mark.parametrize("stage", ["staged", "moved"])
def test_a_writer_that_dies_before_its_commit_leaves_nothing_visible(path, stage):
    before = read_everything(path)
    assert in_child(die_before_commit, path, stage) == 9
    assert read_everything(path) == before
    dataset = Dataset.open(path)
    dataset.append([episode("next", dataset.declaration)])
    assert Dataset.open(path).keys() == {*"abcd", "next"}


def append_each(path, keys):
    for key in keys:
        Dataset.open(path).append([episode(key, Dataset.open(path).declaration, rows=5)])


def test_two_writers_lose_no_episode_and_double_none(path):
    mine = [f"mine{n}" for n in range(6)]
    yours = [f"yours{n}" for n in range(6)]
    shared_keys = [f"both{n}" for n in range(6)]
    interleaved = [[key for pair in zip(own, shared_keys, strict=True) for key in pair] for own in (mine, yours)]
    children = [multiprocessing.get_context("fork").Process(target=append_each, args=(path, i)) for i in interleaved]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    keys = [ref.key for ref in Dataset.open(path).episodes]
    assert sorted(keys) == sorted([*"abcd", *mine, *yours, *shared_keys])
    read_everything(path)


def test_an_episode_that_another_writer_brought_meanwhile_is_hidden(path):
    dataset = Dataset.open(path)
    declaration = dataset.declaration

    def episodes():
        yield episode("first", declaration)
        Dataset.open(path).append([episode("first", declaration, seed=5)])  # the other writer wins
        yield episode("second", declaration)

    assert dataset.append(episodes()) == 1
    assert [ref.key for ref in Dataset.open(path).episodes] == [*"abcd", "first", "second"]
    theirs = episode("first", declaration, seed=5)
    np.testing.assert_array_equal(Dataset.open(path).rows(4).action, theirs.action)
    assert dataset.append([episode("second", declaration)]) == 0


def test_a_snapshot_replaces_the_records_before_it(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "SNAPSHOT_EVERY", 3)
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    for key in "abcdefg":
        dataset.append([episode(key, declaration, rows=3)])
    snapshots = sorted(file.name for file in (dataset.path / "commits").glob("snapshot-*"))
    assert snapshots == ["snapshot-000000000003.json", "snapshot-000000000006.json"]
    opened = [Dataset.open(dataset.path, version) for version in range(8)]
    assert ["".join(ref.key for ref in item.episodes) for item in opened] == ["abcdefg"[:n] for n in range(8)]

    commit_file(dataset.path, 1).write_text("not looked at to open")
    assert len(Dataset.open(dataset.path).declaration.action_sets) == 1
    (dataset.path / "commits" / snapshots[1]).write_text("{}")
    with pytest.raises(DataError, match="snapshot-000000000006"):
        Dataset.open(dataset.path)


def test_a_snapshot_of_another_dataset_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "SNAPSHOT_EVERY", 1)
    paths = []
    for name in "xy":
        declaration = robot_declaration()
        dataset = Dataset.create(tmp_path / f"{name}.zarr", declaration)
        dataset.append([episode(name, declaration, rows=3)])
        paths.append(dataset.path)
    snapshot = "commits/snapshot-000000000001.json"
    shutil.copy(paths[0] / snapshot, paths[1] / snapshot)
    with pytest.raises(DataError, match="does not belong to this log; delete it: it only makes"):
        Dataset.open(paths[1])
