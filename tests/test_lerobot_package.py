"""Our importer and exporter beside the published lerobot package, which runs in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.exporters.lerobot import LeRobotExport, export_lerobot
from egoscale_sdk.data.importers.lerobot import LeRobotImporter, LeRobotOptions
from egoscale_sdk.specs import Provider
from tests.data_kit import camera, episode, robot_declaration
from tests.toy_arm import toy_arm

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(os.environ.get("LEROBOT_PYTHON", ROOT / ".venv-lerobot" / "bin" / "python"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.is_file(), reason="needs the lerobot package: make lerobot-env"),
]


def package(*words: object) -> None:
    """Run ``lerobot_package.py`` there; FFmpeg for torchcodec is beside it where `make lerobot-env` put it."""
    libraries = PYTHON.parents[1] / "ffmpeg"
    env = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": str(libraries)}
    env.pop("PYTHONPATH", None)
    script = Path(__file__).with_name("lerobot_package.py")
    done = subprocess.run([PYTHON, script, *map(str, words)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def read_back(folder: Path, out: Path) -> dict[str, np.ndarray]:
    package("read", folder, out)
    with np.load(out) as arrays:
        return dict(arrays)


def test_a_dataset_that_the_package_wrote_is_read_as_the_package_reads_it(tmp_path):
    package("write", tmp_path / "d")
    theirs = read_back(tmp_path / "d", tmp_path / "d.npz")
    recording = LeRobotImporter().open(
        str(tmp_path / "d"), toy_arm(), Provider(distribution="toy", version="1"), LeRobotOptions()
    )
    start = 0
    for key in recording.keys:
        ours = recording.read(key)
        rows = slice(start, start := start + len(ours.time_ns))
        np.testing.assert_array_equal(ours.state[:, 9:], theirs["observation.state"][rows, :2])
        np.testing.assert_array_equal(ours.action[:, 9:], theirs["action"][rows, :2])
        np.testing.assert_allclose(ours.time_ns / 1e9, theirs["timestamp"][rows], atol=1e-8)
        assert [span.text for span in ours.language for _ in range(span.start, span.stop)] == list(
            theirs["tasks"][rows]
        )
        for name in ("eye", "side"):
            pictures = np.stack([simplejpeg.decode_jpeg(data) for data in ours.images[name].jpegs]).astype(int)
            seen = theirs[f"observation.images.{name}"][rows].transpose(0, 2, 3, 1)
            assert np.abs(pictures - seen).max() <= 4
    assert start == 34


@pytest.mark.parametrize("how", [("video", "h264"), ("video", "av1"), ("jpeg", "h264")])
def test_the_package_loads_an_export(tmp_path, how):
    dataset = Dataset.create(tmp_path / "d.zarr", robot_declaration(cameras=(camera(), camera("wrist", 48, 64))))
    dataset.append(
        episode(key, dataset.declaration, rows=rows, seed=rows, labels={}) for key, rows in (("a", 40), ("b", 21))
    )
    export_lerobot(dataset, tmp_path / "out", LeRobotExport(pictures=how[0], codec=how[1]))
    theirs = read_back(tmp_path / "out", tmp_path / "d.npz")
    ours = [dataset.rows(number) for number in range(2)]
    np.testing.assert_array_equal(theirs["action"], np.concatenate([rows.action for rows in ours]))
    np.testing.assert_array_equal(theirs["observation.state"], np.concatenate([rows.state for rows in ours]))
    times = np.concatenate([np.arange(len(rows.time_ns)) / 30 for rows in ours])
    np.testing.assert_allclose(theirs["timestamp"], times, atol=1e-6)
    assert set(theirs["tasks"]) == {"pick the cube"}
    np.testing.assert_array_equal(theirs["episode_index"], np.repeat([0, 1], [40, 21]))
    np.testing.assert_array_equal(theirs["chunk"], theirs["action"][3:5])
    for name in ("head", "wrist"):
        seen = np.concatenate(
            [[dataset.image(n, name, row).mean() for row in range(len(rows.time_ns))] for n, rows in enumerate(ours)]
        )
        shown = theirs[f"observation.images.{name}"].mean((1, 2, 3))
        np.testing.assert_allclose(shown, seen, atol=3)
    features = json.loads(str(theirs["features"]))
    assert features["action"]["names"] == list(dataset.declaration.native.layout.names)
    for feature in features:
        figures = {name.rpartition("/")[2] for name in theirs if name.rpartition("/")[0] == f"stats/{feature}"}
        assert figures == {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}, feature
    np.testing.assert_allclose(theirs["stats/action/mean"], theirs["action"].astype(float).mean(0), atol=1e-6)


def test_the_packages_own_tools_edit_an_export(tmp_path):
    dataset = Dataset.create(tmp_path / "d.zarr", robot_declaration(cameras=(camera("head", 48, 64),)))
    dataset.append(episode(key, dataset.declaration, rows=rows, seed=rows) for key, rows in (("a", 40), ("b", 21)))
    export_lerobot(dataset, tmp_path / "out")
    package("edit", tmp_path / "out", tmp_path / "edited")
    theirs = read_back(tmp_path / "edited", tmp_path / "d.npz")
    first, second = (dataset.rows(number).action for number in range(2))
    np.testing.assert_array_equal(theirs["action"], np.concatenate([first, second, second]))
    shown = theirs["observation.images.head"].mean((1, 2, 3))
    np.testing.assert_allclose(shown[61:], shown[40:61], atol=3)  # encoded once more
    np.testing.assert_array_equal(theirs["egoscale.action_valid"], np.ones((82, 2)))
