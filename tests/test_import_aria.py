"""``egoscale import aria``: a real VRS, a real MPS sample whose clocks do not match, MPS files made from the VRS."""

import csv
import shutil

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.importers.aria_mps import find_files, read_hands, wrist_poses
from egoscale_sdk.geometry import (
    interpolate_poses,
    inverse_pose,
    pose_from_vec9,
    quaternion_from_rotation,
    rotation_angle,
    transform_points,
)
from egoscale_sdk.hands import to_canonical, wrist_frame
from tests.import_kit import Import, only_rows

SIDES = ("left", "right")


@pytest.fixture
def imports(capsys):
    return Import(capsys)


@pytest.fixture(scope="module")
def vrs(shared):
    pytest.importorskip("projectaria_tools", reason="needs the extra 'aria'")
    return next((shared / "data/aria/gen2").glob("*.vrs"))


@pytest.fixture(scope="module")
def mps(shared):
    return shared / "data/aria/gen1_mps_sample"


@pytest.fixture(scope="module")
def take(vrs):
    from egoscale_sdk.data.importers.aria_vrs import VrsFile

    return VrsFile(vrs)


# A VRS with on-device hand tracking.


def test_a_real_vrs_gives_both_hands_the_head_and_the_pictures(imports, vrs, tmp_path):
    summary = imports("aria", vrs, tmp_path / "d.zarr", "--task", "wave", "--image-size", 378, 504)
    assert (summary["embodiment"], summary["rows"], summary["failed"]) == ("human/hands@1", 9, {})
    dataset, rows = Dataset.open(tmp_path / "d.zarr"), only_rows(tmp_path / "d.zarr")
    assert (rows.valid == 1).all()
    assert (rows.conf > 0.99).all()
    assert (rows.raw["camera_valid"] == 1).all()
    assert (rows.map_id == 0).all()
    assert rows.time_ns[0] == 7_385_791_599_000  # the device's clock
    assert dataset.episodes[0].task == "wave"
    calibration = dataset.calibration(0, "head")
    assert (calibration["model"], calibration["height_px"], calibration["width_px"]) == ("FISHEYE624", 1512, 2016)
    assert any("thumb CMC" in note for note in dataset.declaration.assumptions)
    assert imports("aria", vrs.parent, tmp_path / "d.zarr", "--image-size", 378, 504)["present"] == 1


def test_hands_and_head_of_the_vrs_meet_in_the_picture(imports, vrs, take, tmp_path):
    """World keypoints and the world pose of the camera, both interpolated to a picture's stamp, project onto skin."""
    from projectaria_tools.core import calibration, sophus

    imports("aria", vrs, tmp_path / "d.zarr")
    rows, pictures = only_rows(tmp_path / "d.zarr"), take.images(None)
    facts = pictures.calibration
    camera = calibration.CameraCalibration(
        "rgb",
        calibration.CameraModelType.FISHEYE624,
        np.array(facts["params"]),
        sophus.SE3.from_matrix(np.array(facts["T_device_camera"])),
        facts["width_px"],
        facts["height_px"],
        None,
        np.pi,
        "",
    )
    stamp = pictures.time_ns[1:2]
    flat = rows.raw["keypoints"].reshape(len(rows.time_ns), -1)
    points = np.reshape([np.interp(stamp[0], rows.time_ns, column) for column in flat.T], (-1, 3))
    head = interpolate_poses(rows.time_ns, rows.raw["camera_pose"].astype(float), stamp)[0]
    pixels = [camera.project(point) for point in transform_points(inverse_pose(head), points)]
    picture = simplejpeg.decode_jpeg(pictures.jpegs[1]).astype(int)
    colours = np.array([picture[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].mean((0, 1)) for x, y in pixels])
    assert len(colours) == 42
    assert skin(colours).mean() > 0.75
    elsewhere = np.array([picture[int(y) - 300, int(x) - 400] for x, y in pixels])
    assert skin(elsewhere).mean() < 0.4


def test_a_truncated_vrs_is_refused_although_its_reader_opens_it(imports, vrs, tmp_path):
    data = vrs.read_bytes()
    for name, size, complaint in (
        ("half.vrs", 900_000, "truncated: 554 records"),
        ("tiny.vrs", 300, "truncated"),
        ("text.vrs", 0, "no VRS"),
    ):
        (tmp_path / name).write_bytes(data[:size] or b"no recording")
        assert complaint in imports.refused("aria", tmp_path / name, tmp_path / "d.zarr")
    assert not (tmp_path / "d.zarr").exists()


def test_the_reader_of_vrs_says_nothing_of_its_own(vrs, tmp_path, capfd):
    Import(capfd)("aria", vrs, tmp_path / "d.zarr", "--image-size", 189, 252)  # asserts that stderr is empty


