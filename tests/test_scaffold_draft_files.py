"""Reading a vendor's file: hostile or broken ones are refused in one line, incomplete ones become questions."""

import re
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.errors import EgoscaleError, SpecError
from egoscale_sdk.scaffold.draft import draft_hand
from egoscale_sdk.scaffold.meshes import is_there, mesh_file, mesh_points
from egoscale_sdk.scaffold.mirror import mirror_hand
from egoscale_sdk.scaffold.model import read_model
from tests.scaffold_urdfs import five, jaws, sliders, tri

HAND = tri()
MESH = '<collision><geometry><mesh filename="{}"/></geometry></collision></link>'
TWICE = '<joint name="again" type="fixed"><parent link="palm"/><child link="fa_1"/></joint></robot>'
CIRCLE = '<parent link="fa_2"/><child link="fa_0"/>'
LAUGHS = """<?xml version="1.0"?><!DOCTYPE robot [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><robot name="&c;"/>"""


@pytest.fixture
def draft(tmp_path):
    def make(text, folder="urdf"):
        file = tmp_path / "package" / folder / "hand.urdf"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return draft_hand(file, side=None, namespace="acme", name="hand")

    return make


def limit_of(joint, text, new):
    """Replace the <limit> of a joint."""
    start = text.index(f'<joint name="{joint}"')
    at = text.index("<limit", start)
    return text[:at] + new + text[text.index("/>", at) + 2 :]


def refused(draft, text, message):
    with pytest.raises(EgoscaleError, match=message) as error:
        draft(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "hand.urdf: has XML entities or a DTD"),
        ("<robot", "hand.urdf: is not well-formed XML"),
        (b"\xff\xfe\x00", "hand.urdf: is not UTF-8 text"),
        (HAND.replace("Z", "").encode("utf-16"), "hand.urdf: is not UTF-8 text; save it as UTF-8"),
        (
            f'<?xml version="1.0" encoding="UTF-16"?>{HAND}'.encode("utf-16"),
            "is not UTF-8 text, but UTF-16; save it as UTF-8",
        ),
        (
            f'<?xml version="1.0" encoding="ISO-8859-1"?><!-- \xe4 -->{HAND}'.encode("latin-1"),
            "is not UTF-8 text, but ISO-8859-1; save it as UTF-8",
        ),
        (HAND.replace('lower="-0.1"', 'lower="${low}"', 1), "is a xacro file, not a URDF yet; run: xacro hand.urdf > "),
        (
            '<robot xmlns:xacro="http://ros.org/wiki/xacro"><xacro:finger name="x"/></robot>',
            "run: xacro hand.urdf > plain_hand.urdf",
        ),
        ("<robot/>", "hand.urdf: has no <link>"),
        (
            '<robot><link name="a"/><link name="b"/><joint name="x" type="fixed"><parent link="a"/><child link="b"/>'
            '</joint><joint name="y" type="fixed"><parent link="b"/><child link="a"/></joint></robot>',
            "hand.urdf: has no root link: its joints form a circle, b -> a -> b",
        ),
        (HAND.replace('mass value="0.02"', 'mass value="-0.02"', 1), "mass: value must not be negative, is -0.02"),
        (HAND.replace("fa_j1", "fa j1"), "joint 'fa j1': its name 'fa j1' is not a name: a letter or _, then"),
        (HAND.replace("fa_j1", "x" * 10_000), r"joint 'x{64}\.\.': its name 'x{64}\.\.' is not a name: a letter"),
        ("<mujoco/>", "its root is <mujoco>, not <robot>"),
        (HAND.replace('name="fa_1"', 'name="fa_0"', 1), "link 'fa_0' occurs 2 times"),
        (HAND.replace("</robot>", TWICE), "child link 'fa_1' occurs more than once"),
        (HAND.replace('joint name="fa_j1"', 'joint name="fa_j0"'), "joint 'fa_j0' occurs more than once"),
        (HAND.replace('<parent link="palm"/><child link="fa_0"/>', CIRCLE), "link 'fa_2' is not connected to the root"),
        (limit_of("fa_j1", HAND, '<limit lower="0" upper="1"/><limit effort="1"/>'), "'fa_j1': has several <limit>"),
        (
            limit_of("fa_j1", HAND, '<limit lower="0" upper="nan"/>'),
            "joint 'fa_j1': limit: upper must be a finite",
        ),
        (limit_of("fa_j1", HAND, '<limit lower="-inf" upper="1"/>'), "joint 'fa_j1': limit: lower must be a finite"),
        (limit_of("fa_j1", HAND, '<limit lower="one" upper="1"/>'), "joint 'fa_j1': limit: lower must be a finite"),
        (limit_of("fa_j1", HAND, '<limit lower="2" upper="1"/>'), "'fa_j1': limit: lower, 2, is greater than upper, 1"),
        (limit_of("fa_j1", HAND, '<limit lower="0" upper="90"/>'), "looks like degrees"),
        (limit_of("fa_j1", HAND, '<limit lower="0" upper="1" velocity="-1"/>'), "'fa_j1': velocity_rad_s"),
        (HAND.replace('<axis xyz="0 1 0"/>', '<axis xyz="0 1e300 0"/>', 1), "axis is absurdly long"),
        (HAND.replace('<origin xyz="0 0 0"/>', '<origin xyz="0 1e300 0"/>', 1), "xyz needs three finite numbers"),
        (HAND.replace('mass value="0.3"', 'mass value="heavy"'), "link 'palm': mass: value must be a finite number"),
        (HAND.replace('length="0.045"', 'length="inf"', 1), "cylinder: length must be a finite number"),
        (five().replace('<mimic joint="fa_j1"', '<mimic joint="fa_jl"'), "follows 'fa_jl', which is no moving joint"),
        (
            five().replace('<mimic joint="fa_j1"', '<mimic joint="fa_j2"'),
            "hand.urdf: mimic joints follow each other in a circle: fa_j2 -> fa_j2",
        ),
    ],
)
def test_a_broken_or_hostile_file_is_refused_in_one_line(draft, text, message):
    refused(draft, text, message)


