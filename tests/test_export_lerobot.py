"""``egoscale export lerobot``: what comes out is LeRobot v3.0, whole or not at all, and is read again as it was."""

import json

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.cli import main
from egoscale_sdk.data import Dataset, declare
from egoscale_sdk.data.exporters import lerobot_files
from egoscale_sdk.data.exporters.lerobot import LeRobotExport, export_lerobot
from egoscale_sdk.data.exporters.lerobot_stats import NumberStats
from egoscale_sdk.data.importers.lerobot import LeRobotImporter, LeRobotOptions
from egoscale_sdk.errors import DataError, DeclarationError
from egoscale_sdk.geometry import pose_from_vec9, rotation_angle
from egoscale_sdk.host import default_host
from egoscale_sdk.interfaces import ImageStream
from tests.data_kit import (
    PERIOD_NS,
    PROVIDER,
    camera,
    episode,
    human_declaration,
    jpeg,
    robot_declaration,
    robot_spec,
)

pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
pytest.importorskip("av", reason="needs the extra 'lerobot'")
import pyarrow.parquet as pq

FIGURES = {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}


@pytest.fixture
def robot(tmp_path):
    """Three episodes of a robot with two cameras."""
    declaration = robot_declaration(cameras=(camera(), camera("wrist", 16, 24)))
    dataset = Dataset.create(tmp_path / "robot.zarr", declaration)
    masked = np.ones((30, 2), np.uint8)
    masked[10:14, 1] = 0
    third = episode("c", declaration, rows=30, seed=2, valid=masked, action=None)
    action = episode("x", declaration, rows=30, seed=2).action
    action[10:14, 9:] = 0
    dataset.append(
        [
            episode("a", declaration, rows=40, seed=0),
            episode("b", declaration, rows=21, seed=1, labels={"task": "place", "scene": "kitchen", "success": False}),
            episode("c", declaration, rows=30, seed=2, valid=masked, action=action, language=third.language[:1]),
        ]
    )
    return dataset


def imported(folder, spec=None, **options):
    return LeRobotImporter().open(str(folder), spec or robot_spec(), PROVIDER, LeRobotOptions(**options))


def test_an_export_is_imported_as_it_was(robot, tmp_path):
    summary = export_lerobot(robot, tmp_path / "out", LeRobotExport(pictures="jpeg"))
    assert (summary.episodes, summary.rows, summary.resampled) == (3, 91, 0)
    recording = imported(tmp_path / "out")
    assert LeRobotImporter().embodiment_for(str(tmp_path / "out"), []) == "acme/hand@1"
    back, there = recording.declaration, robot.declaration
    for name in ("embodiment", "action_fingerprint", "base_frame", "has_state", "wrist_source", "fps", "raw"):
        assert getattr(back, name) == getattr(there, name), name
    assert back.cameras == there.cameras
    assert back.native.action_source == "commanded"
    for key, ref in zip(recording.keys, robot.episodes, strict=True):
        read, rows = recording.read(key), robot.rows(ref)
        for name in ("action", "state", "valid", "state_valid", "map_id"):
            np.testing.assert_array_equal(getattr(read, name), getattr(rows, name), err_msg=name)
        np.testing.assert_array_equal(np.round(read.conf * 254), rows.conf_steps)
        np.testing.assert_allclose(read.time_ns, rows.time_ns - rows.time_ns[0], atol=1e5)  # float32 seconds
        assert read.labels == ref.labels
        assert read.language == robot.language(ref)
        for stream in there.cameras:
            images = read.images[stream.name]
            assert images.jpegs == [robot.jpeg(ref, stream.name, row) for row in range(ref.length)]
            assert images.calibration == {"fx": 100.0}


def test_videos_show_what_the_rows_saw(robot, tmp_path):
    export_lerobot(robot, tmp_path / "out")
    recording = imported(tmp_path / "out")
    for key, ref in zip(recording.keys, robot.episodes, strict=True):
        for name, images in recording.read(key).images.items():
            greys = [float(simplejpeg.decode_jpeg(data).mean()) for data in images.jpegs]
            seen = [float(robot.image(ref, name, row).mean()) for row in range(ref.length)]
            np.testing.assert_allclose(greys, seen, atol=3)


def test_people_keep_their_keypoints_and_have_no_state(tmp_path):
    declaration = human_declaration(raw=("keypoints", "camera_pose"), cameras=(camera(),))
    rng = np.random.default_rng(0)
    raw = {
        "keypoints": rng.normal(size=(40, 2, 21, 3)).astype(np.float32),
        "camera_pose": np.tile(np.eye(4, dtype=np.float32), (40, 1, 1)),
    }
    dataset = Dataset.create(tmp_path / "people.zarr", declaration)
    dataset.append([episode("a", declaration, raw=raw)])
    export_lerobot(dataset, tmp_path / "out")
    info = json.loads((tmp_path / "out/meta/info.json").read_text())
    assert "observation.state" not in info["features"]
    assert info["features"]["action"]["names"] == list(declaration.native.layout.names)
    recording = imported(tmp_path / "out", declaration.spec)
    read = recording.read(recording.keys[0])
    assert recording.declaration.kind == "human"
    assert read.state is None
    for name, values in raw.items():
        np.testing.assert_array_equal(read.raw[name], values)


