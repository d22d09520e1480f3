"""``egoscale import lerobot`` of v3.0: many episodes in a file, told apart by the metadata and nothing else."""

import json

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.data.importers.lerobot import LeRobotImporter, LeRobotOptions
from egoscale_sdk.data.importers.run import import_recording
from egoscale_sdk.errors import DataError
from egoscale_sdk.specs import Provider
from tests.lerobot_v3_fixture import CAMERAS, FPS, frame, vectors, write_lerobot_v3
from tests.toy_arm import toy_arm

pa = pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
pytest.importorskip("av", reason="needs the extra 'lerobot'")
import pyarrow.parquet as pq  # noqa: E402

LENGTHS = (12, 7, 15, 9)


def opened(root, **options):
    provider = Provider(distribution="toy", version="1.0")
    return LeRobotImporter().open(str(root), toy_arm(), provider, LeRobotOptions(**options))


def read_number(root, number):
    recording = opened(root)
    return recording.read(recording.keys[number])


def change_episodes(root, change) -> None:
    file = root / "meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pa.Table.from_pylist(change(pq.read_table(file).to_pylist())), file)


@pytest.mark.parametrize(("per_file", "groups"), [(2, None), (4, None), (4, 5), (4, 1000), (1, None)])
def test_every_episode_has_its_own_rows_words_times_and_pictures(tmp_path, per_file, groups):
    write_lerobot_v3(tmp_path / "d", LENGTHS, per_file=per_file, groups=groups)
    recording = opened(tmp_path)
    assert [(c.name, c.height_px, c.width_px) for c in recording.declaration.cameras] == [
        ("eye", 48, 64),
        ("side", 48, 64),
    ]
    for e, (key, length) in enumerate(zip(recording.keys, LENGTHS, strict=True)):
        assert key.startswith(f"d/episode_{e:06d}#")
        episode = recording.read(key)
        state, action = vectors(e, length)
        np.testing.assert_array_equal(episode.state[:, 9:], state[:, :2])  # the toy's hand is the first two columns
        np.testing.assert_array_equal(episode.action[:, 9:], action[:, :2])
        np.testing.assert_allclose(episode.time_ns, np.arange(length) * 1e9 / FPS, atol=100)
        assert [(s.text, s.start, s.stop) for s in episode.language] == [(("reach", "lift")[e % 2], 0, length)]
        for camera, name in zip(CAMERAS, ("eye", "side"), strict=True):
            greys = [float(simplejpeg.decode_jpeg(data).mean()) for data in episode.images[name].jpegs]
            np.testing.assert_allclose(greys, [frame(camera, e, n).mean() for n in range(length)], atol=2)
            np.testing.assert_array_equal(episode.images[name].time_ns, episode.time_ns)


def test_an_episode_is_read_without_the_others(tmp_path):
    write_lerobot_v3(tmp_path / "d", LENGTHS, per_file=2)
    for file in tmp_path.rglob("file-001.*"):
        file.unlink()
    recording = opened(tmp_path)
    assert len(recording.keys) == 4
    assert len(recording.read(recording.keys[1]).time_ns) == 7
    with pytest.raises(DataError, match=r"file-001\.parquet: file is missing"):
        recording.read(recording.keys[3])


def test_keys_stay_the_same_when_a_file_grows_and_differ_between_recordings(tmp_path):
    first = opened(write_lerobot_v3(tmp_path / "a/d", LENGTHS[:2], per_file=4)).keys
    grown = opened(write_lerobot_v3(tmp_path / "b/d", LENGTHS, per_file=4)).keys
    assert grown[:2] == first
    other = opened(write_lerobot_v3(tmp_path / "c/d", (12, 8), per_file=4)).keys
    assert other[0] == first[0]
    assert other[1] != first[1]
    untold = opened(write_lerobot_v3(tmp_path / "e/d", LENGTHS, per_file=4, stats=False)).keys
    assert len(set(untold)) == 4


def test_the_texts_of_tasks_may_be_called_anything(tmp_path):
    root = write_lerobot_v3(tmp_path / "d", LENGTHS)
    pq.write_table(pa.table({"task": ["reach", "lift"], "task_index": [0, 1]}), root / "meta/tasks.parquet")
    recording = opened(tmp_path)
    assert recording.read(recording.keys[1]).language[0].text == "lift"
    pq.write_table(pa.table({"task_index": [0, 1]}), root / "meta/tasks.parquet")
    with pytest.raises(DataError, match=r"tasks\.parquet: must have task_index and one column of texts"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"length": 13}, "episode 1 has length 13 and other row numbers"),
        ({"dataset_from_index": -1}, "row 1 is -1, which is no count"),
        ({"data/file_index": 10**6}, "file-1000000.parquet: file is missing"),
        ({"dataset_from_index": 11, "dataset_to_index": 18}, "rows 11 to 18 are not of episode 1"),
        ({"dataset_from_index": 90, "dataset_to_index": 97}, "has 0 rows, the metadata of episode 1 says 7"),
        ({f"videos/{CAMERAS[0]}/from_timestamp": 90.0}, "has no frame at 90.000 s.*truncated"),
        ({f"videos/{CAMERAS[0]}/from_timestamp": float("nan")}, "from_timestamp: is not finite"),
        ({f"videos/{CAMERAS[1]}/file_index": 7}, "file-007.mp4: video file is missing"),
    ],
)
def test_metadata_that_cannot_be_is_refused_and_never_reads_other_rows(tmp_path, change, complaint):
    root = write_lerobot_v3(tmp_path / "d", LENGTHS)
    change_episodes(root, lambda rows: [rows[0], rows[1] | change, *rows[2:]])
    with pytest.raises(DataError, match=complaint):
        read_number(tmp_path, 1)


@pytest.mark.parametrize("name", ["data_path", "video_path"])
def test_paths_stay_in_the_folder(tmp_path, name):
    root = write_lerobot_v3(tmp_path / "d", LENGTHS)
    info = json.loads((root / "meta/info.json").read_text()) | {name: "../{chunk_index}"}
    (root / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match="leaves the folder"):
        opened(tmp_path)


def test_damage_costs_its_episodes_only(tmp_path):
    root = write_lerobot_v3(tmp_path / "d", LENGTHS)
    video = root / f"videos/{CAMERAS[0]}/chunk-000/file-001.mp4"
    video.write_bytes(video.read_bytes()[:300])
    summary = import_recording(opened(tmp_path), tmp_path / "d.zarr")
    assert (summary.imported, len(summary.failed)) == (2, 2)
    (root / "meta/episodes/chunk-000/file-000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="no readable parquet file"):
        opened(tmp_path)
