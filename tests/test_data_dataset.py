"""A dataset gives back what was written to it: through our reader and through zarr-python."""

import dataclasses
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.data import Dataset, declare
from egoscale_sdk.data.declare import parse_declaration
from egoscale_sdk.data.tables import EpisodeEntry, Texts, episode_arrays, pack_texts, read_episodes, unpack_texts
from egoscale_sdk.data.writer import IMAGE_MAX_AGE_NS, images_of_rows
from egoscale_sdk.errors import DataError, DeclarationError
from egoscale_sdk.interfaces import ImageStream, LanguageSpan
from egoscale_sdk.specs import ActionSetSpec, DatasetDeclaration, action_fingerprint
from tests.data_kit import (
    PROVIDER,
    camera,
    episode,
    human_declaration,
    jpeg,
    robot_declaration,
    robot_spec,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    declaration = robot_declaration(spec=robot_spec(("left", "right")), cameras=(camera(),), raw=("force",))
    force = np.random.default_rng(9).normal(size=(300, 2, 3)).astype(np.float32)
    episodes = [
        episode("a", declaration, rows=300, seed=1, raw={"force": force}, conf=np.full((300, 4), 0.5, np.float32)),
        episode("b", declaration, rows=40, seed=2, raw={"force": force[:40]}, map_id=np.full(40, 7, np.int32)),
    ]
    dataset = Dataset.create(tmp_path_factory.mktemp("d") / "d.zarr", declaration)
    assert dataset.append(episodes) == 2
    return dataset.path, declaration, episodes


@pytest.mark.parametrize("index", [0, 1])
def test_rows_come_back_as_they_were_written(written, index):
    path, _, episodes = written
    rows, source = Dataset.open(path).rows(index), episodes[index]
    np.testing.assert_array_equal(rows.time_ns, source.time_ns)
    np.testing.assert_array_equal(rows.action, source.action)
    np.testing.assert_array_equal(rows.state, source.state)
    np.testing.assert_array_equal(rows.valid, source.valid)
    np.testing.assert_array_equal(rows.raw["force"], source.raw["force"])
    np.testing.assert_allclose(rows.conf, 1 if source.conf is None else source.conf, atol=0.5 / 254)
    np.testing.assert_array_equal(rows.map_id, 0 if source.map_id is None else source.map_id)


def test_tables_come_back_as_they_were_written(written):
    path, _, episodes = written
    dataset = Dataset.open(path)
    assert dataset.keys() == {"a", "b"}
    assert [ref.labels for ref in dataset.episodes] == [source.labels for source in episodes]
    assert dataset.language(1) == episodes[1].language
    assert dataset.calibration(0, "head") == {"fx": 100.0}
    assert [(ref.start, ref.length, ref.task) for ref in dataset.episodes] == [(0, 300, "pick"), (300, 40, "pick")]


def test_a_row_sees_the_newest_image_at_or_before_it(written):
    path, _, episodes = written
    dataset = Dataset.open(path)
    for row in (0, 1, 2, 39):
        assert dataset.jpeg(1, "head", row) == episodes[1].images["head"].jpegs[row // 2]
    assert dataset.image(1, "head", 10).shape == (24, 32, 3)


@given(
    st.lists(st.integers(0, 2000), max_size=20, unique=True), st.lists(st.integers(0, 2000), min_size=1, unique=True)
)
def test_image_of_a_row_against_a_literal_search(image_ms, row_ms):
    images, rows = (np.array(sorted(ms), np.int64) * 1_000_000 for ms in (image_ms, row_ms))
    for row, seen in zip(rows, images_of_rows(rows, images), strict=True):
        fresh = [n for n, t in enumerate(images) if t <= row + 1_000_000 and row - t <= IMAGE_MAX_AGE_NS]
        assert seen == (max(fresh) if fresh else -1)


def test_zarr_python_reads_the_same_and_is_not_disturbed_by_the_log(written):
    path, _, episodes = written
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        members = dict(zarr.open_group(path, mode="r").members(max_depth=None))
    segment = Dataset.open(path).segments[0]
    joined = np.concatenate([source.action for source in episodes])
    np.testing.assert_array_equal(members[f"{segment}/action"][...], joined)
    data, offsets = members[f"{segment}/cams/head/data"][...], members[f"{segment}/cams/head/offsets"][...]
    assert data[offsets[3] : offsets[4]].tobytes() == episodes[0].images["head"].jpegs[3]
    for name, array in members.items():
        if isinstance(array, zarr.Array) and name.startswith(segment):
            ours = Dataset.open(path).object(segment).read(name.removeprefix(f"{segment}/"))
            np.testing.assert_array_equal(array[...], ours)


def test_declaration_survives_the_round_trip(written):
    path, declaration, _ = written
    assert Dataset.open(path).declaration == declaration
    attributes = zarr.open_group(path, mode="r").attrs["egoscale"]
    assert parse_declaration(attributes, "here") == declaration


@given(
    st.floats(0.1, 1e4),
    st.text(max_size=30),
    st.lists(st.text(max_size=10), max_size=3),
    st.sampled_from(["robot", "human"]),
)
def test_any_declaration_survives_the_round_trip(fps, source, assumptions, kind):
    make = robot_declaration if kind == "robot" else human_declaration
    declaration = make().model_copy(update={"fps": fps, "source": source, "assumptions": tuple(assumptions)})
    assert parse_declaration(declaration.model_dump(mode="json"), "here") == declaration
    assert DatasetDeclaration.model_validate_json(declaration.model_dump_json()) == declaration


def test_an_episode_is_stored_once(written, tmp_path):
    declaration = human_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    one, two = episode("one", declaration), episode("two", declaration)
    assert dataset.append([one, one]) == 1
    assert dataset.append([one, two]) == 1
    assert dataset.append([one]) == 0
    assert [ref.key for ref in dataset.episodes] == ["one", "two"]
    assert dataset.version == 2


def test_earlier_versions_stay_readable_and_are_not_written_to(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    for key in "abc":
        dataset.append([episode(key, declaration)])
    old = Dataset.open(dataset.path, version=1)
    assert old.keys() == {"a"}
    with pytest.raises(DataError, match="not the newest"):
        old.append([episode("d", declaration)])
    with pytest.raises(DataError, match=r"no version 9; allowed: 0\.\.3"):
        Dataset.open(dataset.path, version=9)


def test_a_refused_episode_takes_its_whole_commit_with_it(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    bad = episode("bad", declaration)
    bad.action[3, 2] = np.nan
    with pytest.raises(DataError, match=r"episode 'bad': action: is not finite at \(3, 2\)"):
        dataset.append([episode("good", declaration), bad])
    assert Dataset.open(dataset.path).keys() == frozenset()
    assert list((dataset.path / "cache" / "staging").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_ns": np.zeros(40, np.int64)}, "time_ns: does not increase after row 0"),
        ({"time_ns": np.arange(40.0)}, "it must be int64"),
        ({"action": np.zeros((40, 5), np.float32)}, r"action: has shape \(40, 5\), declared is \(40, 12\)"),
        ({"valid": np.full((40, 2), 2, np.uint8)}, "valid: holds other values than 0 and 1"),
        ({"state": None}, "has_state = True"),
        ({"conf": np.full((40, 2), 1.5, np.float32)}, r"confidences lie in \[0, 1\]"),
        ({"map_id": np.zeros(3, np.int32)}, "map_id: has shape"),
        ({"raw": {"extra": np.zeros((40, 1), np.float32)}}, r"raw: has \['extra'\], declared are \[\]"),
        ({"language": [LanguageSpan("x", 10, 50)]}, "caption 'x': covers rows 10..50 of 40"),
        ({"images": {"neck": ImageStream([], np.empty(0, np.int64))}}, "camera 'neck' is not declared; allowed: head"),
        ({"images": {"head": ImageStream([b"no"], np.zeros(1, np.int64))}}, "image 0: is not a JPEG"),
        ({"images": {"head": ImageStream([jpeg(0, 8, 8)], np.zeros(1, np.int64))}}, "8x8, declared is 24x32"),
        ({"images": {"head": ImageStream([], np.zeros(1, np.int64))}}, "0 images and 1 time stamps"),
        ({"key": ""}, "no key"),
    ],
)
def test_an_episode_that_is_not_as_declared_is_refused(tmp_path, change, message):
    declaration = robot_declaration(cameras=(camera(),))
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    with pytest.raises(DataError, match=message):
        dataset.append([dataclasses.replace(episode("e", declaration), **change)])


def test_an_absent_camera_is_no_error(tmp_path):
    declaration = robot_declaration(cameras=(camera("head"), camera("wrist")))
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    full = episode("full", declaration)
    blind = dataclasses.replace(full, key="blind", images={"head": full.images["head"]})
    dataset.append([blind, full])
    assert dataset.jpeg(0, "wrist", 5) is None
    assert dataset.jpeg(1, "wrist", 5) == full.images["wrist"].jpegs[2]


def derived_set(declaration, name="claw", joints=2) -> ActionSetSpec:
    spec = robot_spec(("left", "right"), joints, f"acme/{name}@1", f"acme/{name}@1")
    return ActionSetSpec(
        name=name,
        embodiment=spec.id,
        action_fingerprint=action_fingerprint(spec),
        hand_spaces=spec.hand_spaces,
        action_source="observed",
        spec=spec,
    )


def derived_arrays(dataset, action_set):
    for path in dataset.segments:
        rows = dataset.segment(path).addition.entry.rows
        action = np.full((rows, action_set.layout.dim), 0.25, np.float32)
        valid = np.ones((rows, len(action_set.layout.groups)), np.uint8)
        yield path, {"action": action, "valid": valid, "residual_m": np.full((rows, 2), 0.01)}


def test_an_action_set_is_added_beside_what_was_recorded(tmp_path):
    declaration = human_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    source = episode("a", declaration)
    dataset.append([source])
    before = {file: file.read_bytes() for file in (dataset.path / "segments").rglob("*") if file.is_file()}
    claw = derived_set(declaration)
    dataset.add_action_set(claw, dict(derived_arrays(dataset, claw)))
    assert all(file.read_bytes() == data for file, data in before.items())

    opened = Dataset.open(dataset.path)
    assert [item.name for item in opened.declaration.action_sets] == ["native", "claw"]
    assert zarr.open_group(dataset.path, mode="r").attrs["egoscale"]["action_sets"][1]["name"] == "claw"
    rows = opened.rows(0, "claw")
    assert rows.action.shape == (40, 22)
    assert (rows.raw["residual_m"] == np.float32(0.01)).all()
    np.testing.assert_array_equal(opened.rows(0).action, source.action)
    assert len(Dataset.open(dataset.path, version=1).declaration.action_sets) == 1
    with pytest.raises(DataError, match="several action sets; name one; allowed: native, claw"):
        opened.action_set()
    with pytest.raises(DataError, match=r"no action set 'clan'.*did you mean 'claw'"):
        opened.action_set("clan")


def test_an_action_set_is_completed_after_more_was_appended(tmp_path):
    declaration = human_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode("a", declaration)])
    claw = derived_set(declaration)
    dataset.add_action_set(claw, derived_arrays(dataset, claw))
    dataset.append([episode("b", declaration)])
    with pytest.raises(DataError, match=r"'claw' has no actions for .*run egoscale retarget again"):
        dataset.rows(1, "claw")
    dataset.add_action_set(claw, list(derived_arrays(dataset, claw))[1:])
    assert dataset.rows(1, "claw").action.shape == (40, 22)
    with pytest.raises(DataError, match="made differently"):
        dataset.add_action_set(claw.model_copy(update={"lead_s": 1.0}), {})


def test_a_dataset_is_handed_to_another_process_as_path_and_version(written):
    path, _, episodes = written
    dataset = Dataset.open(path, version=1)
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy.rows(1).action, episodes[1].action)


