"""``egoscale import keypoints``: the exchange form, files of trackers as they are, and what is refused."""

import json

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.importers.exchange import ExchangeImages, write_exchange_episode
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import pose_from_vec9
from egoscale_sdk.hands import wrist_frame
from tests.import_kit import Import, in_camera, moving_hands, only_rows, walking_camera

T = 12
TIMES = np.arange(T, dtype=np.int64) * 33_333_333
POINTS, CAMERA = moving_hands(T), walking_camera(T)
BOTH = np.ones((T, 2))


@pytest.fixture
def imports(capsys):
    return Import(capsys)


def jpegs(count=T, size=(12, 16)):
    picture = np.full((*size, 3), 90, np.uint8)
    return [simplejpeg.encode_jpeg(picture + i, 85) for i in range(count)]


def write_world(path, **more):
    return write_exchange_episode(path, time_ns=TIMES, keypoints=POINTS, valid=BOTH, **more)


def write_bare(path, **arrays):
    np.savez(path, **{"keypoints": POINTS, "time_ns": TIMES, "layout": "mediapipe"} | arrays)
    return path


def assert_placed_in_the_world(rows, points=POINTS):
    assert (rows.valid == 1).all()
    for hand, side in enumerate(("left", "right")):
        wrist, _ = wrist_frame(points[:, hand], side)
        stored = pose_from_vec9(rows.action[:, 9 * hand : 9 * hand + 9])
        np.testing.assert_allclose(stored, wrist, atol=1e-5)
    np.testing.assert_allclose(rows.raw["keypoints"], points, atol=1e-5)


# The exchange form.


def test_what_the_writer_wrote_is_what_the_dataset_holds(imports, tmp_path):
    images = ExchangeImages(jpegs(), TIMES, intrinsics=[[20, 0, 8], [0, 20, 6], [0, 0, 1]])
    labels = {"success": True, "scene": "table"}
    write_world(tmp_path / "a.npz", T_world_camera=CAMERA, images=images, task="lift it", labels=labels)
    summary = imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    assert (summary["embodiment"], summary["imported"], summary["rows"]) == ("human/hands@1", 1, T)
    dataset, rows = Dataset.open(tmp_path / "d.zarr"), only_rows(tmp_path / "d.zarr")
    assert_placed_in_the_world(rows)
    np.testing.assert_allclose(rows.raw["camera_pose"], CAMERA, atol=1e-6)
    assert (rows.raw["camera_valid"] == 1).all()
    assert dataset.episodes[0].labels | {"task": "lift it", **labels} == dataset.episodes[0].labels
    assert [span.text for span in dataset.language(0)] == ["lift it"]
    assert dataset.calibration(0, "head")["height_px"] == 12
    assert dataset.jpeg(0, "head", 5) == images.jpegs[5]
    assert dataset.declaration.native.action_source == "observed"
    assert not dataset.declaration.has_state


def test_a_folder_is_one_recording_of_many_episodes_and_importing_twice_adds_nothing(imports, tmp_path):
    for number in range(3):
        write_exchange_episode(
            tmp_path / f"src/episode_{number:04d}.npz",
            time_ns=TIMES + number,
            keypoints=POINTS,
            valid=BOTH,
        )
    assert imports("keypoints", tmp_path / "src", tmp_path / "d.zarr")["imported"] == 3
    version = Dataset.open(tmp_path / "d.zarr").version
    again = imports("keypoints", tmp_path / "src", tmp_path / "d.zarr")
    assert (again["imported"], again["present"]) == (0, 3)
    assert Dataset.open(tmp_path / "d.zarr").version == version
    (tmp_path / "src").rename(tmp_path / "elsewhere")
    one = imports("keypoints", tmp_path / "elsewhere/episode_0001.npz", tmp_path / "d2.zarr")
    assert one["imported"] == 1