def test_ten_thousand_joints_and_a_huge_file_are_refused_without_reading_on(draft, tmp_path):
    links = "".join(f'<link name="l{number}"/>' for number in range(10_001))
    joints = "".join(
        f'<joint name="j{n}" type="revolute"><parent link="l{n}"/><child link="l{n + 1}"/></joint>'
        for n in range(10_000)
    )
    refused(draft, f'<robot name="long">{links}{joints}</robot>', "10000 joints; at most 512 are read")
    huge = tmp_path / "huge.urdf"
    with huge.open("wb") as file:
        file.truncate(2**34)
    tracemalloc.start()
    with pytest.raises(SpecError, match="larger than 8388608 bytes"):
        read_model(huge)
    assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    tracemalloc.stop()


def test_too_many_shapes_are_refused(draft):
    many = '<visual><geometry><sphere radius="0.01"/></geometry></visual>' * 5000
    refused(draft, HAND.replace("</link>", f"{many}</link>", 1), "shapes; at most 4096 are read")


NUMBERS = re.compile(r'(?<=["\s])-?\d+\.?\d*(?=["\s])')


@settings(max_examples=30)
@given(st.data())
def test_any_figures_give_a_draft_or_one_line(tmp_path_factory, data):
    text = data.draw(st.sampled_from([HAND, five(), jaws(), sliders()]))
    places = data.draw(st.lists(st.sampled_from(list(NUMBERS.finditer(text))), min_size=1, max_size=3, unique=True))
    for place in sorted(places, key=lambda match: -match.start()):
        value = data.draw(st.sampled_from(["0", "-1", "1e9", "1e-12", "3.14", "1e300", "-0.1", "x"]))
        text = text[: place.start()] + value + text[place.end() :]
    file = tmp_path_factory.mktemp("any") / "hand.urdf"
    file.write_text(text)
    complaint = ""
    try:
        mirror_hand(draft_hand(file, side=None, namespace="acme", name="hand"))
    except EgoscaleError as error:
        complaint = str(error)
    assert "\n" not in complaint


def test_drafting_needs_no_heavy_package():
    code = "import sys, egoscale_sdk.scaffold.pair; print([m for m in ('torch', 'mujoco', 'zarr') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        read_model(tmp_path / "no.urdf")
    with pytest.raises(SpecError, match="cannot be read"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "package://acme/../../x.stl",
        "package://acme/../x.stl",
        "../../x.stl",
        "meshes/../../../x.stl",
        "/etc/passwd",
        "package:///etc/passwd/../../..",
        "file:///etc/passwd",
        "http://example.org/x.stl",
        "..\\..\\x.stl",
        "C:/x.stl",
        "//server/x.stl",
    ],
)
def test_a_mesh_path_that_leaves_the_package_is_refused(draft, path):
    text = HAND.replace("</link>", MESH.format(path), 1)
    with pytest.raises(SpecError, match=r"hand\.urdf: link 'palm': mesh") as error:
        draft(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["package://acme/meshes/x.stl", "meshes/x.stl", "../meshes/x.stl", "./x.dae"])
