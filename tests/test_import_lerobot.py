"""``egoscale import lerobot``: what the columns are is read from the embodiments' specs, never guessed."""

import json
import shutil

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.importers.lerobot import LeRobotImporter, LeRobotOptions
from egoscale_sdk.data.importers.run import import_recording
from egoscale_sdk.errors import DataError, DeclarationError
from egoscale_sdk.geometry import pose_from_vec9
from egoscale_sdk.host import PluginHost
from egoscale_sdk.specs import Provider
from tests.gr1_vendor import plugin as gr1_plugin
from tests.import_kit import Import
from tests.lerobot_fixture import picture, write_lerobot
from tests.numpy_fk import NumpyFK
from tests.toy_arm import toy_arm

pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
pytest.importorskip("av", reason="needs the extra 'lerobot'")
PROVIDER = Provider(distribution="toy", version="1.0")
ROWS = 10


@pytest.fixture
def imports(capsys):
    return Import(capsys)


def opened(root, spec=None, **options):
    return LeRobotImporter().open(str(root), spec or toy_arm(), PROVIDER, LeRobotOptions(**options))


def read_all(recording):
    return [recording.read(key) for key in recording.keys]


# Which embodiment.


def test_the_embodiment_is_the_one_whose_recordings_name_exactly_this_robot_type(tmp_path):
    write_lerobot(tmp_path / "d")
    other = toy_arm(id="toy/other@1", recordings=())
    newer = toy_arm(id="toy/arm@3")
    assert LeRobotImporter().embodiment_for(str(tmp_path), [toy_arm(), newer, other]) == "toy/arm@3"
    assert LeRobotImporter().embodiment_for(str(tmp_path / "d"), [toy_arm(), other]) == "toy/arm@1"


@pytest.mark.parametrize("robot_type", ["Toy_Arm", "toy_arm2", None])
def test_a_robot_type_that_only_resembles_one_is_refused_with_the_candidates(tmp_path, robot_type):
    write_lerobot(tmp_path / "d", robot_type=robot_type)
    with pytest.raises(DataError, match=r"toy_arm \(toy/arm@1\)") as caught:
        LeRobotImporter().embodiment_for(str(tmp_path), [toy_arm()])
    assert "[[recordings]]" in caught.value.hint
    with pytest.raises(DataError, match="--robot-type toy_arm"):
        opened(tmp_path)
    assert len(opened(tmp_path, robot_type="toy_arm").keys) == 2  # said by the user, not guessed


def test_a_robot_type_of_two_embodiments_must_be_decided_by_the_user(tmp_path):
    write_lerobot(tmp_path / "d")
    with pytest.raises(DataError, match="several"):
        LeRobotImporter().embodiment_for(str(tmp_path), [toy_arm(), toy_arm(id="rival/arm@1")])


# What the columns are.


