"""Files that are well-formed and still not to be trusted: bombs, labels of wrong kinds, stamps that are no times."""

import json
import struct
import zlib

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.images import decode, decode_into
from egoscale_sdk.data.importers.images import as_jpeg, image_size
from egoscale_sdk.data.importers.keypoint_table import read_npz
from egoscale_sdk.errors import DataError
from egoscale_sdk.host import PluginHost
from egoscale_sdk.specs import Provider
from tests.egodex_fixture import write_egodex
from tests.import_kit import Import, moving_hands, walking_camera
from tests.lerobot_fixture import write_lerobot
from tests.toy_arm import toy_arm

T = 12
POINTS, TIMES = moving_hands(T), np.arange(T, dtype=np.int64) * 33_333_333
JPEG = simplejpeg.encode_jpeg(np.full((8, 12, 3), 90, np.uint8))


@pytest.fixture
def imports(capsys):
    return Import(capsys)


def bare(path, **arrays):
    values = {"keypoints": POINTS, "time_ns": TIMES, "layout": "mediapipe"} | arrays
    np.savez(path, **{name: value for name, value in values.items() if value is not None})
    return path


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"success": "maybe"}, "labels.success: is 'maybe'; allowed: true, false"),
        ({"success": 7}, "labels.success: is 7"),
        ({"quality": "good"}, "labels.quality: is 'good', not a number"),
        ({"scene": 5}, "labels.scene: is 5, not a text"),
        ({"split": ["a", "b"]}, "labels.split: is ['a', 'b'], not a text"),
        ({"caption_text": ["a"], "caption_rows": [3]}, "caption_rows: has shape (1,)"),
        ({"jpegs": np.frombuffer(JPEG, np.uint8), "jpeg_offsets": ["a"]}, "jpeg_offsets: has shape (1,) of <U1"),
        ({"map_id": np.full(T, 1e300)}, "map_id: holds values that are no int32"),
        ({"time_ns": TIMES[::-1]}, "time stamps do not increase"),
        ({"time_ns": None, "time_s": np.full(T, np.nan)}, "time_s: stamp 0 is nan, which is no time in seconds"),
        ({"time_ns": None, "time_s": np.linspace(0, 1e300, T)}, "which is no time in seconds"),
    ],
)
def test_a_wrong_value_is_named_and_costs_only_its_own_episode(imports, tmp_path, arrays, message):
    bare(tmp_path / "a.npz", **arrays)
    assert message in imports.refused("keypoints", tmp_path / "a.npz", tmp_path / "d.zarr")
    bare(tmp_path / "b.npz")
    imports.refused("keypoints", tmp_path, tmp_path / "d.zarr")
    assert [episode.key.partition("#")[0] for episode in Dataset.open(tmp_path / "d.zarr").episodes] in (
        [f"{tmp_path.name}/b"],
    )


def test_a_text_that_no_file_can_hold_is_refused(imports, tmp_path):
    bare(tmp_path / "a.npz")
    (tmp_path / "a.json").write_text(json.dumps({"captions": [{"text": "\ud800", "start": 0, "stop": 2}]}))
    assert "caption: is '\\ud800', not a text" in imports.refused("keypoints", tmp_path, tmp_path / "d.zarr")


def test_labels_of_the_file_and_of_the_json_beside_it_join(imports, tmp_path):
    bare(tmp_path / "a.npz", success=True)
    (tmp_path / "a.json").write_text(json.dumps({"labels": {"scene": "kitchen", "success": False}}))
    imports("keypoints", tmp_path, tmp_path / "d.zarr")
    assert Dataset.open(tmp_path / "d.zarr").episodes[0].labels == {"scene": "kitchen", "success": True}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_episode_without_any_hand_is_reported(imports, tmp_path, value):
    bare(tmp_path / "a.npz", keypoints=np.full_like(POINTS, value))
    summary = imports("keypoints", tmp_path, tmp_path / "d.zarr")
    assert summary["findings"] == ["no hand is known in any row of 1 of 1 episodes"]


