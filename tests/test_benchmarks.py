"""Benchmarks run, and write what their documentation says; their figures are in ``docs/results``."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_retargeting_is_measured_for_two_hands_on_the_same_frames(tmp_path):
    file = tmp_path / "figures.json"
    options = ["--seconds", "1", "--repeats", "1", "--webcam", str(tmp_path / "absent.npz"), "--json", str(file)]
    subprocess.run([sys.executable, str(SCRIPTS / "retargeting.py"), *options], check=True, stdout=subprocess.DEVNULL)
    rows = json.loads(file.read_text())["rows"]
    assert {row["hand"] for row in rows} == {"sharpa/wave", "unitree/g1_dex3"}
    assert len({row["frames"] for row in rows}) == 1
    for row in rows:
        assert row["over_limit"] == 0
        assert row["valid"] == row["frames"]
        assert row["pinches"] > 10
        assert row["false"] == 0