def test_creating_over_something_is_refused(written, tmp_path):
    path, declaration, _ = written
    with pytest.raises(DataError, match="already exists"):
        Dataset.create(path, declaration)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="already exists"):
        Dataset.create(tmp_path / "file", declaration)


def test_a_declaration_that_contradicts_its_spec_is_refused(tmp_path):
    wrong = robot_declaration().model_copy(update={"action_fingerprint": "sha256:" + "0" * 64})
    with pytest.raises(DeclarationError, match="action_fingerprint: does not belong to the spec"):
        Dataset.create(tmp_path / "d.zarr", wrong)
    assert not (tmp_path / "d.zarr").exists()


def test_declare_knows_robots_from_people():
    robot, human = robot_declaration(), human_declaration()
    assert (robot.native.action_source, robot.has_state) == ("commanded", True)
    assert (human.native.action_source, human.has_state) == ("observed", False)
    assert robot.uid != declare(robot_spec(), PROVIDER, fps=30).uid


@settings(max_examples=50)
@given(st.lists(st.text(max_size=20), max_size=10))
def test_texts_survive_packing(texts):
    assert unpack_texts(*pack_texts(texts)) == texts


@settings(max_examples=50)
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "task": st.text(max_size=10),
                "scene": st.text(max_size=10),
                "success": st.booleans(),
                "quality": st.sampled_from([0.0, 0.5, 1.0]),
                "objects": st.lists(st.text(max_size=5), max_size=3),
                "weather": st.integers(),
            },
        ),
        min_size=1,
        max_size=5,
    )
)
def test_labels_survive_the_episode_table(labels):
    entries = [EpisodeEntry(f"key {n}", 10 * n, 10, row) for n, row in enumerate(labels)]
    texts = Texts()
    arrays = episode_arrays(entries, texts) | texts.arrays()
    assert read_episodes(arrays.__getitem__) == entries


def test_reading_the_package_loads_no_zarr():
    code = "import sys, egoscale_sdk.data; assert not {'zarr', 'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
