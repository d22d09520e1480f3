"""``egoscale import egodex``, on files that a writer of its own makes in the published schema."""

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.data import Dataset
from egoscale_sdk.geometry import pose_from_vec9
from egoscale_sdk.hands import wrist_frame
from tests.egodex_fixture import NEW, OLD, write_egodex, write_video
from tests.import_kit import Import, moving_hands, only_rows, walking_camera

h5py = pytest.importorskip("h5py", reason="needs the extra 'egodex'")
pytest.importorskip("av", reason="needs the extra 'egodex'")
T = 12
POINTS, CAMERA = moving_hands(T), walking_camera(T)


@pytest.fixture
def imports(capsys):
    return Import(capsys)


def test_a_file_in_the_published_schema_keeps_all_that_it_says(imports, tmp_path):
    write_egodex(tmp_path / "part1/stack_cups/0", POINTS, CAMERA)
    summary = imports("egodex", tmp_path / "part1", tmp_path / "d.zarr")
    assert (summary["embodiment"], summary["rows"]) == ("human/hands@1", T)
    dataset, rows = Dataset.open(tmp_path / "d.zarr"), only_rows(tmp_path / "d.zarr")
    assert (rows.valid == 1).all()
    for hand, side in enumerate(("left", "right")):
        wrist, _ = wrist_frame(POINTS[:, hand], side)
        np.testing.assert_allclose(pose_from_vec9(rows.action[:, 9 * hand : 9 * hand + 9]), wrist, atol=1e-5)
    np.testing.assert_allclose(rows.raw["keypoints"], POINTS, atol=1e-5)  # knuckles, not metacarpals
    np.testing.assert_allclose(rows.raw["camera_pose"], CAMERA, atol=1e-5)
    np.testing.assert_allclose(rows.conf, 0.9, atol=0.005)
    np.testing.assert_allclose(np.diff(rows.time_ns), 1e9 / 30, atol=1)
    labels = dataset.episodes[0].labels
    assert labels["task"] == "take the cup off the shelf"  # the second, as which_llm_description says
    assert labels["objects"] == ["cup", "shelf"]
    assert (labels["category"], labels["scene"], labels["session"]) == ("stack_cups", "kitchen", "session 7")
    assert dataset.declaration.licence.startswith("CC BY-NC-ND")
    calibration = dataset.calibration(0, "head")
    assert (calibration["height_px"], calibration["intrinsics"][0][0]) == (48, pytest.approx(36.8))


def test_frame_i_belongs_to_pose_i(imports, tmp_path):
    write_egodex(tmp_path / "0", POINTS, CAMERA)
    imports("egodex", tmp_path / "0.hdf5", tmp_path / "d.zarr", "--image-size", 24, 32)
    dataset = Dataset.open(tmp_path / "d.zarr")
    for row in (0, 5, T - 1):
        picture = simplejpeg.decode_jpeg(dataset.jpeg(0, "head", row))
        assert picture.shape == (24, 32, 3)
        assert abs(float(picture.mean()) - (10 + 15 * row)) < 6


def test_older_files_have_other_attributes_and_no_confidences(imports, tmp_path):
    write_egodex(tmp_path / "towels/3", POINTS, CAMERA, attributes=OLD, confidence=None)
    imports("egodex", tmp_path, tmp_path / "d.zarr")
    dataset, rows = Dataset.open(tmp_path / "d.zarr"), only_rows(tmp_path / "d.zarr")
    assert (dataset.episodes[0].task, dataset.episodes[0].labels["category"]) == ("fold the towel", "towels")
    assert (rows.conf == 1).all()
    assert any("no confidences" in note for note in dataset.declaration.assumptions)


