"""``egoscale import mocap``: sessions whose truth is known; devices on clocks of their own become one row."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.importers.mocap import MocapImporter, MocapOptions
from egoscale_sdk.data.importers.mocap_clock import fit_clock, session_clocks
from egoscale_sdk.data.importers.mocap_session import SessionSpec, find_sessions
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import pose_from_vec9, rotation_angle, rotation_from_quaternion
from egoscale_sdk.specs import Provider
from tests import mocap_fixture as truth
from tests.data_kit import human_spec, robot_spec
from tests.import_kit import Import
from tests.mocap_fixture import CLOCKS, START, STOP, own_time, write_poses, write_session

pytest.importorskip("pyarrow", reason="needs the extra 'mocap'")
pytest.importorskip("av", reason="needs the extra 'mocap'")
PROVIDER = Provider(distribution="egoscale-human", version="1.0")


@pytest.fixture
def imports(capsys):
    return Import(capsys)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """One good session, not to be changed."""
    return write_session(tmp_path_factory.mktemp("mocap") / "towel_human")


def test_the_session_in_the_docs_is_one():
    page = (Path(__file__).parents[1] / "docs/mocap_session.md").read_text()
    session = SessionSpec.model_validate(tomllib.loads(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0]))
    assert (session.takes[0].name, session.cameras[0].times) == ("003", "head_times.csv")


def opened(source, spec=None, **options):
    return MocapImporter().open(str(source), spec or human_spec(), PROVIDER, MocapOptions(**options))


def read(source, spec=None, number=0, **options):
    recording = opened(source, spec, **options)
    return recording.read(recording.keys[number])


def seconds(episode) -> np.ndarray:
    return episode.time_ns / 1e9


# People.


def test_wrists_and_keypoints_are_those_of_the_truth_at_every_row(session):
    episode = read(session)
    assert (episode.valid == 1).all()
    assert seconds(episode)[0] == pytest.approx(START, abs=0.003)
    np.testing.assert_allclose(np.diff(episode.time_ns), 1e9 / 30, atol=1)
    for row, t in enumerate(seconds(episode)):
        for number, side in enumerate(truth.SIDES):
            wrist, points = truth.wrist_pose(t, side), truth.hand_points(t, side)
            found = pose_from_vec9(episode.action[row, 9 * number : 9 * number + 9].astype(float))
            np.testing.assert_allclose(found[:3, 3], wrist[:3, 3], atol=2e-4)  # 0.2 ms of noise in the events
            assert rotation_angle(found[:3, :3], wrist[:3, :3]) < 1e-3
            hand = episode.action[row, 18 + 63 * number : 81 + 63 * number].reshape(21, 3)
            np.testing.assert_allclose(hand, points, atol=1e-4)
            world = points @ wrist[:3, :3].T + wrist[:3, 3]
            np.testing.assert_allclose(episode.raw["keypoints"][row, number], world, atol=4e-4)
            turns = rotation_from_quaternion(episode.raw["keypoint_quat_wxyz"][row, number].astype(float))
            assert rotation_angle(turns, wrist[:3, :3] @ truth.joint_turns(t)).max() < 2e-3
        np.testing.assert_allclose(episode.raw["camera_pose"][row], truth.head_camera_pose(t), atol=4e-4)
    assert (episode.raw["camera_valid"] == 1).all()


def test_keypoints_are_exact_where_clocks_are_given_and_rows_fall_on_samples(tmp_path):
    folder = write_session(tmp_path / "s", clocks="given", cameras=False)
    rows = np.arange(START, STOP, 1 / 30)
    for side in truth.SIDES:
        frames = truth.glove_frames(rows, side)
        np.savez(folder / f"{side}_glove.npz", time_s=own_time(rows, "manus"), transforms=frames)
        write_poses(folder / f"{side}.csv", rows, [truth.tracker_pose(t, side) for t in rows])
    write_poses(folder / "head.csv", rows, [truth.head_camera_pose(t) for t in rows])
    episode = read(folder)
    points = [truth.hand_points(t, "right") for t in seconds(episode)]
    np.testing.assert_allclose(episode.action[:, 81:].reshape(-1, 21, 3), points, atol=2e-6)
    wrists = [truth.wrist_pose(t, "left") for t in seconds(episode)]
    np.testing.assert_allclose(pose_from_vec9(episode.action[:, :9].astype(float)), wrists, atol=2e-6)


def test_every_picture_keeps_its_own_stamp_and_rows_see_the_newest(session, imports, tmp_path):
    summary = imports("mocap", session, tmp_path / "d.zarr")
    assert (summary["embodiment"], summary["imported"], summary["failed"]) == ("human/hands@1", 1, {})
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert [(c.name, c.mount) for c in dataset.declaration.cameras] == [
        (n, n) for n in ("head", "left_wrist", "right_wrist")
    ]
    rows = dataset.rows(0)
    for name, rate in (("head", 30), ("left_wrist", 15), ("right_wrist", 15)):
        stamps = truth.camera_stamps(rate)
        for row in range(5, len(rows.time_ns), 17):
            t = rows.time_ns[row] / 1e9
            newest = int(np.searchsorted(stamps, t + 0.001 + 1e-4, side="right")) - 1
            if np.abs(stamps - t - 0.001).min() < 5e-4:
                continue  # too near to tell, with 0.2 ms of noise in the events
            grey = float(dataset.image(0, name, row).mean())
            assert abs(grey - (newest % 200 + 20)) < 3, (name, row)
    calibration = dataset.calibration(0, "head")
    assert (calibration["height_px"], calibration["distortion"]) == (24, [0.1, 0.0])
    assert dataset.episodes[0].labels == {"aligned_group": "towel_07", "scene": "lab", "task": "fold the towel"}
    assert dataset.declaration.wrist_source == "tracker"
    assert imports("mocap", session, tmp_path / "d.zarr")["imported"] == 0


def test_dropouts_are_masked_and_nothing_else(session, tmp_path):
    folder = write_session(tmp_path / "s", cameras=False)
    times = np.arange(START - 0.5, STOP + 0.5, 1 / 90)
    lost = (times > START + 1) & (times < START + 1.5)
    poses = [None if gone else truth.tracker_pose(t, "left") for t, gone in zip(times, lost, strict=True)]
    write_poses(folder / "left.csv", times, poses)
    gloves = np.arange(START - 0.5, STOP + 0.5, 1 / 120)
    kept = (gloves < START + 4) | (gloves > START + 4.5)  # samples that are not there at all
    frames = truth.glove_frames(gloves[kept], "right")
    np.savez(folder / "right_glove.npz", time_s=own_time(gloves[kept], "manus"), transforms=frames)
    frozen = truth.glove_frames(gloves, "left")
    held = (gloves > START + 2.5) & (gloves < START + 3)
    frozen[held] = frozen[np.flatnonzero(held)[0]]  # the glove repeats its last value
    np.savez(folder / "left_glove.npz", time_s=own_time(gloves, "manus"), transforms=frozen)
    episode, t = read(folder), seconds(read(folder)) - START
    for column, (start, stop) in ((0, (1, 1.5)), (2, (2.5, 3)), (3, (4, 4.5))):
        inside, outside = (t > start + 0.02) & (t < stop - 0.02), (t < start - 0.02) | (t > stop + 0.02)
        assert (episode.valid[inside, column] == 0).all(), column
        assert (episode.valid[outside, column] == 1).all(), column
    assert (episode.valid[:, 1] == 1).all()
    blocks = (slice(0, 9), slice(9, 18), slice(18, 81), slice(81, 144))
    for column, block in enumerate(blocks):
        assert (episode.action[episode.valid[:, column] == 0, block] == 0).all()
    good = (episode.valid[:, 0] == 1).nonzero()[0]
    wrists = np.array([truth.wrist_pose(s + START, "left")[:3, 3] for s in t[good]])
    np.testing.assert_allclose(episode.action[good, :3], wrists, atol=2e-4)


def test_gloves_without_trackers_have_hands_and_no_wrists(tmp_path):
    folder = write_session(tmp_path / "s", cameras=False)
    text = (folder / "session.toml").read_text()
    blocks = text.split("[[")
    (folder / "session.toml").write_text("[[".join(b for b in blocks if not b.startswith("trackers")))
    recording = opened(folder)
    episode = recording.read(recording.keys[0])
    assert recording.declaration.wrist_source == "none"
    assert (episode.valid == [0, 0, 1, 1]).all()
    assert (episode.action[:, :18] == 0).all()


def test_a_session_is_cut_into_takes_with_words_of_their_own(tmp_path):
    takes = f"""