def test_joints_wires_and_wrists_are_read_as_the_spec_says(tmp_path):
    turn = np.array([np.cos(0.3), 0, np.sin(0.3), 0])  # wxyz, 0.6 rad about y
    wrist = np.tile([0.1, 0.2, 0.3], (ROWS, 1)) + np.arange(ROWS)[:, None] / 100
    state = np.hstack([wrist, np.tile(np.roll(turn, -1), (ROWS, 1)), np.tile([0.25, 30.0], (ROWS, 1))])
    action = np.hstack([wrist + 0.01, np.tile(turn, (ROWS, 1)), np.tile([0.8, 0.02], (ROWS, 1))])
    write_lerobot(tmp_path / "d", robot_type="toy_wired", state=lambda n: state, action=lambda n: action)
    recording = opened(tmp_path)
    episode = recording.read(recording.keys[0])
    expected = np.array([[np.cos(0.6), 0, np.sin(0.6)], [0, 1, 0], [-np.sin(0.6), 0, np.cos(0.6)]])
    for rows, position in ((episode.state, wrist), (episode.action, wrist + 0.01)):
        poses = pose_from_vec9(rows[:, :9])
        np.testing.assert_allclose(poses[:, :3, 3], position, atol=1e-6)
        np.testing.assert_allclose(poses[:, :3, :3], np.tile(expected, (ROWS, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(episode.state[:, 9:], np.tile([1 - 0.3, 0.25 * 0.04], (ROWS, 1)), atol=1e-6)
    np.testing.assert_allclose(episode.action[:, 9:], np.tile([0.8, 0.02], (ROWS, 1)), atol=1e-6)
    assert (episode.valid == 1).all()
    assert (episode.state_valid == 1).all()
    assert recording.declaration.native.lead_s == 0.1
    assert recording.declaration.native.action_source == "commanded"
    assert "a toy" in recording.declaration.assumptions


def test_a_wrist_that_is_not_recorded_is_masked(tmp_path):
    write_lerobot(tmp_path / "d")
    episode = read_all(opened(tmp_path))[0]
    assert (episode.valid == [0, 1]).all()
    assert (episode.state[:, :9] == 0).all()


def test_every_column_must_be_described_once(tmp_path):
    write_lerobot(tmp_path / "d")
    hand = {"start": 0, "stop": 2, "part": "right_hand"}
    for blocks, complaint in (
        ([hand, {"start": 3, "stop": 9, "part": "ignored"}], "column 2 is described 0 times"),
        ([hand, {"start": 1, "stop": 9, "part": "ignored"}], "column 1 is described 2 times"),
        ([hand], "the layout of toy/arm@1 has 2 columns"),
    ):
        spec = toy_arm(recordings=[{"robot_type": "toy_arm", "state": blocks, "action": blocks}])
        with pytest.raises(DataError, match=complaint):
            read_all(opened(tmp_path, spec))


def wired(*state):
    """Rows of ``toy_wired``: this state all the time, and a good action."""
    good = np.tile([0, 0, 0, 1.0, 0, 0, 0, 0.5, 0.02], (ROWS, 1))
    return {"robot_type": "toy_wired", "state": lambda n: np.tile(state, (ROWS, 1)), "action": lambda n: good}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (wired(0, 0, 0, 0, 0, 0, 1, 50.0, 3), "slide has 50 to 50 1.*0 to 1"),
        (wired(0, 0, 0, 0, 0, 0, 9, 0.5, 3), "unit length"),
        (wired(400, 0, 0, 0, 0, 0, 1, 0, 3), "millimetres"),
        ({"state": lambda n: np.full((ROWS, 9), 90.0)}, "degrees"),
        ({"action": lambda n: np.full((ROWS, 9), np.nan)}, "not finite"),
    ],
)
def test_values_that_cannot_be_in_the_declared_unit_are_refused(tmp_path, change, complaint):
    write_lerobot(tmp_path / "d", **change)
    with pytest.raises(DataError, match=complaint):
        read_all(opened(tmp_path))


# Clock, language, pictures, versions.


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
def test_pictures_in_the_parquet_file_are_read_and_kept(tmp_path, version):
    write_lerobot(tmp_path / "d", version=version)
    episode = read_all(opened(tmp_path))[0]
    stream = episode.images["eye"]
    np.testing.assert_array_equal(stream.time_ns, episode.time_ns)
    assert stream.jpegs[2] == picture(2)  # a JPEG stays as it is
    red = simplejpeg.decode_jpeg(stream.jpegs[7])[..., 0]  # a PNG becomes one
    assert abs(float(red.mean()) - 140) < 3
    small = read_all(opened(tmp_path, image_size=(4, 6)))[0].images["eye"]
    assert {simplejpeg.decode_jpeg_header(jpeg)[:2] for jpeg in small.jpegs} == {(4, 6)}
    np.testing.assert_allclose(np.diff(episode.time_ns), 50_000_000, atol=1000)


def test_a_task_that_changes_within_an_episode_becomes_two_captions(tmp_path):
    write_lerobot(tmp_path / "d", tasks=lambda n: [0] * 4 + [1] * 6)
    episode = read_all(opened(tmp_path))[0]
    assert [(s.text, s.start, s.stop) for s in episode.language] == [("reach", 0, 4), ("lift", 4, 10)]
    write_lerobot(tmp_path / "e", tasks=lambda n: [7] * 10)
    with pytest.raises(DataError, match="task_index 7"):
        read_all(opened(tmp_path / "e"))


def test_a_newer_version_and_a_foreign_folder_are_refused(tmp_path):
    write_lerobot(tmp_path / "d", version="v4.0")
    with pytest.raises(DataError, match=r"'v4\.0' is not read"):
        opened(tmp_path)
    with pytest.raises(DataError, match=r"no meta/info\.json"):
        opened(tmp_path / "d/data")
    write_lerobot(tmp_path / "e")
    with pytest.raises(DataError, match="holds 2 LeRobot datasets"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("../{episode_index:06d}.parquet", "leaves the folder"),
        ("/etc/{episode_chunk}", "leaves the folder"),
        ("{episode_index.__class__}", "is missing"),
        ("{secret}", "secret"),
    ],
)
def test_path_templates_of_others_reach_nothing_outside(tmp_path, path, complaint):
    root = write_lerobot(tmp_path / "d")
    info = json.loads((root / "meta/info.json").read_text()) | {"data_path": path}
    (root / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match=complaint):
        read_all(opened(tmp_path, skip_images=True))


