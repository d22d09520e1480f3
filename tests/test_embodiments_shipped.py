"""What holds for every embodiment in ``egoscale-embodiments``, whoever wrote it; and their golden digests."""

import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
import torch

from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.specs import action_fingerprint, load_embodiment, safety_digest

torch.set_num_threads(1)
PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT / "embodiments/egoscale_embodiments"
GOLDEN = Path(__file__).with_name("golden_digests.toml")
NAMES = sorted(path.parent.name for path in DATA.glob("*/embodiment.toml"))
SPECS = {name: load_embodiment(f"egoscale_embodiments:{name}/embodiment.toml") for name in NAMES}
LIMBS = [(name, limb) for name, spec in SPECS.items() for limb in (*spec.hands, *spec.arms) if limb.urdf]
each = pytest.mark.parametrize("name", NAMES)
each_limb = pytest.mark.parametrize(
    ("name", "limb"), LIMBS, ids=[f"{name}-{type(limb).__name__}-{limb.side}" for name, limb in LIMBS]
)


def urdf_joints(limb) -> dict:
    text = (DATA / limb.urdf.partition(":")[2]).read_text()
    return {element.get("name"): element for element in ElementTree.fromstring(text).findall("joint")}


@each
def test_digests_are_the_golden_ones(name):
    spec = SPECS[name]
    found = {"action_fingerprint": action_fingerprint(spec), "safety_digest": safety_digest(spec)}
    golden = tomllib.loads(GOLDEN.read_text()).get(spec.id)
    lines = "\n".join([f'["{spec.id}"]', *(f'{key} = "{value}"' for key, value in found.items())])
    assert found == golden, (
        f"{spec.id} no longer means what it did. A changed action_fingerprint makes checkpoints and datasets of this "
        f"id refuse each other: is a new @N due? If the change is meant, write into {GOLDEN.name}:\n{lines}"
    )


def test_no_golden_digest_is_left_over():
    assert set(tomllib.loads(GOLDEN.read_text())) == {spec.id for spec in SPECS.values()}


@each
def test_the_folder_is_named_after_the_id(name):
    assert SPECS[name].id.partition("@")[0] == name.replace("_", "/", 1)


@each_limb
def test_limits_are_the_same_in_toml_and_urdf(name, limb):
    joints = urdf_joints(limb)
    for joint in limb.joints:
        limit = joints[joint.name].find("limit")
        written = [float(limit.get(key)) for key in ("lower", "upper", "velocity", "effort")]
        effort = joint.effort_n if joint.unit == "m" else joint.effort_nm
        spec = [joint.lower, joint.upper, joint.velocity, effort]
        assert [value for value in spec if value is not None] == pytest.approx(
            [number for number, value in zip(written, spec, strict=True) if value is not None], abs=1e-12
        ), joint.name


@each_limb
def test_every_movable_joint_of_the_urdf_is_in_the_toml_with_its_mimic(name, limb):
    movable = {joint.name: (joint.kind, joint.mimic) for joint in limb.tree.joints if joint.kind != "fixed"}
    assert {joint.name: (joint.kind, joint.mimic) for joint in limb.joints} == movable


@each
def test_the_neutral_pose_is_within_the_limits_as_written(name):
    for hand in SPECS[name].hands:
        assert len(hand.open_pose) == len(hand.actuated)
        assert all(j.lower <= value <= j.upper for j, value in zip(hand.actuated, hand.open_pose, strict=True))


@each
def test_kinematics_are_finite_and_rigid_at_the_neutral_pose(name):
    body = SpecEmbodiment(SPECS[name])
    if "forward_kinematics" not in body.capabilities:
        pytest.skip(f"{SPECS[name].id} has keypoints instead of joints")
    poses = body.forward_kinematics(body.neutral(torch.zeros(0, dtype=torch.float64)))
    assert len(poses) == len(body.frames)
    rotation = poses[:, :3, :3]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3, dtype=torch.float64).expand_as(rotation))


@each_limb
def test_fixed_figures_say_where_they_come_from(name, limb):
    assert limb.provenance or any("hands" in item.fields or "arms" in item.fields for item in SPECS[name].provenance)


@each
def test_wires_name_existing_joints(name):
    known = {joint.name for joint in SPECS[name].joints}
    assert {joint.joint for wire in SPECS[name].wires for joint in wire.joints} <= known


@pytest.mark.slow
def test_the_wheel_contains_every_data_file(tmp_path):
    pytest.importorskip("hatchling", reason="the build backend is not installed: pip install hatchling")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run([*command, str(PROJECT / "embodiments")], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = {path.relative_to(DATA.parent).as_posix() for kind in ("toml", "urdf") for path in DATA.rglob(f"*.{kind}")}
    assert files <= set(zipfile.ZipFile(wheel).namelist())