def test_one_bad_episode_costs_no_good_one(imports, tmp_path):
    for name in ("a", "b", "c"):
        write_exchange_episode(tmp_path / f"src/{name}.npz", time_ns=TIMES + ord(name), keypoints=POINTS, valid=BOTH)
    whole = (tmp_path / "src/b.npz").read_bytes()
    (tmp_path / "src/b.npz").write_bytes(whole[: len(whole) // 2])
    line = imports.refused("keypoints", tmp_path / "src", tmp_path / "d.zarr")
    assert "b.npz" in line
    assert "2 were imported" in line
    assert len(Dataset.open(tmp_path / "d.zarr").episodes) == 2


def test_nothing_appears_where_nothing_could_be_imported(imports, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK nothing of an archive")
    assert "a.npz" in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    assert not (tmp_path / "d.zarr").exists()


def test_images_are_kept_byte_for_byte_or_resized(imports, tmp_path):
    write_world(tmp_path / "a.npz", images=ExchangeImages(jpegs(), TIMES))
    imports("keypoints", tmp_path / "a.npz", tmp_path / "native.zarr")
    imports("keypoints", tmp_path / "a.npz", tmp_path / "small.zarr", "--image-size", 6, 8)
    assert Dataset.open(tmp_path / "native.zarr").jpeg(0, "head", 3) == jpegs()[3]
    small = Dataset.open(tmp_path / "small.zarr")
    assert simplejpeg.decode_jpeg_header(small.jpeg(0, "head", 3))[:2] == (6, 8)
    assert not small.declaration.cameras[0].native


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"time_ns": TIMES[::-1]}, "increase"),
        ({"keypoints": POINTS[:, :, :20]}, "shape"),
        ({"keypoints": np.full_like(POINTS, np.nan)}, "NaN"),
        ({"valid": np.ones((T, 3))}, "shape"),
        ({"confidence": np.ones(T - 1)}, "shape"),
        ({"labels": {"colour": "red"}}, "colour"),
    ],
)
def test_the_writer_refuses_what_no_reader_could_read(tmp_path, arrays, complaint):
    good = {"time_ns": TIMES, "keypoints": POINTS, "valid": BOTH}
    with pytest.raises(DataError, match=complaint):
        write_exchange_episode(tmp_path / "a.npz", **(good | arrays))
    assert list(tmp_path.iterdir()) == []


# Where the hand is.


def test_keypoints_of_a_camera_are_placed_by_its_trajectory(imports, tmp_path):
    write_bare(tmp_path / "a.npz", keypoints=in_camera(POINTS, CAMERA), frame="camera", T_world_camera=CAMERA)
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr", "--scale-status", "metric")
    assert_placed_in_the_world(only_rows(tmp_path / "d.zarr"))


def test_without_a_camera_pose_wrists_are_masked_and_hands_kept(imports, tmp_path):
    write_bare(tmp_path / "a.npz", keypoints=in_camera(POINTS, CAMERA))
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    rows = only_rows(tmp_path / "d.zarr")
    assert (rows.valid == [0, 0, 1, 1]).all()
    assert (rows.action[:, :18] == 0).all()
    assert (rows.raw["camera_valid"] == 0).all()
    local = rows.action[:, 18:].reshape(T, 2, 21, 3)
    np.testing.assert_array_equal(rows.raw["keypoints"], local)  # in the wrist frame, for a retargeter
    assert Dataset.open(tmp_path / "d.zarr").declaration.wrist_source == "none"


def test_a_static_camera_must_be_said(imports, tmp_path):
    write_bare(tmp_path / "a.npz")
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr", "--camera", "static")
    assert_placed_in_the_world(only_rows(tmp_path / "d.zarr"))
    assert any("static" in note for note in Dataset.open(tmp_path / "d.zarr").declaration.assumptions)