# Damage.


def test_truncated_and_missing_files_are_named_and_the_rest_is_kept(tmp_path):
    root = write_lerobot(tmp_path / "d", episodes=4)
    files = sorted(root.rglob("*.parquet"))
    files[0].write_bytes(files[0].read_bytes()[:200])
    files[2].unlink()
    summary = import_recording(opened(tmp_path), tmp_path / "d.zarr")
    assert (summary.imported, summary.rows) == (2, 2 * ROWS)
    cut, absent = summary.failed.values()
    assert "episode_000000.parquet: is no readable parquet file, perhaps truncated" in cut
    assert "episode_000002.parquet: file is missing" in absent
    write_lerobot(tmp_path / "again", episodes=4)
    (tmp_path / "again").rename(tmp_path / "x")
    shutil.copy(tmp_path / "x/data/chunk-000" / files[2].name, files[2])
    mended = import_recording(opened(root), tmp_path / "d.zarr")
    assert (mended.imported, mended.present) == (1, 2)


def test_an_episode_shorter_than_its_metadata_says_is_truncated(tmp_path):
    root = write_lerobot(tmp_path / "d", episodes=1)
    lines = (root / "meta/episodes.jsonl").read_text().replace('"length": 10', '"length": 12')
    (root / "meta/episodes.jsonl").write_text(lines)
    with pytest.raises(DataError, match=r"10 rows.*says 12"):
        read_all(opened(tmp_path))


def test_damaged_metadata_is_named_by_line(tmp_path):
    root = write_lerobot(tmp_path / "d")
    text = (root / "meta/episodes.jsonl").read_text()
    (root / "meta/episodes.jsonl").write_text(text[:-5])
    with pytest.raises(DataError, match=r"episodes\.jsonl:2: is not valid JSON"):
        opened(tmp_path)


def test_another_embodiment_or_picture_size_does_not_join_a_dataset(tmp_path):
    write_lerobot(tmp_path / "d")
    import_recording(opened(tmp_path), tmp_path / "d.zarr")
    with pytest.raises(DeclarationError, match="embodiment: holds toy/arm@1"):
        import_recording(opened(tmp_path, toy_arm(id="toy/arm@2")), tmp_path / "d.zarr")
    with pytest.raises(DeclarationError, match="eye 8x12"):
        import_recording(opened(tmp_path, image_size=(4, 6)), tmp_path / "d.zarr")


