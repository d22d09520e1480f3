"""Benchmarks run, and their figures are what their documentation says; the figures themselves are in docs/results."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting.quality import thumb_first
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "benchmarks"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
PEER_METHODS = ("dex-retargeting vector", "dex-retargeting position", "dex-retargeting dexpilot", "mink")


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import measures
    import objective

    return SimpleNamespace(measures=measures, objective=objective)


@pytest.fixture
def measures(benchmarks):
    return benchmarks.measures


def retargeting_rows(tmp_path, *options):
    file = tmp_path / "figures.json"
    command = [sys.executable, str(SCRIPTS / "retargeting.py"), "--rounds", "1", "--threads", "1", "--json", str(file)]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    report = json.loads(file.read_text())
    assert {row["sequence"] for row in report["objective"]} <= {row["sequence"] for row in report["rows"]}
    assert all(row["wall_p99_ms"] >= row["wall_p50_ms"] > 0 for row in report["online"])
    return report["rows"]


def sharpa():
    return default_host().spec("sharpa/wave").hand("right")


def test_every_method_is_measured_on_the_same_frames_and_an_absent_peer_is_not_run(tmp_path):
    options = ["--frames", "60", "--sequences", "synth", "noisy", "webcam", "--data", str(tmp_path / "absent")]
    methods = ["egoscale eager", "egoscale shape", *PEER_METHODS]
    rows = retargeting_rows(tmp_path, *options, "--peers", str(tmp_path / "absent"), "--methods", *methods)
    assert len(rows) == len({(row["sequence"], row["method"]) for row in rows})
    ran = [row for row in rows if row["not_run"] is None]
    assert {(row["sequence"], row["method"]) for row in ran} >= {
        ("synth", "egoscale eager"),
        ("noisy", "egoscale shape"),
    }
    for row in ran:
        assert row["method"].startswith("egoscale")
        assert row["frames"] == 60
        assert row["frames_per_s"] > 0
        assert row["frames_over_limit"] == 0
    for row in rows:
        if row["not_run"]:
            assert row["frames_per_s"] is None
    unbuilt = {row["method"] for row in rows if row["not_run"] and "bench-peers" in row["not_run"]}
    assert unbuilt == set(PEER_METHODS)


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.is_file(), reason="needs `make bench-peers`")
@pytest.mark.parametrize("hand", ["sharpa/wave", "unitree/g1_dex3"])
def test_peers_follow_the_same_person(tmp_path, hand):
    options = ["--frames", "30", "--sequences", "synth", "--hand", hand]
    for row in retargeting_rows(tmp_path, *options, "--methods", *PEER_METHODS):
        assert row["not_run"] is None
        assert row["direction_error_deg"] < 45


def test_the_judge_agrees_with_the_kit_about_where_links_are(measures):
    hand, rng = sharpa(), np.random.default_rng(0)
    names = [joint.name for joint in hand.actuated]
    q = rng.uniform([joint.lower for joint in hand.actuated], [joint.upper for joint in hand.actuated], (3, len(names)))
    ours, kit = measures.Kinematics(hand).poses(q), NumpyKinematics(hand.tree, hand.joints, hand.root)
    T_wrist_root = np.linalg.inv(hand.T_root_wrist.matrix())
    for row in range(3):
        for link, pose in kit.poses(dict(zip(names, q[row], strict=True))).items():
            np.testing.assert_allclose(ours[link][row], T_wrist_root @ pose, atol=1e-12)


def test_a_hand_that_equals_the_person_has_no_errors(measures):
    """Keypoints put at the robot's own frames: every distance and angle is 0, every pinch kept, none invented."""
    hand = sharpa()
    q = np.linspace(0, 1, 20)[:, None] * np.array([joint.upper for joint in hand.actuated])
    keypoints = np.zeros((len(q), 21, 3))
    for finger, points in zip(thumb_first(hand), measures.Kinematics(hand).fingers(q), strict=True):
        for k, frame in enumerate(finger.frames):
            keypoints[:, list(frame.keypoints)] = points[:, [k]]
    figures = measures.measure(hand, q, keypoints, 1.0, 30.0)
    assert figures["frames_over_limit"] == 0
    for name in ("jitter_rms", "tip_p95_mm", "direction_error_deg", "pinch_invented"):
        assert figures[name] == pytest.approx(0, abs=1e-9)
    assert measures.size_ratio(hand, keypoints[:1]) == pytest.approx(1, abs=0.02)


def test_our_solver_reaches_a_minimum_of_an_objective_of_others_and_stays_there(benchmarks):
    """Also with joints on their bounds: more steps change nothing."""
    hand, rng = sharpa(), np.random.default_rng(0)
    lower, upper = (np.array([getattr(joint, end) for joint in hand.actuated]) for end in ("lower", "upper"))
    last = rng.uniform(lower, upper, (20, len(lower)))
    wanted = benchmarks.objective.tips_and_inner(
        hand, benchmarks.measures.Kinematics(hand).fingers(last + rng.uniform(-0.2, 0.2, last.shape))
    )
    found = [benchmarks.objective.minimise(hand, wanted, last, steps) for steps in (30, 31)]
    np.testing.assert_allclose(*found, atol=1e-5)
    assert np.isclose(found[0], lower - benchmarks.objective.WIDER_RAD).any()
    values = [benchmarks.objective.value(hand, q, wanted, last) for q in (found[0], last)]
    assert (values[0] < values[1]).all()


def test_a_joint_beyond_its_limit_and_one_too_fast_are_counted(measures):
    hand = sharpa()
    q = np.tile(np.array(hand.open_pose), (5, 1))
    q[1, 3] = hand.actuated[3].upper + 1e-6
    q[3:, 5] += 0.6
    figures = measures.measure(hand, q, np.random.default_rng(0).normal(size=(5, 21, 3)), 1.0, 30.0)
    assert figures["frames_over_limit"] == 1
    assert figures["frames_over_velocity"] == 1