def test_an_unknown_scale_refuses_wrists_unless_it_is_given(imports, tmp_path):
    shrunk = CAMERA.copy()
    shrunk[:, :3, 3] /= 4.0
    write_bare(
        tmp_path / "a.npz", keypoints=in_camera(POINTS, CAMERA), T_world_camera=shrunk, scale="unknown", frame="camera"
    )
    line = imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    assert "scale" in line
    assert "--scale" in line
    assert not (tmp_path / "d.zarr").exists()
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr", "--scale", 4.0)
    assert_placed_in_the_world(only_rows(tmp_path / "d.zarr"))
    imports("keypoints", tmp_path / "a.npz", tmp_path / "masked.zarr", "--mask-wrists")
    assert (only_rows(tmp_path / "masked.zarr").valid == [0, 0, 1, 1]).all()


def test_a_scale_that_nobody_states_is_unknown(imports, tmp_path):
    write_bare(tmp_path / "a.npz", keypoints=in_camera(POINTS, CAMERA), T_world_camera=CAMERA)
    assert "scale" in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")


def tum_lines(poses, seconds):
    from scipy.spatial.transform import Rotation

    quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()  # xyzw, as TUM files have them
    return [
        " ".join(f"{v:.9f}" for v in (s, *p, *q)) for s, p, q in zip(seconds, poses[:, :3, 3], quaternions, strict=True)
    ]


def test_a_tum_trajectory_beside_the_file_is_read_as_xyzw_on_the_same_clock(imports, tmp_path):
    pytest.importorskip("scipy")
    write_bare(tmp_path / "a.npz", keypoints=in_camera(POINTS, CAMERA))
    lines = ["# scale: metric", *tum_lines(CAMERA, TIMES / 1e9)]
    (tmp_path / "a.trajectory.txt").write_text("\n".join(lines))
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    assert_placed_in_the_world(only_rows(tmp_path / "d.zarr"))


def test_a_trajectory_on_another_clock_is_refused_and_both_spans_are_named(imports, tmp_path):
    pytest.importorskip("scipy")
    write_bare(tmp_path / "a.npz")
    (tmp_path / "t.txt").write_text("\n".join(tum_lines(CAMERA, TIMES / 1e9 + 1000)))
    words = ("--trajectory", tmp_path / "t.txt", "--scale-status", "metric")
    line = imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr", *words)
    assert "clocks do not match" in line
    assert "1000.000" in line


def test_rows_before_and_after_the_trajectory_have_no_wrist(imports, tmp_path):
    pytest.importorskip("scipy")
    write_bare(tmp_path / "a.npz", keypoints=in_camera(POINTS, CAMERA))
    (tmp_path / "t.txt").write_text("\n".join(tum_lines(CAMERA[3:9], TIMES[3:9] / 1e9)))
    words = ("--trajectory", tmp_path / "t.txt", "--scale-status", "metric")
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr", *words)
    valid = only_rows(tmp_path / "d.zarr").valid
    assert valid[:, 0].tolist() == [0] * 3 + [1] * 6 + [0] * 3
    assert (valid[:, 2:] == 1).all()


def test_matrices_as_text_serve_too(imports, tmp_path):
    write_bare(tmp_path / "a.npz", keypoints=in_camera(POINTS, CAMERA))
    np.savetxt(tmp_path / "t.txt", CAMERA.reshape(T, 16), header="scale: metric")
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr", "--trajectory", tmp_path / "t.txt")
    assert_placed_in_the_world(only_rows(tmp_path / "d.zarr"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1 2 3", "numbers"),
        ("1 2 3 four 5 6 7 8", "line of numbers"),
        ("0 0 0 0 0 0 0 0", "quaternion"),
        ("0 0 0 nan 0 0 0 1", "NaN"),
        (" ".join(["-1", *map(str, np.diag([1, 1, -1, 1]).ravel())]), "rigid"),
        ("# scale: rough\n0 0 0 0 0 0 0 1", "rough"),
        ("1 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1", "increase"),
        ("", "numbers"),
    ],
)
def test_a_malformed_trajectory_is_refused(imports, tmp_path, text, complaint):
    write_bare(tmp_path / "a.npz")
    (tmp_path / "t.txt").write_text(text)
    words = ("--trajectory", tmp_path / "t.txt", "--scale-status", "metric")
    assert complaint in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr", *words)