# Machine perception services.


def test_landmarks_beside_another_recordings_trajectory_are_refused(imports, mps, tmp_path):
    line = imports.refused("aria", mps, tmp_path / "d.zarr")
    assert "clocks do not match" in line
    assert "1762.609 to 1817.200 s" in line
    assert "149.203 to 160.598 s" in line
    assert not (tmp_path / "d.zarr").exists()


@pytest.mark.parametrize("alone", [False, True])
def test_the_wrist_file_alone_is_valid_where_a_hand_was_seen(imports, mps, tmp_path, alone):
    if alone:  # without the landmarks of the other recording, no flag is needed
        shutil.copytree(mps / "trajectory", tmp_path / "m/trajectory")
        (tmp_path / "m/hand_tracking").mkdir()
        shutil.copy(mps / "hand_tracking/wrist_and_palm_poses_v2.csv", tmp_path / "m/hand_tracking")
        imports("aria", tmp_path / "m", tmp_path / "d.zarr")
    else:
        imports("aria", mps, tmp_path / "d.zarr", "--hands", "wrist")
    rows = only_rows(tmp_path / "d.zarr")
    with (mps / "hand_tracking/wrist_and_palm_poses_v2.csv").open() as file:
        table = list(csv.DictReader(file))
    seen = np.array([[float(line[f"{side}_tracking_confidence"]) > 0 for side in SIDES] for line in table])
    assert seen.sum(axis=0).tolist() == [0, 6]  # -1, or all zero with the -1 in another column
    np.testing.assert_array_equal(rows.valid[:, :2], seen)
    assert (rows.valid[:, 2:] == 0).all()
    assert (rows.action[rows.valid[:, 1] == 0, 9:18] == 0).all()
    poses = pose_from_vec9(rows.action[seen[:, 1], 9:18])
    assert np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).max() < 0.1  # 0.1 s apart
    assert np.degrees(rotation_angle(poses[:-1, :3, :3], poses[1:, :3, :3])).max() < 30
    np.testing.assert_allclose(rows.conf[seen[:, 1], 1][0], 0.996, atol=0.005)
    assert Dataset.open(tmp_path / "d.zarr").declaration.wrist_source == "tracker"


def test_a_wrist_file_without_a_trajectory_or_without_normals_has_masked_wrists(imports, mps, tmp_path):
    (tmp_path / "m").mkdir()
    shutil.copy(mps / "hand_tracking/wrist_and_palm_poses_v2.csv", tmp_path / "m")
    imports("aria", tmp_path / "m", tmp_path / "d.zarr")
    assert (only_rows(tmp_path / "d.zarr").valid == 0).all()
    imports("aria", mps / "hand_tracking/wrist_and_palm_poses.csv", tmp_path / "e.zarr")
    assert (only_rows(tmp_path / "e.zarr").valid == 0).all()
    assert any("no normals" in note for note in Dataset.open(tmp_path / "e.zarr").declaration.assumptions)


def skin(colours):
    """Skin is far redder than blue; floor, wall and furniture are not."""
    return (colours[:, 0] - colours[:, 2]) / (colours[:, 0] + 1) > 0.3


def observed(take, mps):
    """Every real hand at hand: landmarks in Aria's order, the tracker's wrist normal, the side."""
    stream = take._provider.get_stream_id_from_label("handtracking")
    for row in range(take._provider.get_num_data(stream)):
        sample = take._provider.get_hand_pose_data_by_index(stream, row)
        for side, hand in zip(SIDES, (sample.left_hand, sample.right_hand), strict=True):
            normals = hand.wrist_and_palm_normal_device
            yield np.array(hand.landmark_positions_device), np.array(normals.wrist_normal_device), side
    with (mps / "hand_tracking/hand_tracking_results_v2.csv").open() as file:
        for line in csv.DictReader(file):
            for side in SIDES:
                if float(line[f"{side}_tracking_confidence"]) > 0:
                    points = [[float(line[f"t{a}_{side}_landmark_{n}_device"]) for a in "xyz"] for n in range(21)]
                    yield np.array(points), np.array([float(line[f"n{a}_{side}_wrist_device"]) for a in "xyz"]), side


def test_the_constants_of_the_trackers_wrist_give_the_frame_of_the_formula(take, mps):
    hands = list(observed(take, mps))
    assert len(hands) == 18 + 6
    for landmarks, normal, side in hands:
        wrist, palm, normals = np.zeros((1, 2, 3)), np.ones((1, 2, 3)), np.tile([1.0, 0, 0], (1, 2, 1))
        own = SIDES.index(side)
        wrist[0, own], palm[0, own], normals[0, own] = landmarks[5], landmarks[20], normal
        formula, _ = wrist_frame(to_canonical(landmarks, "aria")[0], side)
        constant = wrist_poses(wrist, palm, normals)[0, own]
        assert np.degrees(rotation_angle(constant[:3, :3], formula[:3, :3])) < 0.5
        np.testing.assert_allclose(constant[:3, 3], formula[:3, 3], atol=1e-9)