[[takes]]
name = "one"
start_s = {START + 1}
stop_s = {START + 3}
captions = [{{ text = "grasp", start_s = {START + 1}, stop_s = {START + 2}, kind = "subtask" }}]

[[takes]]
name = "two"
start_s = {START + 5}
task = "unfold it"
labels = {{ success = true }}
"""
    folder = write_session(tmp_path / "s", more=takes)
    recording = opened(folder)
    assert [key.partition("#")[0] for key in recording.keys] == ["s/one", "s/two"]
    one, two = (recording.read(key) for key in recording.keys)
    assert len(one.time_ns) == 61
    assert seconds(one)[0] == pytest.approx(START + 1, abs=1e-6)
    assert seconds(two)[0] == pytest.approx(START + 5, abs=1e-6)
    assert [(s.text, s.start, s.stop, s.kind) for s in one.language] == [
        ("fold the towel", 0, 61, "task"),
        ("grasp", 0, 30, "subtask"),
    ]
    assert two.labels == {"aligned_group": "towel_07", "scene": "lab", "success": True, "task": "unfold it"}
    head = one.images["head"]
    assert head.time_ns[0] >= one.time_ns[0] - 500_000_000
    assert head.time_ns[-1] <= one.time_ns[-1]
    first = int(np.searchsorted(truth.camera_stamps(30), head.time_ns[0] / 1e9 - 5e-4))
    assert abs(float(simplejpeg.decode_jpeg(head.jpegs[0]).mean()) - (first % 200 + 20)) < 3


def test_parquet_and_csv_tables_are_read_alike(session, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = write_session(tmp_path / "s", cameras=False)
    expected = read(folder)
    with np.load(folder / "left_glove.npz") as arrays:
        points, time_s = arrays["transforms"][..., :3, 3], arrays["time_s"]
    from egoscale_sdk.hands import layout_named

    names = [f"{joint}_{axis}" for joint in layout_named("manus").joints for axis in "xyz"]
    columns = dict(zip(names, 1000 * points.reshape(len(points), -1).T, strict=True))
    pq.write_table(
        pa.table({"time_ns": np.round(time_s * 1e9).astype(np.int64), **columns}), folder / "left_glove.parquet"
    )
    text = (folder / "session.toml").read_text()
    text = text.replace('file = "left_glove.npz"', 'file = "left_glove.parquet"\nunit = "mm"')
    (folder / "session.toml").write_text(text)
    found = read(folder)
    np.testing.assert_allclose(found.action, expected.action, atol=1e-6)
    quat = found.raw["keypoint_quat_wxyz"]
    np.testing.assert_array_equal(quat[:, 0], np.broadcast_to([1, 0, 0, 0], quat[:, 0].shape))  # untold
    np.testing.assert_allclose(quat[:, 1], expected.raw["keypoint_quat_wxyz"][:, 1], atol=1e-6)


def test_sessions_of_one_name_are_told_apart_by_what_is_in_them(tmp_path):
    first = write_session(tmp_path / "monday/s", cameras=False)
    shutil.copytree(first, tmp_path / "copy/s")
    shutil.copytree(first, tmp_path / "tuesday/s")
    text = (first / "left.csv").read_text()
    (tmp_path / "tuesday/s/left.csv").write_text(text.replace("7", "8", 1))  # of the same size
    keys = [opened(tmp_path / day).keys[0] for day in ("monday", "copy", "tuesday")]
    assert keys[0] == keys[1] != keys[2]


# Clocks.


def test_offsets_and_drifts_are_recovered_to_less_than_a_millisecond(session):
    clocks = session_clocks(find_sessions(str(session))[0])
    for name, (_, drift) in CLOCKS.items():
        t = np.linspace(START, STOP, 50)
        found = clocks[name].to_master(own_time(t, name), "") / 1e9
        assert np.abs(found - t).max() < 0.0005, name
        assert clocks[name].rate == pytest.approx(1 + drift, abs=2e-5)


def test_one_event_gives_the_offset_and_close_ones_no_drift():
    clock = fit_clock(np.array([5.0]), np.array([105.0]), "")
    assert clock.to_master(np.array([6.0]), "")[0] == 106 * 10**9
    clock = fit_clock(np.array([5.0, 6.0]), np.array([105.0, 106.002]), "")
    assert clock.rate == 1.0


@pytest.mark.parametrize(
    ("own", "master", "complaint"),
    [
        ([], [], "no event that the master clock saw"),
        ([1.0, 100.0, 200.0], [1.0, np.nan, 200.0], "not finite"),
        ([0.0, 50.0, 100.0, 150.0], [0.0, 51.0, 105.0, 100.0], "disagree|drifts"),
        ([0.0, 5e4, 1e5], [0.0, 50.0, 100.0], "drifts by .* are its stamps in seconds"),
    ],
)
def test_events_that_make_no_clock_are_refused(own, master, complaint):
    with pytest.raises(DataError, match=complaint):
        fit_clock(np.array(own), np.array(master), "sync.csv")


# Robots.


def write_robot(folder, *, tracked=True, names=("right_0", "right_1", "right_2")):
    """A robot hand whose commands lead its state by 0.1 s, and whose wrist is tracked."""
    folder.mkdir(parents=True)
    times = np.arange(START, STOP, 1 / 200)
    for role, lead in (("measured", 0.0), ("commanded", 0.1)):
        values = joint_truth(times + lead)
        table = np.column_stack([times, values])
        lines = [",".join(["time_s", *names]), *(",".join(map(repr, map(float, row))) for row in table)]
        (folder / f"{role}.csv").write_text("\n".join(lines))
    text = ['format = "egoscale-mocap/1"', 'kind = "robot"', 'embodiment = "acme/hand"', 'master = "host"']
    text += ["lead_s = 0.1", 'labels = { aligned_group = "towel_07" }']
    for role in ("measured", "commanded"):
        text += ["[[joints]]", f'role = "{role}"', f'file = "{role}.csv"']
    if tracked:
        write_poses(folder / "wrist.csv", times, [truth.tracker_pose(t, "right") for t in times], clock="")
        mount = f"{{ xyz_m = {list(truth.MOUNT['right'])}, quat_wxyz = {list(map(float, truth.MOUNT_QUAT))} }}"
        text += ["[[trackers]]", 'target = "right_wrist"', 'file = "wrist.csv"', f"T_tracker_target = {mount}"]
    (folder / "session.toml").write_text("\n".join(text))
    return folder


def joint_truth(t):
    return 0.5 * np.sin(np.asarray(t)[:, None] * [0.5, 0.8, 1.1])


def test_a_robot_has_state_and_command_by_its_joints_and_wrists_by_its_tracker(tmp_path):
    episode = read(write_robot(tmp_path / "r"), robot_spec())
    t = seconds(episode)
    np.testing.assert_allclose(episode.state[:, 9:], joint_truth(t), atol=1e-5)
    np.testing.assert_allclose(episode.action[:, 9:], joint_truth(t + 0.1), atol=1e-5)
    wrists = [truth.wrist_pose(s, "right") for s in t]
    np.testing.assert_allclose(pose_from_vec9(episode.state[:, :9].astype(float)), wrists, atol=1e-5)
    assert (episode.state_valid == 1).all()
    assert (episode.valid == [0, 1]).all()  # nobody commanded the wrist
    assert opened(tmp_path / "r", robot_spec()).declaration.native.lead_s == 0.1


def test_a_real_embodiments_wrists_come_from_its_arms(imports, tmp_path):
    from egoscale_sdk.host import default_host
    from egoscale_sdk.kinematics import SpecEmbodiment, wrists_of_arms

    spec = default_host().spec("unitree/g1_inspire")
    folder = write_robot(tmp_path / "r", tracked=False)
    text = (folder / "session.toml").read_text().replace("acme/hand", "unitree/g1_inspire")
    (folder / "session.toml").write_text(text)
    rng, times = np.random.default_rng(0), np.arange(START, STOP, 1 / 30)
    low, high = (np.array([getattr(joint, side) for joint in spec.joints]) for side in ("lower", "upper"))
    values = (low + high) / 2 + 0.2 * (high - low) * np.sin(times[:, None] + rng.uniform(0, 6, len(low)))
    for role in ("measured", "commanded"):
        header = ",".join(["time_s", *(joint.name for joint in spec.joints)])
        np.savetxt(folder / f"{role}.csv", np.column_stack([times, values]), delimiter=",", header=header, comments="")
    assert imports("mocap", folder, tmp_path / "d.zarr")["embodiment"] == "unitree/g1_inspire@1"
    rows = Dataset.open(tmp_path / "d.zarr").rows(0)
    assert (rows.valid == 1).all()
    assert (rows.state_valid == 1).all()
    width = len(spec.arm("left").joints)
    left = wrists_of_arms(SpecEmbodiment(spec), {"left": rows.raw["arm_state"][:, :width].astype(float)})["left"]
    np.testing.assert_allclose(pose_from_vec9(rows.state[:, :9].astype(float)), left, atol=1e-5)


def test_people_and_robots_of_one_task_are_matched_by_their_group(tmp_path, session):
    (tmp_path / "all").mkdir()
    write_robot(tmp_path / "all/towel_robot")
    shutil.copytree(session, tmp_path / "all/towel_human")
    with pytest.raises(DataError, match=r"2 embodiments.*allowed: acme/hand, human/hands"):
        MocapImporter().embodiment_for(str(tmp_path / "all"), [])
    groups = [read(tmp_path / "all", spec).labels["aligned_group"] for spec in (human_spec(), robot_spec())]
    assert groups == ["towel_07", "towel_07"]
    with pytest.raises(DataError, match="holds no session of acme/other@1"):
        opened(tmp_path / "all", robot_spec(name="acme/other@1"))


# Hostile input.


def spoil_table(folder, name, change):
    with np.load(folder / name) as arrays:
        np.savez(folder / name, **(dict(arrays) | change(dict(arrays))))


@pytest.mark.parametrize(
    ("replace", "complaint"),
    [
        (('file = "left.csv"', 'file = "none.csv"'), r"session\.toml:trackers: 'none.csv' is missing"),
        (('file = "left.csv"', 'file = "../left.csv"'), "path '../left.csv' leaves the folder"),
        (('file = "left.csv"', 'file = "/etc/passwd"'), "path '/etc/passwd' leaves the folder"),
        (('clock = "vive"', 'clock = "viv"'), "clock 'viv' is not among.*did you mean 'vive'"),
        (("egoscale-mocap/1", "egoscale-mocap/2"), "session.toml:format: Input should be 'egoscale-mocap/1'"),
        (('layout = "manus"', 'layout = "mnaus"'), "unknown hand layout 'mnaus'"),
        (('layout = "manus"', 'layout = "mano"'), "has 25 transforms .*the layout has 21"),
        (('target = "head"', 'target = "left_wrist"'), "two trackers are 'measured left_wrist'"),
        (('kind = "human"', 'kind = "robot"'), "a robot needs two tables of joints"),
        (('sync = "sync.csv"', ""), "no table of events"),
        (('master = "host"', 'master = "hots"'), "no event that the master clock saw"),
        (("T_tracker_target = {}", "T_tracker_target = { quat_wxyz = [1, 1, 0, 0] }"), "quat_wxyz must have norm 1"),
        (("quat_wxyz", "quat_xyzw"), "T_tracker_target.quat_xyzw: Extra inputs"),
        (('master = "host"', 'master = "host'), "is no readable TOML"),
    ],
)
def test_a_session_that_cannot_be_is_refused_by_file_and_field(tmp_path, imports, replace, complaint):
    folder = write_session(tmp_path / "s", cameras=False, replace=[replace])
    assert re.search(complaint, imports.refused("mocap", folder, tmp_path / "d.zarr"))
    assert not (tmp_path / "d.zarr").exists()


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("left_glove.npz", lambda a: {"time_s": a["time_s"][::-1]}, "stamps do not increase at row 1"),
        ("left_glove.npz", lambda a: {"time_s": a["time_s"] * np.nan}, "stamp of row 0 is not finite"),
        ("left_glove.npz", lambda a: {"time_s": a["time_s"][:-1]}, "rows for .* stamps"),
        ("left_glove.npz", lambda a: {"time_s": a["time_s"] + 9000}, "clocks do not match"),
        ("left_glove.npz", lambda a: {"transforms": a["transforms"][:, :24]}, "has 24 transforms"),
        ("left_glove.npz", lambda a: {"transforms": a["transforms"] * np.nan}, "has no valid hand"),
        ("left_glove.npz", lambda a: {"transforms": scaled(a["transforms"])}, "divide them"),
        ("left_glove.npz", lambda a: {"transforms": mirror(a["transforms"])}, "bend backwards"),
        ("left_glove.npz", lambda a: {"transforms": a["transforms"] * 1000}, "no rigid transforms"),
    ],
)
def test_tables_that_cannot_be_are_refused(tmp_path, name, change, complaint):
    folder = write_session(tmp_path / "s")
    spoil_table(folder, name, change)
    with pytest.raises(DataError, match=complaint):
        read(folder, skip_images=True)


def mirror(transforms):
    """The hand in left-handed axes; rotations stay rotations."""
    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    return flip @ transforms @ flip


def scaled(transforms):
    out = transforms.copy()
    out[..., :3, 3] *= 1000
    return out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time_s,x,y,z,qw,qx,qy,qz\n", "has no rows"),
        ("t,x,y,z,qw,qx,qy,qz\n1,0,0,0,1,0,0,0\n", "has no stamps"),
        ("time_s,x,y,z,qx,qy,qz\n1,0,0,0,0,0,0\n", "no column 'qw'"),
        ("time_s,x,y,z,qw,qx,qy,qz\n1,a,0,0,1,0,0,0\n", "not numbers"),
        ("time_s,x,y,z,qw,qx,qy,qz\n1,0,0,0,3,0,0,0\n", "unit length"),
        ("time_s,x,y,z,qw,qx,qy,qz\n1,900,0,0,1,0,0,0\n", "is the unit right"),
        ("time_s,x,y,z,qw,qx,qy,qz\n1,0,0\n", "is no readable CSV"),
        ("time_s,x,x,z,qw,qx,qy,qz\n1,0,0,0,1,0,0,0\n", "two columns of one name"),
    ],
)
def test_trackers_that_cannot_be_are_refused(tmp_path, text, complaint):
    folder = write_session(tmp_path / "s")
    (folder / "left.csv").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read(folder, skip_images=True)


def test_robot_joints_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(DataError, match="has no column 'right_2'"):
        read(write_robot(tmp_path / "a", names=("right_0", "right_1", "thumb")), robot_spec())
    folder = write_robot(tmp_path / "b")
    lines = (folder / "measured.csv").read_text().splitlines()
    (folder / "measured.csv").write_text(
        "\n".join([lines[0], *(f"{line}0{n % 10}" for n, line in enumerate(lines[1:]))])
    )
    table = np.genfromtxt(folder / "commanded.csv", delimiter=",", skip_header=1)
    table[:, 1:] *= 180 / np.pi
    np.savetxt(folder / "commanded.csv", table, delimiter=",", header=lines[0], comments="")
    with pytest.raises(DataError, match="degrees"):
        read(folder, robot_spec())
    text = (folder / "session.toml").read_text()
    (folder / "session.toml").write_text(text.replace('file = "commanded.csv"', 'file = "commanded.csv"\nunit = "deg"'))
    t = seconds(read(folder, robot_spec()))
    np.testing.assert_allclose(read(folder, robot_spec()).action[:, 9:], joint_truth(t + 0.1), atol=1e-5)


def test_pictures_that_do_not_fit_their_stamps_are_refused(tmp_path):
    folder = write_session(tmp_path / "s")
    (folder / "left_wrist/000007.jpg").rename(folder / "left_wrist/7.txt")
    with pytest.raises(DataError, match="has 89 JPEG files for 90 stamps"):
        read(folder)
    (folder / "left_wrist/7.txt").rename(folder / "left_wrist/000007.jpg")
    assert read(folder, skip_images=True).images == {}
    lines = (folder / "head.times.csv").read_text().splitlines()
    (folder / "head.times.csv").write_text("\n".join([*lines, repr(float(lines[-1]) + 0.03)]))
    with pytest.raises(DataError, match="has 180 frames for 181 stamps"):
        read(folder)


def test_one_bad_session_costs_no_other(tmp_path, imports):
    write_session(tmp_path / "all/good", cameras=False)
    bad = write_session(tmp_path / "all/bad", cameras=False)
    (bad / "left.csv").write_text("time_s\n")
    line = imports.refused("mocap", tmp_path / "all", tmp_path / "d.zarr")
    assert "1 of 2 episodes left out" in line
    assert [episode.key.partition("#")[0] for episode in Dataset.open(tmp_path / "d.zarr").episodes] == ["good/take"]
    assert json.loads(json.dumps(line)) == line