def test_a_mirrored_or_transposed_camera_pose_is_refused(imports, tmp_path):
    write_bare(tmp_path / "a.npz", T_world_camera=CAMERA @ np.diag([1.0, 1, -1, 1]), scale="metric")
    assert "rigid" in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")


# Hands that are absent, frozen, in other units or of the other side.


def test_an_absent_hand_is_absent_however_the_tracker_says_so(imports, tmp_path):
    points, conf = POINTS.copy(), np.full((T, 2), 0.9)
    points[0, 0], points[1, 0] = 0, np.nan
    conf[2, 0], conf[3, 0] = -1, 0
    write_bare(tmp_path / "a.npz", keypoints=points, confidence=conf, frame="world")
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    rows = only_rows(tmp_path / "d.zarr")
    assert rows.valid[:, 0].tolist() == [0] * 4 + [1] * (T - 4)
    assert (rows.valid[:, 1] == 1).all()
    assert (rows.action[:4, :9] == 0).all()
    assert (rows.conf[:4, 0] == 0).all()
    np.testing.assert_allclose(rows.conf[4:, 0], 0.9, atol=0.005)


def test_a_value_that_is_repeated_without_a_flag_is_no_observation(imports, tmp_path):
    points = POINTS.copy()
    points[4:9, 1] = points[3, 1]  # five repeats
    points[10, 0] = points[9, 0]  # one repeat may be chance
    write_bare(tmp_path / "a.npz", keypoints=points, frame="world")
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    valid = only_rows(tmp_path / "d.zarr").valid
    assert valid[:, 3].tolist() == [1] * 4 + [0] * 5 + [1] * 3
    assert (valid[:, 2] == 1).all()


def test_where_the_writer_states_validity_a_resting_hand_stays_valid(imports, tmp_path):
    still = np.repeat(POINTS[:1], T, axis=0)
    write_exchange_episode(tmp_path / "a.npz", time_ns=TIMES, keypoints=still, valid=BOTH)
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    assert (only_rows(tmp_path / "d.zarr").valid == 1).all()


@pytest.mark.parametrize(("factor", "unit"), [(1000, "millimetres"), (100, "centimetres")])
def test_a_hand_in_other_units_is_refused(imports, tmp_path, factor, unit):
    write_bare(tmp_path / "a.npz", keypoints=POINTS * factor)
    assert unit in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")


def test_the_wrong_side_and_left_handed_axes_are_refused(imports, tmp_path):
    write_bare(tmp_path / "one.npz", keypoints=POINTS[:, 1])
    write_bare(tmp_path / "mirrored.npz", keypoints=POINTS * [1, 1, -1])
    line = imports.refused("keypoints", tmp_path / "one.npz", tmp_path / "d.zarr", "--side", "left")
    assert "bend backwards" in line
    assert "left-handed" in imports.refused("keypoints", tmp_path / "mirrored.npz", tmp_path / "d.zarr")
    imports("keypoints", tmp_path / "one.npz", tmp_path / "d.zarr", "--side", "right")


def test_a_confidence_in_percent_is_refused(imports, tmp_path):
    write_bare(tmp_path / "a.npz", confidence=np.full((T, 2), 90.0))
    assert "0 to 1" in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")


def test_a_gap_in_time_and_a_jump_of_the_world_start_a_new_map(imports, tmp_path):
    times, points = TIMES.copy(), POINTS.copy()
    times[5:] += 6_000_000_000
    jump = CAMERA.copy()
    jump[9:, :3, 3] += 3.0
    write_bare(tmp_path / "a.npz", time_ns=times, keypoints=in_camera(points, CAMERA), T_world_camera=jump)
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr", "--scale-status", "metric")
    assert only_rows(tmp_path / "d.zarr").map_id.tolist() == [0] * 5 + [1] * 4 + [2] * 3


# Rotations, captions, CSV, hostile files.


