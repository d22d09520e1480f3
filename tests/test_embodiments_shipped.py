"""What holds for every embodiment in ``egoscale-embodiments``, whoever wrote it; and their golden digests."""

import functools
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
import torch

from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.specs import SIDES, EmbodimentSpec, Provenance, action_fingerprint, load_embodiment, safety_digest
from egoscale_sdk.testing.figures import without_figure, without_source

torch.set_num_threads(1)
PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT / "embodiments/egoscale_embodiments"
FINGERPRINTS = DATA / "fingerprints.toml"
SAFETY_DIGESTS = Path(__file__).with_name("golden_digests.toml")
NAMES = sorted(path.parent.name for path in DATA.glob("*/embodiment.toml"))
SPECS = {name: load_embodiment(f"egoscale_embodiments:{name}/embodiment.toml") for name in NAMES}
T_TIP_ROOT = [f"xyz_m.{n}" for n in range(3)] + [f"quat_wxyz.{n}" for n in range(4)]
LIMBS = [(name, limb) for name, spec in SPECS.items() for limb in (*spec.hands, *spec.arms) if limb.urdf]
each = pytest.mark.parametrize("name", NAMES)
each_limb = pytest.mark.parametrize(
    ("name", "limb"), LIMBS, ids=[f"{name}-{type(limb).__name__}-{limb.side}" for name, limb in LIMBS]
)


def urdf_joints(limb) -> dict:
    text = (DATA / limb.urdf.partition(":")[2]).read_text()
    return {element.get("name"): element for element in ElementTree.fromstring(text).findall("joint")}


@each
@pytest.mark.parametrize(("digest", "file"), [(action_fingerprint, FINGERPRINTS), (safety_digest, SAFETY_DIGESTS)])
def test_digests_are_the_golden_ones(name, digest, file):
    spec = SPECS[name]
    golden = tomllib.loads(file.read_text()).get(spec.id)
    assert digest(spec) == golden, (
        f"{spec.id} no longer means what it did. A changed action_fingerprint makes checkpoints and datasets of this "
        f"id refuse each other: is a new @N due? If the change is meant, write into {file.name}:\n"
        f'"{spec.id}" = "{digest(spec)}"'
    )


@pytest.mark.parametrize("file", [FINGERPRINTS, SAFETY_DIGESTS])
def test_no_golden_digest_is_left_over(file):
    assert set(tomllib.loads(file.read_text())) == {spec.id for spec in SPECS.values()}


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


@each
def test_every_figure_says_where_it_comes_from_and_every_source_has_one(name):
    assert without_source(SPECS[name]) == []
    assert without_figure(SPECS[name]) == []


def test_a_figure_without_a_source_is_found_and_a_source_without_a_figure():
    spec = SPECS["unitree_g1_dex3"]
    bare = spec.model_copy(update={"provenance": spec.provenance[1:]})
    assert without_source(bare) == [f"arms.{s}.T_tip_root.{v}" for s in SIDES for v in T_TIP_ROOT]
    misspelt = Provenance(fields="wires.dex4_left, control", source="nobody")
    assert without_figure(spec.model_copy(update={"provenance": (misspelt,)})) == ["wires.dex4_left"]


MEANING, SAFETY, NEITHER = {"meaning"}, {"safety"}, set()
CHANGES = {  # on the body that has everything: hands on calibrated arms
    "title": ("something else", NEITHER),
    "license": ("something else", NEITHER),
    "aliases": (["acme/other@1"], NEITHER),
    "provenance": ([], NEITHER),
    "sensors": ([], NEITHER),
    "wires": ([], NEITHER),
    "base_frame": ("elsewhere", MEANING),
    "action.wrist": ("commanded", MEANING),
    "control.rate_hz": (77.0, SAFETY),
    "control.wrist_speed_m_s": (0.1, SAFETY),
    "arms.0.T_tip_root.xyz_m.0": (0.01, NEITHER),
    "arms.0.mount_calibrated": (True, NEITHER),
    "arms.0.provenance": ([], NEITHER),
    "arms.0.urdf": ("another/place.urdf", NEITHER),
    "arms.0.joints.3.upper_rad": (0.3, SAFETY),
    "arms.0.joints.3.velocity_rad_s": (0.1, SAFETY),
    "arms.0.tree.joints.1.xyz_m.0": (0.123, MEANING),
    "arms.0.base": ("left_arm_link1", MEANING),
    "hands.1.provenance": ([], NEITHER),
    "hands.1.bodies": ([], NEITHER),
    "hands.1.dynamics": ([], NEITHER),
    "hands.1.mass_kg": (9.0, NEITHER),
    "hands.1.fingers": ([], NEITHER),
    "hands.1.open_pose": ([], NEITHER),
    "hands.1.mirror_signs": ([], NEITHER),
    "hands.1.joints.2.lower_rad": (-0.1, SAFETY),
    "hands.1.joints.2.effort_nm": (0.1, SAFETY),
    "hands.1.joints.2.acceleration_rad_s2": (1.0, SAFETY),
    "hands.1.T_root_wrist.xyz_m.2": (0.01, MEANING),
    "hands.1.tree.joints.4.axis": ([1.0, 0.0, 0.0], MEANING),
    "hands.1.hand_space.id": ("acme/wave@2", MEANING),
    "hands.1.hand_space.columns.0.name": ("other", MEANING),
}


@pytest.mark.parametrize("path", CHANGES)
def test_what_changes_which_digest(path):
    before, table = SPECS["sharpa_r1pro_wave"], SPECS["sharpa_r1pro_wave"].model_dump(mode="json")
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    holder = functools.reduce(lambda value, key: value[key], above, table)
    value, expected = CHANGES[path]
    assert holder[last] != value
    holder[last] = value
    after = EmbodimentSpec.model_validate(table)
    changed = {"meaning"} if action_fingerprint(after) != action_fingerprint(before) else set()
    changed |= {"safety"} if safety_digest(after) != safety_digest(before) else set()
    assert changed == expected


def test_the_order_of_joints_is_meaning_and_no_matter_of_safety():
    spec = SPECS["unitree_g1_dex3"]
    hand = spec.hand("right")
    swapped = hand.model_copy(update={"joints": (*hand.joints[:5], hand.joints[6], hand.joints[5])})
    other = spec.model_copy(update={"hands": (spec.hand("left"), swapped)})
    assert action_fingerprint(other) != action_fingerprint(spec)
    assert safety_digest(other) == safety_digest(spec)


@pytest.mark.slow
def test_the_wheel_contains_every_data_file(tmp_path):
    pytest.importorskip("hatchling", reason="the build backend is not installed: pip install hatchling")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run([*command, str(PROJECT / "embodiments")], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = {path.relative_to(DATA.parent).as_posix() for kind in ("toml", "urdf") for path in DATA.rglob(f"*.{kind}")}
    assert files <= set(zipfile.ZipFile(wheel).namelist())
