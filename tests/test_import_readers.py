"""An episode's reader can be sent to another process, is small, and opens nothing of the other episodes."""

import pickle
import re
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.data.importers import spool
from egoscale_sdk.data.importers.exchange import write_exchange_episode
from egoscale_sdk.data.importers.spool import JpegSpool
from egoscale_sdk.host import default_host
from egoscale_sdk.specs import Provider
from tests.egodex_fixture import write_egodex
from tests.import_kit import moving_hands, walking_camera
from tests.lerobot_fixture import write_lerobot
from tests.lerobot_v3_fixture import write_lerobot_v3
from tests.mocap_fixture import write_session
from tests.toy_arm import toy_arm

OTHERS = r"/[12]\.|/s[12]/|episode_00000[12]|file-00[12]"
PROVIDER = Provider(distribution="toy", version="1.0")


def egodex(root):
    for n in range(3):
        write_egodex(root / f"task/{n}", moving_hands(12, seed=n), walking_camera(12))


def keypoints(root):
    for n in range(3):
        hands = moving_hands(12, seed=n)
        stamps = np.arange(12) * 33_333_333
        write_exchange_episode(root / f"{n}.npz", time_ns=stamps, keypoints=hands, valid=np.ones((12, 2)))


def mocap(root):
    for n in range(3):
        write_session(root / f"s{n}", cameras=n == 0)


SOURCES = {
    "lerobot": lambda root: write_lerobot(root / "d", episodes=3),
    "lerobot v3.0": lambda root: write_lerobot_v3(root / "d", (12, 7, 15), per_file=1),
    "egodex": egodex,
    "keypoints": keypoints,
    "mocap": mocap,
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_reader_reads_its_episode_in_another_process_and_without_the_others(name, tmp_path):
    pytest.importorskip("h5py" if name == "egodex" else "pyarrow", reason=f"needs the extra of {name}")
    SOURCES[name](tmp_path / "source")
    importer = default_host().importer(name.split()[0])
    spec = toy_arm() if "lerobot" in name else default_host().spec("human/hands")
    recording = importer.open(str(tmp_path / "source"), spec, PROVIDER, importer.options())
    key = recording.keys[0]
    here = recording.read(key)
    sent = pickle.dumps(recording.reader(key))
    assert len(sent) < 64_000
    for path in (tmp_path / "source").rglob("*"):  # nothing of the other episodes is needed
        if path.is_file() and re.search(OTHERS, path.relative_to(tmp_path).as_posix()):
            path.unlink()
    if "v3" in name:
        shutil.rmtree(tmp_path / "source/d/meta")
    there = pickle.loads(sent)()
    assert there.key == key
    np.testing.assert_array_equal(there.action, here.action)
    assert {name: list(stream.jpegs) for name, stream in there.images.items()} == {
        name: list(stream.jpegs) for name, stream in here.images.items()
    }


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 200))
def test_a_spool_is_a_list_that_holds_little(jpegs, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "MEMORY_BYTES", limit)
        pictures = JpegSpool()
        for number, jpeg in enumerate(jpegs, 1):
            pictures.append(jpeg)
            assert pictures.held_bytes <= limit
            assert pictures[number - 1] == pictures[-1] == jpeg
        assert pictures == jpegs
        assert list(pictures) == jpegs
        assert pictures[1:5] == jpegs[1:5]
        assert pictures.total_bytes == sum(map(len, jpegs))
        assert pickle.loads(pickle.dumps(pictures)) == jpegs
        with pytest.raises(IndexError):
            pictures[len(jpegs)]