def test_rotations_of_joints_are_kept_in_the_world(imports, tmp_path):
    quaternions = np.zeros((T, 2, 21, 4))
    quaternions[..., 0] = 1  # joints turned with the camera
    write_bare(
        tmp_path / "a.npz",
        keypoints=in_camera(POINTS, CAMERA),
        T_world_camera=CAMERA,
        scale="metric",
        keypoint_quat_wxyz=quaternions,
    )
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    from egoscale_sdk.geometry import rotation_from_quaternion

    stored = rotation_from_quaternion(only_rows(tmp_path / "d.zarr").raw["keypoint_quat_wxyz"])
    np.testing.assert_allclose(stored, np.broadcast_to(CAMERA[:, None, None, :3, :3], stored.shape), atol=1e-5)


def test_a_side_file_says_what_the_arrays_do_not(imports, tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=POINTS, rate_hz=30.0)
    captions = [{"text": "reach", "start": 0, "stop": 6, "kind": "subtask"}]
    facts = {"layout": "openpose", "frame": "world", "task": "pour", "captions": captions, "labels": {"success": True}}
    (tmp_path / "a.json").write_text(json.dumps(facts))
    imports("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    assert_placed_in_the_world(only_rows(tmp_path / "d.zarr"))
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert [(span.text, span.stop, span.kind) for span in dataset.language(0)] == [
        ("pour", T, "task"),
        ("reach", 6, "subtask"),
    ]
    assert dataset.episodes[0].labels["success"] is True
    (tmp_path / "a.json").write_text(json.dumps({"layuot": "openpose"}))
    assert "layuot" in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "e.zarr")


def test_the_csv_form_holds_the_same_as_the_npz_form(imports, tmp_path):
    from egoscale_sdk.hands import KEYPOINTS

    names = [f"{side}_{joint}_{axis}" for side in ("left", "right") for joint in KEYPOINTS for axis in "xyz"]
    lines = [",".join(["time_ns", *names, "left_confidence"])]
    for t in range(T):
        cells = [f"{value:.9f}" for value in POINTS[t].ravel()]
        if t == 7:
            cells[:63] = [""] * 63
        lines.append(",".join([str(TIMES[t]), *cells, "0.5"]))
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert "--layout" in imports.refused("keypoints", tmp_path / "a.csv", tmp_path / "d.zarr")
    imports("keypoints", tmp_path / "a.csv", tmp_path / "d.zarr", "--layout", "mediapipe", "--frame", "world")
    rows = only_rows(tmp_path / "d.zarr")
    assert rows.valid[7].tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(rows.conf[0], [0.5, 1, 0.5, 1], atol=0.005)
    kept = [t for t in range(T) if t != 7]
    np.testing.assert_allclose(rows.raw["keypoints"][kept], POINTS[kept], atol=1e-5)
    (tmp_path / "b.csv").write_text("\n".join([*lines[:5], lines[5][:40]]))
    assert "truncated" in imports.refused("keypoints", tmp_path / "b.csv", tmp_path / "e.zarr", "--layout", "mediapipe")


def test_a_file_of_pickled_objects_is_never_unpickled(imports, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.savez(tmp_path / "a.npz", keypoints=np.array([Trap()], dtype=object), layout="mediapipe")
    imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    assert not (tmp_path / "sprung").exists()


def test_a_video_outside_the_folder_is_not_opened(imports, tmp_path):
    write_bare(tmp_path / "a.npz", video="../secret.mp4")
    assert "same folder" in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--layout", "mediapip"), "did you mean 'mediapipe'"),
        (("--embodiment", "sharpa/wave"), "reads the hands of people"),
        (("--embodiment", "human/hads"), "human/hands"),
        (("--image-size", "12"), "image-size"),
        (("--image-size", "0", "9"), "--image-size: Input should be greater than 0"),
        (("--lay", "x"), "--lay"),
    ],
)
def test_a_wrong_flag_is_one_line(imports, tmp_path, words, complaint):
    write_bare(tmp_path / "a.npz")
    assert complaint in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr", *words)