@pytest.mark.parametrize(("shift", "words"), [(0, "equals the measured state"), (1, "equals the next measured state")])
def test_an_action_that_repeats_the_state_is_reported(tmp_path, shift, words):
    motion = 0.3 * np.sin(0.2 * np.arange(ROWS + 1)[:, None] + np.arange(9))
    write_lerobot(tmp_path / "d", state=lambda n: motion[:ROWS], action=lambda n: motion[shift : ROWS + shift])
    findings = import_recording(opened(tmp_path), tmp_path / "d.zarr").findings
    assert findings == [f"the action of right_hand {words} in 2 of 2 episodes: it is no command"]
    write_lerobot(tmp_path / "e")
    assert import_recording(opened(tmp_path / "e"), tmp_path / "e.zarr").findings == []


def test_a_missing_reader_prints_its_pip_line(imports, tmp_path, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pyarrow" else real(name, *rest)
    )
    write_lerobot(tmp_path / "d", robot_type="Unitree_G1_Inspire")
    assert "pip install 'egoscale-sdk[lerobot]'" in imports.refused("lerobot", tmp_path, tmp_path / "d.zarr")


# Real files.


def g1_with(shared, folder, episodes):
    """The real G1 recording cut to some episodes; the files themselves are links."""
    source = shared / "data/g1_inspire_lerobot_v21"
    (folder / "meta").mkdir(parents=True)
    for name in ("data", "videos"):
        (folder / name).symlink_to(source / name)
    for name in ("info.json", "tasks.jsonl"):
        shutil.copy(source / "meta" / name, folder / "meta" / name)
    lines = (source / "meta/episodes.jsonl").read_text().splitlines()
    (folder / "meta/episodes.jsonl").write_text("\n".join(lines[n] for n in episodes))
    return folder


def test_a_real_g1_with_inspire_hands(imports, shared, tmp_path):
    import pyarrow.parquet as pq

    source = g1_with(shared, tmp_path / "g1", [3])
    summary = imports("lerobot", source, tmp_path / "d.zarr", "--image-size", 60, 80)
    assert (summary["embodiment"], summary["rows"]) == ("unitree/g1_inspire@1", 290)
    left, right = summary["findings"]  # the hands answer at 8 Hz in a recording of 30
    assert "the measured left_hand repeats itself in 72 %" in left
    assert "right_hand" in right
    dataset = Dataset.open(tmp_path / "d.zarr")
    rows = dataset.rows(0)
    assert (rows.valid == 1).all()
    assert (rows.state_valid == 1).all()
    table = pq.read_table(source / "data/chunk-000/episode_000003.parquet")
    state, action = (np.array(table[name].to_pylist()) for name in ("observation.state", "action"))
    np.testing.assert_allclose(rows.raw["arm_state"], state[:, :14], atol=1e-6)
    np.testing.assert_allclose(rows.raw["arm_action"], action[:, :14], atol=1e-6)
    columns = dataset.declaration.native.layout
    names = [column.name for column in dataset.declaration.spec.hand("right").hand_space.columns]
    right = dict(zip(names, rows.state[:, columns.blocks["right_hand"]].T, strict=True))
    joint = next(name for name in names if "index" in name)
    np.testing.assert_allclose(right[joint], 1.7 - 1.7 * state[:, 23], atol=1e-5)  # 1 on the wire is open
    assert dataset.episodes[0].task == "Pick up the yellow bottle on the table."
    assert dataset.declaration.native.lead_s > 0.1
    assert any("waist" in note for note in dataset.declaration.assumptions)
    assert simplejpeg.decode_jpeg_header(dataset.jpeg(0, "head", 289))[:2] == (60, 80)
    assert imports("lerobot", source, tmp_path / "d.zarr", "--image-size", 60, 80)["imported"] == 0