@pytest.mark.parametrize(
    ("attributes", "task"),
    [
        (NEW | {"which_llm_description": np.bytes_(b"1")}, "put the cup on the shelf"),
        (NEW | {"llm_type": "normal", "which_llm_description": "1"}, "put the cup on the shelf"),
        ({"description": "open it", "description2": "close it", "type": "reversible"}, ""),  # which one is not said
        ({}, ""),
    ],
)
def test_which_description_holds_is_never_guessed(imports, tmp_path, attributes, task):
    write_egodex(tmp_path / "0", POINTS, CAMERA, attributes=attributes)
    imports("egodex", tmp_path / "0.hdf5", tmp_path / "d.zarr")
    assert Dataset.open(tmp_path / "d.zarr").episodes[0].task == task


def test_a_hand_without_confidence_or_with_a_frozen_value_is_absent(imports, tmp_path):
    confidence = np.full((T, 2), 0.8)
    confidence[:3, 0] = 0
    points = POINTS.copy()
    points[6:, 1] = points[6, 1]
    write_egodex(tmp_path / "0", points, CAMERA, confidence=confidence)
    imports("egodex", tmp_path / "0.hdf5", tmp_path / "d.zarr")
    valid = only_rows(tmp_path / "d.zarr").valid
    assert valid[:, 0].tolist() == [0] * 3 + [1] * (T - 3)
    assert valid[:, 1].tolist() == [1] * 7 + [0] * (T - 7)


def test_damage_is_named_and_costs_one_episode_only(imports, tmp_path):
    for n in range(4):
        write_egodex(tmp_path / f"s/t/{n}", POINTS + n / 100, CAMERA)
    cut = tmp_path / "s/t/1.hdf5"
    cut.write_bytes(cut.read_bytes()[:3000])
    (tmp_path / "s/t/2.mp4").unlink()
    write_video(tmp_path / "s/t/3.mp4", T - 2, (48, 64))
    line = imports.refused("egodex", tmp_path / "s", tmp_path / "d.zarr")
    for words in ("3 of 4", "1.hdf5: is no readable HDF5", "2.mp4: video file is missing", "10 frames for 12 poses"):
        assert words in line
    assert len(Dataset.open(tmp_path / "d.zarr").episodes) == 1
    summary = imports("egodex", tmp_path / "s/t/2.hdf5", tmp_path / "blind.zarr", "--skip-images")
    assert summary["imported"] == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda f: f.__delitem__("transforms/leftThumbTip"), "/transforms/leftThumbTip: is missing"),
        (lambda f: f.__delitem__("transforms"), "no group /transforms"),
        (lambda f: f["confidences/leftHand"].write_direct(np.full(T, 80, np.float32)), "do not lie in"),
        (lambda f: f["transforms/camera"].write_direct(flipped(CAMERA)), "rigid"),
        (lambda f: f["transforms/camera"].write_direct(backwards(CAMERA)), "behind the camera"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(imports, tmp_path, change, complaint):
    path = write_egodex(tmp_path / "0", POINTS, CAMERA)
    with h5py.File(path, "a") as file:
        change(file)
    assert complaint in imports.refused("egodex", path, tmp_path / "d.zarr")
    assert not (tmp_path / "d.zarr").exists()


def test_hands_in_millimetres_are_refused(imports, tmp_path):
    path = write_egodex(tmp_path / "0", POINTS * 1000, CAMERA)
    assert "millimetres" in imports.refused("egodex", path, tmp_path / "d.zarr")


def test_the_reader_is_an_extra(imports, tmp_path, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "h5py" else real(name, *rest))
    path = write_egodex(tmp_path / "0", POINTS, CAMERA)
    assert "pip install 'egoscale-sdk[egodex]'" in imports.refused("egodex", path, tmp_path / "d.zarr")


def flipped(camera):
    return (camera @ np.diag([1.0, 1, -1, 1])).astype(np.float32)


def backwards(camera):
    """The same camera with ARKit's own axes: x right, y up, z backward."""
    return (camera @ np.diag([1.0, -1, -1, 1])).astype(np.float32)