def test_missing_sources_and_importers_are_named(imports, tmp_path):
    assert "no such file" in imports.refused("keypoints", tmp_path / "none", tmp_path / "d.zarr")
    assert "did you mean 'keypoints'" in imports.refused("keypoint", tmp_path, tmp_path / "d.zarr")
    assert "no .npz or .csv" in imports.refused("keypoints", tmp_path, tmp_path / "d.zarr")


# Real files.


def test_mediapipe_keypoints_of_a_webcam_as_they_are(imports, shared, tmp_path):
    folder = shared / "data/webcam_hand"
    assert "which" in imports.refused("keypoints", folder, tmp_path / "d.zarr", "--layout", "mediapipe")
    words = ("--layout", "mediapipe", "--side", "right")
    summary = imports("keypoints", folder, tmp_path / "d.zarr", *words)
    assert (summary["imported"], summary["rows"]) == (1, 621)
    rows = only_rows(tmp_path / "d.zarr")
    assert (rows.valid[:, [0, 1, 2]] == 0).all()  # centred on the wrist: nobody knows where it was
    assert rows.valid[:, 3].mean() > 0.99
    source = np.load(folder / "human_joint_right.npz")["keypoints"]
    wrist, _ = wrist_frame(source.astype(np.float64), "right")
    np.testing.assert_allclose(
        rows.raw["keypoints"][:, 1], np.einsum("tji,tkj->tki", wrist[:, :3, :3], source), atol=1e-5
    )
    line = imports.refused("keypoints", folder, tmp_path / "e.zarr", *words, "--camera", "static")
    assert "centred on the wrist" in line


@pytest.mark.slow
def test_the_video_of_the_webcam_has_one_frame_per_row(imports, shared, tmp_path):
    pytest.importorskip("av", reason="needs the extra 'keypoints'")
    folder = shared / "data/webcam_hand"
    words = ("--layout", "mediapipe", "--side", "right", "--image-size", 72, 128)
    video = ("--video", folder / "human_hand_video.mp4")
    imports("keypoints", folder / "human_joint_right.npz", tmp_path / "d.zarr", *words, *video)
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert simplejpeg.decode_jpeg_header(dataset.jpeg(0, "head", 620))[:2] == (72, 128)


def test_hololens_files_as_they_are(imports, shared, tmp_path):
    folder = shared / "data/hololens2"
    assert "--layout hololens" in imports.refused("keypoints", folder, tmp_path / "d.zarr")
    summary = imports("keypoints", folder, tmp_path / "d.zarr", "--layout", "hololens")
    assert (summary["imported"], summary["rows"]) == (2, 2709 + 2613)
    dataset = Dataset.open(tmp_path / "d.zarr")
    seen = [dataset.rows(n).valid.sum(axis=0).tolist() for n in range(2)]
    # rows with a hand in the files: 2637 of the left and 16 of the right, then 62 and 2333
    assert seen[0] == [0, 0, 2637, 16]
    assert seen[1][:2] == [0, 0]  # no camera pose, no wrist
    assert (seen[1][2], seen[1][3]) == (62, 2333 - 3)  # three rows repeat the one before to the millimetre
    assert abs(dataset.declaration.fps - 23.6) < 1


def test_hololens_axes_are_turned_right_handed_and_sides_told_by_the_fingers(imports, shared, tmp_path):
    words = ("--layout", "hololens", "--frame", "world", "--side", "left")
    imports("keypoints", shared / "data/hololens2", tmp_path / "d.zarr", *words)
    rows = Dataset.open(tmp_path / "d.zarr").rows(0)
    assert (rows.valid[:, [1, 3]] == 0).all()
    hand = rows.action[rows.valid[:, 2] > 0, 18 : 18 + 63].reshape(-1, 21, 3)
    assert np.median(hand[:, [8, 12, 16, 20], 0] - hand[:, [5, 9, 13, 17], 0]) > 0.01  # fingers curl to the palm
    assert np.median(hand[:, 4, 1]) < 0  # the thumb of a left hand is on -y
