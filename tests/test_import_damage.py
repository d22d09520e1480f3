"""Damaged files of every kind end in one line, never in a traceback: bytes changed, cut and inserted at random."""

import json
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.data.importers.exchange import ExchangeImages, write_exchange_episode
from egoscale_sdk.errors import EgoscaleError
from egoscale_sdk.host import PluginHost
from egoscale_sdk.specs import Provider, load_embodiment
from tests import mocap_fixture
from tests.egodex_fixture import write_egodex
from tests.import_kit import moving_hands, walking_camera
from tests.lerobot_fixture import write_lerobot
from tests.lerobot_v3_fixture import write_lerobot_v3
from tests.toy_arm import toy_arm

pytest.importorskip("h5py", reason="needs the extra 'egodex'")
pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
ROUNDS, T = 25, 6
POINTS, CAMERA, TIMES = moving_hands(T), walking_camera(T), np.arange(T) * 33_000_000
JPEG = simplejpeg.encode_jpeg(np.full((8, 12, 3), 50, np.uint8))


def exchange(root: Path) -> Path:
    images = ExchangeImages([JPEG] * T, TIMES, np.eye(3))
    return write_exchange_episode(
        root / "a.npz", time_ns=TIMES, keypoints=POINTS, valid=np.ones((T, 2)), T_world_camera=CAMERA, images=images
    )


def compressed(root: Path) -> Path:
    np.savez_compressed(root / "a.npz", keypoints=POINTS, time_ns=TIMES, layout="mediapipe")
    return root / "a.npz"


def side_file(root: Path) -> Path:
    compressed(root)
    (root / "a.json").write_text(json.dumps({"task": "x", "captions": [{"text": "y", "start": 0, "stop": 3}]}))
    return root / "a.json"


def trajectory(root: Path) -> Path:
    compressed(root)
    np.savetxt(root / "a.trajectory.txt", CAMERA.reshape(T, 16), header="scale: metric")
    return root / "a.trajectory.txt"


def lerobot_v3(root: Path, pattern: str) -> Path:
    return sorted(write_lerobot_v3(root / "d", (6, 5)).rglob(pattern))[0]


def session(root: Path, name: str) -> Path:
    """A short session, of which one file is to be damaged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mocap_fixture, "STOP", mocap_fixture.START + 0.3)
        return mocap_fixture.write_session(root / "s") / name


CASES = {
    "exchange": ("keypoints", exchange),
    "compressed": ("keypoints", compressed),
    "side file": ("keypoints", side_file),
    "trajectory": ("keypoints", trajectory),
    "hdf5": ("egodex", lambda root: write_egodex(root / "0", POINTS, CAMERA)),
    "mp4": ("egodex", lambda root: write_egodex(root / "0", POINTS, CAMERA).with_suffix(".mp4")),
    "info": ("lerobot", lambda root: write_lerobot(root / "d") / "meta/info.json"),
    "episodes": ("lerobot", lambda root: write_lerobot(root / "d") / "meta/episodes.jsonl"),
    "v3.0 info": ("lerobot", lambda root: lerobot_v3(root, "info.json")),
    "v3.0 tasks": ("lerobot", lambda root: lerobot_v3(root, "tasks.parquet")),
    "v3.0 episodes": ("lerobot", lambda root: lerobot_v3(root, "episodes/*/*.parquet")),
    "v3.0 rows": ("lerobot", lambda root: lerobot_v3(root, "data/*/*.parquet")),
    "v3.0 video": ("lerobot", lambda root: lerobot_v3(root, "*.mp4")),
    "session": ("mocap", lambda root: session(root, "session.toml")),
    "tracker": ("mocap", lambda root: session(root, "left.csv")),
    "glove": ("mocap", lambda root: session(root, "left_glove.npz")),
    "events": ("mocap", lambda root: session(root, "sync.csv")),
    "times": ("mocap", lambda root: session(root, "head.times.csv")),
    "parquet": ("lerobot", lambda root: next((write_lerobot(root / "d") / "data").rglob("*.parquet"))),
}


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        return bytes(out[: rng.integers(len(out))])
    if kind == 1:
        at = rng.integers(len(out))
        return bytes(out[:at] + rng.bytes(int(rng.integers(1, 40))) + out[at:])
    for at in rng.integers(len(out) if kind == 2 else min(len(out), 4000), size=rng.integers(1, 12)):
        out[at] = rng.integers(256)
    return bytes(out)


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_file_is_read_or_refused_but_never_crashes(tmp_path, case):
    name, write = CASES[case]
    victim = write(tmp_path)
    data, rng = victim.read_bytes(), np.random.default_rng(7)
    importer = PluginHost(plugins={}).importer(name)
    spec = toy_arm() if name == "lerobot" else load_embodiment("egoscale_embodiments:human_hands/embodiment.toml")
    provider, refused = Provider(distribution="x", version="1"), []
    for _ in range(ROUNDS):
        victim.write_bytes(damaged(data, rng))
        try:
            recording = importer.open(str(tmp_path), spec, provider, importer.options())
            for key in recording.keys:
                recording.read(key)
        except EgoscaleError as error:
            refused.append(str(error))
    assert len(refused) > ROUNDS // 4
    assert all(len(complaint.splitlines()) == 1 for complaint in refused)