def test_rows_at_uneven_times_are_interpolated_and_gaps_are_not(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    source = episode("a", declaration, rows=60)
    jitter = np.random.default_rng(0).integers(-8_000_000, 8_000_000, 60)
    time_ns = source.time_ns + jitter
    time_ns[40:] += 2_000_000_000  # the tracker was off for two seconds
    dataset.append([episode("a", declaration, rows=60, time_ns=time_ns)])
    summary = export_lerobot(dataset, tmp_path / "out")
    assert summary.resampled == 1
    recording = imported(tmp_path / "out")
    read, rows = recording.read(recording.keys[0]), dataset.rows(0)
    np.testing.assert_allclose(np.diff(read.time_ns), 1e9 / 30, atol=1e3)
    at = read.time_ns + time_ns[0]
    inside = (at > time_ns[39] + 5e7) & (at < time_ns[40] - 5e7)
    outside = (at <= time_ns[39]) | (at >= time_ns[40])
    assert inside.sum() in range(55, 60)
    assert (read.valid[inside] == 0).all()
    assert (read.valid[outside] == 1).all()
    for row in np.flatnonzero(outside)[1:-1]:
        after = int(np.searchsorted(rows.time_ns, at[row]))
        pair = pose_from_vec9(rows.action[[after - 1, after], :9])
        share = (at[row] - rows.time_ns[after - 1]) / np.diff(rows.time_ns[after - 1 : after + 1])
        pose = pose_from_vec9(read.action[row, :9])
        np.testing.assert_allclose(pose[:3, 3], pair[0, :3, 3] * (1 - share) + pair[1, :3, 3] * share, atol=2e-3)
        whole = rotation_angle(pair[0, :3, :3], pair[1, :3, :3])
        assert abs(rotation_angle(pair[0, :3, :3], pose[:3, :3]) - share * whole) < 0.02 * whole + 1e-3


def test_another_rate_takes_rows_by_time(robot, tmp_path):
    export_lerobot(robot, tmp_path / "out", LeRobotExport(pictures="none", fps=10))
    recording = imported(tmp_path / "out")
    assert recording.declaration.fps == 10
    read = recording.read(recording.keys[0])
    np.testing.assert_allclose(read.action, robot.rows(0).action[::3], atol=1e-6)


def test_statistics_of_every_feature_and_episode(robot, tmp_path):
    export_lerobot(robot, tmp_path / "out")
    stats = json.loads((tmp_path / "out/meta/stats.json").read_text())
    features = json.loads((tmp_path / "out/meta/info.json").read_text())["features"]
    assert set(stats) == set(features)
    rows = np.concatenate([robot.rows(n).action for n in range(3)]).astype(np.float64)
    action = stats["action"]
    assert action["count"] == [91]
    for name, expected in (
        ("min", rows.min(0)),
        ("max", rows.max(0)),
        ("mean", rows.mean(0)),
        ("std", rows.std(0)),
        ("q01", np.quantile(rows, 0.01, axis=0)),
        ("q90", np.quantile(rows, 0.9, axis=0)),
    ):
        np.testing.assert_allclose(action[name], expected, atol=1e-9)
    for name, found in stats.items():
        assert set(found) == FIGURES, name
        if features[name]["dtype"] == "video":  # the package demands this shape of whatever has "image" in its name
            assert np.shape(found["q50"]) == (3, 1, 1)
            assert 0 <= found["min"][0][0][0] <= found["max"][0][0][0] <= 1
        else:
            assert "image" not in name
            assert np.shape(found["std"]) == tuple(features[name]["shape"])
    page = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet")
    np.testing.assert_allclose(page["stats/action/mean"].to_pylist()[1], robot.rows(1).action.mean(0), atol=1e-6)


def test_quantiles_of_many_rows_are_those_of_some(monkeypatch):
    monkeypatch.setattr("egoscale_sdk.data.exporters.lerobot_stats.KEPT_ROWS", 64)
    values = np.random.default_rng(0).normal(size=(5000, 3))
    stats = NumberStats(3)
    for start in range(0, 5000, 37):
        stats.add(values[start : start + 37])
    total = stats.total()
    np.testing.assert_allclose(total["mean"], values.mean(0), atol=1e-12)
    np.testing.assert_allclose(total["std"], values.std(0), atol=1e-12)
    np.testing.assert_array_equal(np.concatenate(stats._kept), values[:: stats._stride])


def test_full_files_are_followed_by_others(robot, tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot_files, "CHUNK_FILES", 2)
    for roll in (lerobot_files.TableRoll, lerobot_files.VideoRoll):
        defaults = (*roll.__init__.__defaults__[:-1], 1)
        monkeypatch.setattr(roll.__init__, "__defaults__", defaults)
    export_lerobot(robot, tmp_path / "out", LeRobotExport(codec="h264"))
    files = sorted(str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out/data").rglob("*.parquet"))
    assert files == [
        "data/chunk-000/file-000.parquet",
        "data/chunk-000/file-001.parquet",
        "data/chunk-001/file-000.parquet",
    ]
    assert len(list((tmp_path / "out/videos").rglob("*.mp4"))) == 6
    recording = imported(tmp_path / "out")
    for number, key in enumerate(recording.keys):
        np.testing.assert_array_equal(recording.read(key).action, robot.rows(number).action)


def test_rows_without_a_picture_are_black_and_say_so(tmp_path):
    declaration = robot_declaration(cameras=(camera("head", 23, 31),))  # odd sides, too
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    time_ns = 1_000_000_000 + np.arange(40, dtype=np.int64) * PERIOD_NS
    late = {"head": ImageStream([jpeg(200, 23, 31)] * 20, time_ns[20:])}
    dataset.append([episode("a", declaration, images=late)])
    with pytest.raises(DataError, match=r"23x31 have an odd side.*--codec h264"):
        export_lerobot(dataset, tmp_path / "av1")
    for pictures in ("video", "jpeg"):
        export_lerobot(dataset, tmp_path / pictures, LeRobotExport(pictures=pictures, codec="h264"))
        recording = imported(tmp_path / pictures)
        images = recording.read(recording.keys[0]).images["head"]
        assert len(images.jpegs) == 20
        assert images.time_ns[0] > 0.6e9
        np.testing.assert_allclose([simplejpeg.decode_jpeg(data).mean() for data in images.jpegs], 200, atol=3)


# The command.


def run(capsys, *words) -> str:
    """Run the command; returns what it printed."""
    capsys.readouterr()
    main(["export", "lerobot", *map(str, words)])
    return capsys.readouterr().out


def refused(capsys, *words) -> str:
    """Run the command, expecting exit code 2; returns the one line of the error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["export", "lerobot", *map(str, words)])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_people_exported_and_imported_by_the_commands_need_no_flag(tmp_path, capsys):
    host = default_host()
    declaration = declare(host.spec("human/hands"), host.provider("human"), fps=30.0)
    Dataset.create(tmp_path / "people.zarr", declaration).append([episode("a", declaration)])
    said = json.loads(run(capsys, tmp_path / "people.zarr", tmp_path / "out", "--json", "-q"))
    assert said == {
        "dataset": str(tmp_path / "people.zarr"),
        "out": str(tmp_path / "out"),
        "episodes": 1,
        "rows": 40,
        "resampled": 0,
    }
    main(["import", "lerobot", str(tmp_path / "out"), str(tmp_path / "back.zarr"), "-q"])
    back = Dataset.open(tmp_path / "back.zarr")
    assert back.declaration.embodiment == "human/hands@1"
    np.testing.assert_array_equal(back.rows(0).action, Dataset.open(tmp_path / "people.zarr").rows(0).action)
    main(["import", "lerobot", str(tmp_path / "out"), str(tmp_path / "back.zarr"), "-q"])
    assert len(Dataset.open(tmp_path / "back.zarr").episodes) == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["{d}/robot.zarr", "{d}/taken"], "taken: already exists"),
        (["{d}/none.zarr", "{d}/out"], "none.zarr"),
        (["{d}/robot.zarr", "{d}/out", "--action-set", "waev"], "has no action set 'waev'"),
        (["{d}/robot.zarr", "{d}/out", "--fps", "0"], "--fps: is 0; allowed: 1 to 1000"),
        (["{d}/robot.zarr", "{d}/out", "--codec", "vp9"], "codec"),
        (["{d}/robot.zarr", "{d}/file/out"], "cannot be written"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(robot, tmp_path, capsys, words, complaint):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/x").write_text("")
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.iterdir())
    assert complaint in refused(capsys, *(word.format(d=tmp_path) for word in words), "-q")
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_that_fails_half_way_leaves_nothing(robot, tmp_path):
    def stop(done, total=None, note=""):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_lerobot(robot, tmp_path / "out", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["robot.zarr"]


def test_an_empty_dataset_and_a_changed_embodiment_are_refused(robot, tmp_path):
    empty = Dataset.create(tmp_path / "empty.zarr", robot_declaration())
    with pytest.raises(DataError, match="has no episodes"):
        export_lerobot(empty, tmp_path / "out")
    export_lerobot(robot, tmp_path / "out")
    with pytest.raises(DeclarationError, match="mean something else"):
        imported(tmp_path / "out", robot_spec(joints=4))


def test_what_stands_in_an_edited_export_is_refused_in_one_line(robot, tmp_path):
    export_lerobot(robot, tmp_path / "out", LeRobotExport(pictures="none"))
    file = tmp_path / "out/meta/egoscale.json"
    own = json.loads(file.read_text())
    for change, complaint in (
        ({"format": 2}, "egoscale.json:format"),
        ({"raw": {"keypoints": [2, 21, 3]}}, "has no feature 'egoscale.raw.keypoints'"),
        ({"lead_s": "x"}, "egoscale.json:lead_s"),
    ):
        file.write_text(json.dumps(own | change))
        with pytest.raises(DataError, match=complaint):
            imported(tmp_path / "out")