def test_a_mesh_that_is_missing_is_no_error(draft, path):
    found = draft(HAND.replace("</link>", MESH.format(path), 1))
    assert found.questions == ()
    bodies = next(item for item in found.guesses if item.what.endswith("bodies"))
    assert not bodies.sure
    assert re.search(rf"; mesh \S*{path.split('/')[-1]} is not there$", bodies.evidence)


def test_xacro_that_was_expanded_is_a_urdf(draft):
    said = "<!-- made by xacro from <xacro:x> ${y} -->"
    text = HAND.replace("<robot", '<robot xmlns:xacro="http://www.ros.org/wiki/xacro"').replace(
        "</robot>", f"{said}</robot>"
    )
    assert draft(text).questions == ()


def test_a_link_of_the_file_system_does_not_lead_out_of_the_package(tmp_path):
    (tmp_path / "package" / "urdf").mkdir(parents=True)
    (tmp_path / "secret.stl").write_bytes(b"")
    (tmp_path / "package" / "x.stl").symlink_to(tmp_path / "secret.stl")
    with pytest.raises(SpecError, match="climbs out of the package by a link"):
        mesh_file("../x.stl", tmp_path / "package" / "urdf" / "hand.urdf", "here")


def test_the_package_is_where_its_manifest_is(tmp_path):
    folder = tmp_path / "package" / "a" / "b" / "c"
    folder.mkdir(parents=True)
    (tmp_path / "package" / "package.xml").write_text("<package/>")
    (tmp_path / "package" / "x.stl").write_bytes(b"")
    for path in ("../../../x.stl", "package://any_name/x.stl"):
        assert mesh_file(path, folder / "hand.urdf", "here").samefile(tmp_path / "package" / "x.stl")
    with pytest.raises(SpecError, match="climbs out"):
        mesh_file("../../../../x.stl", folder / "hand.urdf", "here")


@given(st.text(max_size=40))
def test_any_mesh_path_stays_in_the_package_or_is_refused(tmp_path_factory, path):
    root = tmp_path_factory.getbasetemp() / "anywhere"
    (root / "urdf").mkdir(parents=True, exist_ok=True)
    try:
        file = mesh_file(path, root / "urdf" / "hand.urdf", "here")
    except SpecError:
        return
    assert not is_there(file) or file.resolve().is_relative_to(root)