def test_wrists_of_the_real_g1_are_those_of_the_vendors_arm(imports, shared, tmp_path):
    source = g1_with(shared, tmp_path / "g1", [3])
    imports("lerobot", source, tmp_path / "d.zarr", "--skip-images")
    dataset = Dataset.open(tmp_path / "d.zarr")
    rows, spec = dataset.rows(0), dataset.declaration.spec
    files = sorted((shared / "reference/models/g1").rglob("*29dof*rev_1_0*.urdf"))
    vendor = NumpyFK(next(file for file in files if "with_hand" not in file.name))
    for row in (0, 100, 289):
        for side, start in (("left", 0), ("right", 7)):
            arm = spec.arm(side)
            q = dict(zip((j.name for j in arm.joints), rows.raw["arm_state"][row, start : start + 7], strict=True))
            tip = vendor.poses(q, base="torso_link")[arm.tip]
            wrist = tip @ arm.T_tip_root.matrix() @ spec.hand(side).T_root_wrist.matrix()
            block = dataset.declaration.native.layout.blocks[f"{side}_wrist"]
            np.testing.assert_allclose(pose_from_vec9(rows.state[row, block]), wrist, atol=2e-6)


@pytest.mark.slow
def test_all_of_the_real_g1_recording(imports, shared, tmp_path):
    summary = imports("lerobot", shared / "data/g1_inspire_lerobot_v21", tmp_path / "d.zarr")
    assert (summary["imported"], summary["rows"], summary["failed"]) == (8, 2864, {})
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert dataset.declaration.cameras[0].native
    assert simplejpeg.decode_jpeg_header(dataset.jpeg(7, "head", 350))[:2] == (480, 640)


def test_a_truncated_video_of_the_real_g1_costs_its_episode_only(imports, shared, tmp_path):
    source = g1_with(shared, tmp_path / "g1", [0, 3])
    (source / "videos").unlink()
    clips = source / "videos/chunk-000/observation.images.cam_high"
    clips.mkdir(parents=True)
    real = shared / "data/g1_inspire_lerobot_v21/videos/chunk-000/observation.images.cam_high"
    shutil.copy(real / "episode_000003.mp4", clips)
    (clips / "episode_000000.mp4").write_bytes((real / "episode_000000.mp4").read_bytes()[:1_000_000])
    line = imports.refused("lerobot", source, tmp_path / "d.zarr", "--image-size", 60, 80)
    assert "episode_000000.mp4" in line
    assert "1 were imported" in line
    assert len(Dataset.open(tmp_path / "d.zarr").episodes) == 1


def test_a_robot_of_nobody_is_refused_with_how_to_declare_one(imports, shared, tmp_path):
    line = imports.refused("lerobot", shared / "data/gr1_sim_lerobot_v20", tmp_path / "d.zarr")
    assert "GR1ArmsOnly" in line
    assert "Unitree_G1_Inspire (unitree/g1_inspire@1)" in line
    assert "[[recordings]]" in line
    assert "docs/importers.md" in line
    assert not (tmp_path / "d.zarr").exists()


def test_the_same_robot_is_imported_once_its_vendor_declares_it(capsys, shared, tmp_path):
    pytest.importorskip("av", reason="needs the extra 'lerobot'")
    imports = Import(capsys, PluginHost(plugins={"fourier": gr1_plugin}))
    words = ("--image-size", 64, 64)
    summary = imports("lerobot", shared / "data/gr1_sim_lerobot_v20", tmp_path / "d.zarr", *words)
    assert (summary["embodiment"], summary["imported"], summary["rows"]) == ("fourier/gr1_hands@1", 5, 2096)
    dataset = Dataset.open(tmp_path / "d.zarr")
    rows = dataset.rows(0)
    assert (rows.valid == [0, 0, 1, 1]).all()  # no arm model: wrists are unknown
    assert dataset.episodes[1].task == "pick the ketchup from the counter and place it in the plate"
    assert [camera.name for camera in dataset.declaration.cameras] == ["head"]
    assert any("egoview is declared but has no pictures" in note for note in dataset.declaration.assumptions)
    assert dataset.declaration.spec.recordings  # opens without the plugin: the spec travels with the data