# Bombs: a few bytes that would unpack to gigabytes.


def png_header(height, width):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def jpeg_header(height, width):
    """The JPEG with another size written in its frame header."""
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


@pytest.mark.parametrize("header", [png_header, jpeg_header])
def test_a_huge_picture_is_refused_by_its_header(header):
    for read in (lambda data: as_jpeg(data, (8, 8), "x"), lambda data: image_size(data, "x")):
        with pytest.raises(DataError, match="x: is 60000x60000 pixels; at most 8192 a side are read"):
            read(header(60000, 60000))


def test_a_huge_picture_in_a_dataset_is_refused_by_its_header():
    for read in (decode, lambda data: decode_into(data, np.empty((8, 8, 3), np.uint8))):
        with pytest.raises(DataError, match="at most 8192 a side"):
            read(jpeg_header(60000, 60000))
    with pytest.raises(DataError, match="is not a JPEG image"):
        decode(b"no")


def test_a_png_has_the_size_that_its_header_says():
    assert image_size(png_header(30, 40), "x") == (30, 40)


def test_an_array_that_claims_more_than_its_file_holds_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=np.zeros((1, 2, 21, 3)))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data.replace(b"(1, 2, 21, 3)", b"(10**9, 9, 9)").replace(b"10**9", b"99999"))
    with pytest.raises(DataError, match="is no readable NPZ"):
        read_npz(tmp_path / "a.npz")


def test_a_compressed_hdf5_array_is_bounded_before_it_is_read(imports, tmp_path):
    h5py = pytest.importorskip("h5py", reason="needs the extra 'egodex'")
    file = write_egodex(tmp_path / "0", POINTS, walking_camera(T))
    with h5py.File(file, "a") as opened:
        del opened["transforms/camera"]
        opened.create_dataset("transforms/camera", (10**9, 4, 4), "f4", chunks=(1024, 4, 4), compression="gzip")
    complaint = imports.refused("egodex", file, tmp_path / "d.zarr")
    assert "64000000000 bytes in one array; at most 16777216 are read" in complaint


def test_a_parquet_file_is_bounded_before_it_is_read(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from egoscale_sdk.data.importers.lerobot_table import LeRobotTable

    rows = 2**20 + 1
    pq.write_table(pa.table({"timestamp": pa.array(np.zeros(rows, np.int8))}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    with pytest.raises(DataError, match=f"unpacks to {rows} rows of {rows} values; at most 1048576"):
        LeRobotTable(tmp_path / "a.parquet")


def lerobot(root):
    importer = PluginHost(plugins={}).importer("lerobot")
    return importer.open(str(root), toy_arm(), Provider(distribution="x", version="1"), importer.options())


def test_two_features_cannot_be_one_camera(tmp_path):
    root = write_lerobot(tmp_path / "d")
    info = json.loads((root / "meta/info.json").read_text())
    info["features"]["other.eye"] = {"dtype": "image", "shape": [8, 12, 3]}
    (root / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match="two features would be camera"):
        lerobot(root)


def test_an_infinite_rate_is_refused(tmp_path):
    root = write_lerobot(tmp_path / "d")
    info = (root / "meta/info.json").read_text().replace('"fps": 20', '"fps": Infinity')
    (root / "meta/info.json").write_text(info)
    with pytest.raises(DataError, match="fps: Input should be a finite number"):
        lerobot(root)


@pytest.mark.parametrize("name", ["timestamp", "task_index"])
def test_a_column_of_one_number_has_one_number(tmp_path, name):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    root = write_lerobot(tmp_path / "d", episodes=1)
    file = next((root / "data").rglob("*.parquet"))
    table = pq.read_table(file)
    table = table.set_column(table.schema.names.index(name), name, pa.array([[0, 1]] * table.num_rows))
    pq.write_table(table, file)
    recording = lerobot(root)
    with pytest.raises(DataError, match=f"{name}: has shape .10, 2., expected is one number per row"):
        recording.read(recording.keys[0])