def test_landmarks_on_the_right_clock_import_as_the_vrs_does(imports, vrs, take, tmp_path):
    """An MPS folder written here from the VRS: the same wrists, and its pictures with --vrs."""
    write_mps(tmp_path / "m", take)
    imports("aria", vrs, tmp_path / "a.zarr", "--image-size", 189, 252)
    imports("aria", tmp_path / "m", tmp_path / "b.zarr", "--vrs", vrs, "--image-size", 189, 252)
    imports("aria", tmp_path / "m", tmp_path / "c.zarr")
    a, b, c = (only_rows(tmp_path / f"{name}.zarr") for name in "abc")
    np.testing.assert_array_equal(a.valid, b.valid)
    np.testing.assert_allclose(b.action, a.action, atol=2e-4)
    np.testing.assert_allclose(c.action, b.action, atol=1e-6)
    np.testing.assert_allclose(b.raw["camera_pose"], a.raw["camera_pose"], atol=2e-4)
    assert (c.raw["camera_valid"] == 0).all()
    same = [Dataset.open(tmp_path / f"{name}.zarr").jpeg(0, "head", 8) for name in "ab"]
    assert same[0] == same[1]


def test_a_new_map_and_a_damaged_file_are_noticed(imports, take, tmp_path):
    write_mps(tmp_path / "m", take, maps=("one", "two"))
    imports("aria", tmp_path / "m", tmp_path / "d.zarr")
    assert only_rows(tmp_path / "d.zarr").map_id.tolist()[0] == 0
    assert only_rows(tmp_path / "d.zarr").map_id.tolist()[-1] == 1
    hands = tmp_path / "m/hand_tracking/hand_tracking_results.csv"
    text = hands.read_text()
    hands.write_text(text[:-300])
    assert "truncated" in imports.refused("aria", tmp_path / "m", tmp_path / "e.zarr")
    hands.write_text(text.replace("left_tracking_confidence", "left_confidence"))
    assert "'left_tracking_confidence' is missing" in imports.refused("aria", tmp_path / "m", tmp_path / "e.zarr")


def test_the_highest_version_of_a_file_is_read(mps):
    files = find_files(str(mps), "landmarks")
    assert files.hands.name == "hand_tracking_results_v2.csv"
    hands = read_hands(files)
    assert (hands.conf > 0).sum(axis=0).tolist() == [3, 3]
    assert (hands.conf[hands.conf <= 0] == -1).all()


def test_a_folder_without_hands_is_refused(imports, shared, tmp_path):
    assert ".vrs" in imports.refused("aria", shared / "data/aria/gen2/mps_sample", tmp_path / "d.zarr")


def write_mps(folder, take, maps=("one",)):
    """Write the hands and the odometry of a VRS as an MPS folder does, quaternions as xyzw."""
    time_ns, points, conf = take.hands()
    (folder / "hand_tracking").mkdir(parents=True)
    (folder / "slam").mkdir()
    with (folder / "hand_tracking/hand_tracking_results.csv").open("w", newline="") as file:
        names = [f"t{axis}_{side}_landmark_{n}_device" for side in SIDES for n in range(21) for axis in "xyz"]
        out = csv.writer(file)
        out.writerow(["tracking_timestamp_us", "left_tracking_confidence", "right_tracking_confidence", *names])
        for row, stamp in enumerate(time_ns):
            out.writerow([stamp // 1000, *conf[row], *points[row].ravel()])
    stamps = np.arange(time_ns[0] - 1_000_000, time_ns[-1] + 1_000_000, 1_000_000)
    poses, _ = take.device_poses(stamps)
    with (folder / "slam/closed_loop_trajectory.csv").open("w", newline="") as file:
        out = csv.writer(file)
        names = [f"t{axis}_world_device" for axis in "xyz"] + [f"q{axis}_world_device" for axis in "xyzw"]
        out.writerow(["graph_uid", "tracking_timestamp_us", "utc_timestamp_ns", *names])
        for row, (stamp, pose) in enumerate(zip(stamps, poses, strict=True)):
            w, x, y, z = quaternion_from_rotation(pose[:3, :3])
            out.writerow([maps[len(maps) * row // len(stamps)], stamp // 1000, 0, *pose[:3, 3], x, y, z, w])