def stl(corners):
    head = b"\0" * 80 + struct.pack("<I", len(corners) // 3)
    rows = [struct.pack("<12fH", 0, 0, 1, *np.ravel(corners[3 * n : 3 * n + 3]), 0) for n in range(len(corners) // 3)]
    return head + b"".join(rows)


def test_a_mesh_that_is_there_gives_tips_and_bodies(draft, tmp_path):
    meshes = tmp_path / "package" / "meshes"
    meshes.mkdir(parents=True)
    box = np.array([[x, y, z] for x in (-8, 8) for y in (-8, 8) for z in (0, 31)], float)
    (meshes / "tip.stl").write_bytes(stl(np.concatenate([box, box[:1]])))
    mesh = '<collision><geometry><mesh filename="package://acme/meshes/tip.stl" scale="0.001 0.001 0.001"/></geometry>'
    text = five()
    at = text.index("</link>", text.index('<link name="fa_2"'))
    found = draft(f"{text[:at]}{mesh}</collision>{text[at:]}")
    tip = found.hand.tree.parent_joint(found.hand.fingers[1].frames[-1].frame)
    np.testing.assert_allclose(tip.xyz_m, [0, 0, 0.031], atol=1e-6)
    assert next(body for body in found.hand.bodies if body.link == "fa_2").kind == "capsule"


@pytest.mark.parametrize(
    "data", [b"", b"solid x\nendsolid", b"\0" * 90, stl(np.full((3, 3), np.nan)), stl(np.eye(3))[:-1]]
)
def test_a_damaged_mesh_is_as_good_as_none(tmp_path, data):
    (tmp_path / "x.stl").write_bytes(data)
    assert mesh_points(tmp_path / "x.stl") is None


def test_a_missing_limit_is_a_question_and_a_stand_in(draft):
    found = draft(limit_of("fa_j1", HAND, ""))
    asked = (
        "hand/right.toml: joints: lower_rad and upper_rad of {} are {} in hand.urdf; between which does {} move? "
        "(0..1.571 rad stands in; native_lower and native_upper of the wires in embodiment.toml go with them)"
    )
    assert found.questions == (asked.format("'fa_j1'", "missing", "it"),)
    joint = next(joint for joint in found.hand.joints if joint.name == "fa_j1")
    assert joint.upper_rad == pytest.approx(np.pi / 2)
    assert draft(limit_of("fa_j1", HAND, '<limit effort="1" velocity="1"/>')).questions == found.questions
    zero = limit_of("fa_j1", HAND, '<limit lower="0" upper="0"/>')
    assert draft(zero).questions == (asked.format("'fa_j1'", "both 0", "it"),)
    both = draft(limit_of("fa_j2", limit_of("fa_j1", HAND, ""), "")).questions
    assert both == (asked.format("'fa_j1', 'fa_j2'", "missing", "each of them"),)
    assert len(draft(limit_of("fa_j2", zero, "")).questions) == 2


def test_limits_the_wrong_way_round_are_told_of_their_own_joint(draft):
    """Not of the mimic of a joint that follows it."""
    text = limit_of(
        "fa_j2", limit_of("fa_j1", five(), '<limit lower="1.6" upper="0"/>'), '<limit lower="1" upper="0"/>'
    )
    refused(draft, text, "hand.urdf: joint 'fa_j1': limit: lower, 1.6, is greater than upper, 0$")


def test_a_bound_that_is_left_out_beside_the_other_is_zero(draft):
    found = draft(limit_of("fa_j1", HAND, '<limit upper="1.2"/>'))
    joint = next(joint for joint in found.hand.joints if joint.name == "fa_j1")
    assert (joint.lower_rad, joint.upper_rad, joint.velocity_rad_s, joint.effort_nm) == (0.0, 1.2, None, None)
    assert found.questions == ()


def test_a_follower_without_limits_has_those_of_its_leader(draft):
    found = draft(limit_of("fa_j2", five(), ""))
    joint = next(joint for joint in found.hand.joints if joint.name == "fa_j2")
    assert (joint.lower_rad, joint.upper_rad) == (0.0, pytest.approx(1.28))
    assert found.questions == ()


def test_a_leader_that_would_drive_its_follower_too_far_is_narrowed_and_said(draft):
    found = draft(limit_of("fa_j2", five(), '<limit lower="0" upper="0.8"/>'))
    joint = next(joint for joint in found.hand.joints if joint.name == "fa_j1")
    assert joint.upper_rad == pytest.approx(1.0)
    said = next(item for item in found.guesses if item.what.endswith("limits of joint fa_j1"))
    assert said.value == "0..1 instead of 0..1.6"
    refused(draft, limit_of("fa_j2", five(), '<limit lower="2" upper="3"/>'), r"leaves its own limits \(2\.\.3\)")
    refused(draft, sliders().replace('multiplier="1.0"', 'multiplier="-1"'), "correct the multiplier, or the limits")


def test_speeds_and_efforts_of_zero_are_no_figures(draft):
    found = draft(limit_of("fa_j1", HAND, '<limit lower="0" upper="1.2" velocity="0" effort="0"/>'))
    joint = next(joint for joint in found.hand.joints if joint.name == "fa_j1")
    assert joint.velocity_rad_s is None
    assert joint.effort_nm is None
    said = next(item for item in found.guesses if item.what.endswith("speeds"))
    assert (said.value, said.evidence.partition(":")[0]) == ("not known of fa_j1", "velocity in <limit> is 0")
    silent = draft(limit_of("fa_j2", HAND, '<limit lower="0" upper="1.2"/>')).guesses
    said = next(item for item in silent if item.what.endswith("speeds"))
    assert (said.value, said.evidence.partition(":")[0]) == (
        "not known of fa_j2",
        "velocity in <limit> is not in the file",
    )


def test_a_gripper_with_sections_for_other_tools_is_read(draft):
    extra = '<ros2_control name="x"><joint name="jaw_one_joint"><param name="p">1</param></joint></ros2_control>'
    assert draft(jaws().replace("</robot>", f"{extra}<gazebo/></robot>")).questions == ()
