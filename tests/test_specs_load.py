"""Specs come from packages that others wrote: what is wrong with their files is said in one line, file and field."""

import sys

import pytest

from egoscale_sdk.errors import SpecError
from egoscale_sdk.specs import load_embodiment

SPACE = 'id = "acme/claw@1"\ncolumns = [{ name = "grip", unit = "rad" }]\n'
HAND = """side = "right"
hand_space = "../space.toml"
urdf = "claw.urdf"
root = "palm"
joints = [{ name = "grip", kind = "revolute", lower_rad = 0.0, upper_rad = 1.0 }]
"""
URDF = (
    '<robot name="claw"><link name="palm"/><link name="finger"/>'
    '<joint name="grip" type="revolute"><parent link="palm"/><child link="finger"/></joint></robot>'
)
EMBODIMENT = """id = "acme/claw@1"
title = "A claw"
kind = "robot"
hands = ["hands/claw.toml"]
[control]
rate_hz = 50.0
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package ``acme_specs`` of one claw; returns its folder. Beside it lies a secret that no path may reach."""
    folder = tmp_path / "acme_specs"
    (folder / "hands").mkdir(parents=True)
    (tmp_path / "secret.toml").write_text('side = "right"\n')
    files = {"__init__.py": "", "claw.toml": EMBODIMENT, "space.toml": SPACE}
    files |= {"hands/claw.toml": HAND, "hands/claw.urdf": URDF}
    for name, text in files.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_specs", raising=False)
    return folder


def complaint(resource="acme_specs:claw.toml") -> str:
    with pytest.raises(SpecError) as caught:
        load_embodiment(resource)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_hand_space_and_urdf_are_read_from_files_of_their_own(package):
    hand = load_embodiment("acme_specs:claw.toml").hand("right")
    assert hand.hand_space.id == "acme/claw@1"
    assert hand.tree.links == ("palm", "finger")
    assert hand.urdf == "acme_specs:hands/claw.urdf"


def test_fields_beside_a_file_replace_those_in_it(package):
    text = EMBODIMENT.replace('"hands/claw.toml"', '{ file = "hands/claw.toml", mass_kg = 0.5 }')
    (package / "claw.toml").write_text(text)
    assert load_embodiment("acme_specs:claw.toml").hand("right").mass_kg == 0.5


@pytest.mark.parametrize("path", ["../secret.toml", "hands/../../secret.toml", "/etc/hostname", "..\\secret.toml"])
def test_no_path_leaves_the_package(package, path):
    (package / "claw.toml").write_text(EMBODIMENT.replace("hands/claw.toml", path.replace("\\", "\\\\")))
    assert "leaves the package" in complaint() or "is not relative" in complaint()


@pytest.mark.parametrize("resource", ["acme_specs:../secret.toml", "acme_specs:/etc/hostname"])
def test_nor_does_the_entry_itself(package, resource):
    assert "package" in complaint(resource) or "is not relative" in complaint(resource)


@pytest.mark.parametrize("file", ["claw.toml", "space.toml", "hands/claw.toml", "hands/claw.urdf"])
def test_a_missing_file_is_named(package, file):
    (package / file).unlink()
    assert complaint() == f"acme_specs:{file}: file not found"


def test_a_folder_is_not_a_file(package):
    assert complaint("acme_specs:hands") == "acme_specs:hands: file not found"


def test_a_missing_package_is_named():
    assert complaint("acme_nowhere:claw.toml") == "acme_nowhere:claw.toml: package 'acme_nowhere' is not installed"


def test_bad_toml_names_file_and_line(package):
    (package / "hands/claw.toml").write_text('side = "right"\nroot =\n')
    assert complaint().startswith("acme_specs:hands/claw.toml: is not valid TOML")
    assert "line 2" in complaint()


def test_bytes_that_are_no_text_are_refused(package):
    (package / "space.toml").write_bytes(b"\xff\xfe\x00")
    assert complaint() == "acme_specs:space.toml: is not UTF-8 text"


@pytest.mark.parametrize("package", ["", ".x", "..", "a b", "a/b", "1a"])
def test_what_names_no_package_is_no_resource(package):
    assert "is not of the form package:path" in complaint(f"{package}:claw.toml")


def test_a_module_is_no_package():
    assert complaint("json.decoder:claw.toml") == "json.decoder:claw.toml: 'json.decoder' is not a package"


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, EMBODIMENT + "x = " + "[" * 900 + "]" * 900])
def test_deep_nesting_is_refused(package, text):
    (package / "claw.toml").write_text(text)
    assert complaint() == "acme_specs:claw.toml: is nested too deeply"


def test_a_huge_file_is_refused_without_reading_it_whole(package):
    with (package / "claw.toml").open("wb") as file:
        file.truncate(2**40)  # a sparse file: a terabyte of nothing
    assert complaint() == "acme_specs:claw.toml: larger than 16777216 bytes"


@pytest.mark.parametrize(
    ("hands", "expected"),
    [
        ('"hands/claw.toml"', "claw.toml:hands: must be a list"),
        ("5", "claw.toml:hands: must be a list"),
        ("[5]", "claw.toml:hands.0: must be a path or a table, is 5"),
        ('[["a"]]', "claw.toml:hands.0: must be a path or a table"),
        ("[{ file = 5 }]", "claw.toml:hands.0.file: must be a path, is 5"),
        ('[{ file = "hands/\\u0000" }]', "is not relative"),
        ('[{ side = "right", urdf = 5 }]', "urdf: must be a path, is 5"),
        ("[]", "claw.toml:hands: Tuple should have at least 1 item"),
        ('["hands/claw.toml", "hands/claw.toml"]', "claw.toml: hands must be one left, one right, or left then right"),
    ],
)
def test_hands_of_another_shape_are_refused(package, hands, expected):
    (package / "claw.toml").write_text(EMBODIMENT.replace('["hands/claw.toml"]', hands))
    assert expected in complaint()


def test_a_field_is_named_in_the_file_that_it_was_written_in(package):
    """Also where the embodiment's own table replaces a field of the hand's file."""
    (package / "claw.toml").write_text(
        EMBODIMENT.replace('"hands/claw.toml"', '{file = "hands/claw.toml", mass_kg = -1.0}')
    )
    assert complaint() == "acme_specs:claw.toml:hands.0.mass_kg: Input should be greater than 0"
    (package / "claw.toml").write_text(EMBODIMENT)
    (package / "hands/claw.toml").write_text(HAND + "mass_kg = -1.0\n")
    assert complaint() == "acme_specs:hands/claw.toml:mass_kg: Input should be greater than 0"
    (package / "hands/claw.toml").write_text(HAND)
    (package / "space.toml").write_text(SPACE.replace('"rad"', '"deg"'))
    assert complaint() == "acme_specs:space.toml:columns.0.unit: Input should be 'rad' or 'm'"


FOLLOWER = '{ name = "tip", kind = "revolute", lower_rad = 0.0, upper_rad = 1.0, mimic = { joint = "grip" } }'
FRAMES = '[{ frame = "palm", keypoints = [1] }, { frame = "finger", keypoints = [4] }]'
WIRE = '[[wires]]\ndevice = "bus"\npart = "right_hand"\njoints = [{ joint = "grip" }]\n'
RECORDING = (
    '[[recordings]]\nrobot_type = "claw"\naction = []\n'
    'state = [{ start = 0, stop = 9, part = "right_wrist", encoding = "xyz_rot6d" },\n'
    '{ start = 9, stop = 10, part = "right_hand" }]\n'
)
CAMERA = '[[sensors]]\nkind = "camera"\nname = "eye"\nmount = "head"\nheight_px = 4\nwidth_px = 4\nrate_hz = 1.0\n'
ARM = """[[arms]]
side = "right"
urdf = "hands/claw.urdf"
base = "palm"
tip = "finger"
joints = [{ name = "elbow", kind = "revolute", lower_rad = 0.0, upper_rad = 1.0 }]
"""
COUPLED = URDF.replace(
    "</robot>",
    '<link name="end"/><joint name="tip" type="revolute"><parent link="finger"/><child link="end"/></joint></robot>',
)


@pytest.fixture
def full(package):
    """The claw with a follower, a finger, a wire, a recording and a camera; loads as it is."""
    hand = HAND.replace("upper_rad = 1.0 }]", f"upper_rad = 1.0 }}, {FOLLOWER}]")
    hand += f'fingers = [{{ role = "thumb", frames = {FRAMES} }}]\n'
    hand += 'open_pose = [0.5]\nmirror_signs = [-1.0]\naperture = { joint = "grip" }\n'
    hand += 'dynamics = [{ joint = "grip", kp = 1.0 }]\n'
    hand += 'bodies = [{ link = "finger", kind = "box", center_m = [0, 0, 0], half_extent_m = [0.1, 0.1, 0.1] }]\n'
    (package / "hands/claw.toml").write_text(hand)
    (package / "hands/claw.urdf").write_text(COUPLED)
    (package / "claw.toml").write_text(EMBODIMENT + WIRE + RECORDING + CAMERA)
    load_embodiment("acme_specs:claw.toml")
    return package


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("claw.toml", "rate_hz = 50.0", "rate_hz = true", "claw.toml:control.rate_hz: Input should be a valid number"),
        ("claw.toml", "rate_hz = 50.0", 'rate_hz = "50"', "claw.toml:control.rate_hz: Input should be a valid number"),
        (
            "claw.toml",
            'device = "bus"',
            'device = "bus"\nrate_hz = 0.0',
            "wires.0.rate_hz: Input should be greater than 0",
        ),
        ("claw.toml", 'joint = "grip"', 'joint = "gripp"', "'gripp' is no joint of 'right_hand'; did you mean 'grip'?"),
        ("claw.toml", 'joint = "grip"', 'joint = "tip"', "'tip' is no joint of 'right_hand'"),
        ("claw.toml", '"grip" }', '"grip", scale = 0.0 }', "wires.0.joints.0.scale: Input should be greater than 0"),
        ("claw.toml", '{ joint = "grip" }', '{ joint = "grip" }, { joint = "grip" }', "joint 'grip' occurs 2 times"),
        ("claw.toml", 'part = "right_hand"\njoints', 'part = "left_arm"\njoints', "there is no 'left_arm' with joints"),
        ("claw.toml", WIRE, WIRE + WIRE, "wire of device 'bus' occurs 2 times"),
        ("claw.toml", "stop = 9", "stop = 0", "recordings.0.state.0.stop: Input should be greater than 0"),
        ("claw.toml", "start = 9", "start = 12", "columns [12, 10) of 'right_hand' are none"),
        ("claw.toml", "stop = 9", "stop = 8", "columns [0, 8): 'xyz_rot6d' of 'right_wrist' has 9 values"),
        ("claw.toml", "xyz_rot6d", "rot6d", "encoding 'rot6d' of 'right_wrist' is not one of ['xyz_rot6d', 'xyz_wxyz'"),
        ("claw.toml", "stop = 10", "stop = 11", "columns [9, 11): 'joints' of 'right_hand' has 1 values"),
        ("claw.toml", CAMERA, CAMERA + CAMERA, "sensor 'eye' occurs 2 times"),
        ("claw.toml", CAMERA, CAMERA + "vertical_fov_rad = 69.0\n", "vertical_fov_rad: Input should be less than 3.14"),
        ("claw.toml", CAMERA, CAMERA + ARM, "arms.0: joint 'elbow' is not in acme_specs:hands/claw.urdf"),
        ("hands/claw.toml", "upper_rad = 1.0 }, ", "upper_rad = 57.3 }, ", "0.0..57.3 rad looks like degrees"),
        ("hands/claw.toml", "upper_rad = 1.0 }, ", "upper_rad = 1.1 }, ", "'grip' beyond its limits: 1.1 makes it 1.1"),
        ("hands/claw.toml", '{ joint = "grip" } }', '{ joint = "gripe" } }', "'tip' follows 'gripe', which is not"),
        ("hands/claw.toml", '{ joint = "grip" } }', '{ joint = "tip" } }', "'tip' follows 'tip', which is not"),
        ("hands/claw.toml", "[0.5]", "[1.5]", "open_pose of joint 'grip' is 1.5, beyond 0.0..1.0"),
        ("hands/claw.toml", "[-1.0]", "[0.5]", "mirror_signs are 1 or -1"),
        (
            "hands/claw.toml",
            'aperture = { joint = "grip"',
            'aperture = { joint = "tip"',
            "aperture: 'tip' is no such joint",
        ),
        (
            "hands/claw.toml",
            '"grip", kp',
            '"gripe", kp',
            "dynamics: 'gripe' is no such joint of this hand; did you mean",
        ),
        ("hands/claw.toml", "kp = 1.0", "kp = -1.0", "dynamics.0.kp: Input should be greater than 0"),
        (
            "hands/claw.toml",
            "0.1, 0.1, 0.1",
            "0.1, 0.0, 0.1",
            "bodies.0.half_extent_m.1: Input should be greater than 0",
        ),
        ("hands/claw.toml", 'link = "finger"', 'link = "fingr"', "frame 'fingr' is not a link"),
        ("hands/claw.toml", "keypoints = [4]", "keypoints = [1]", "finger 'thumb' goes from the palm outwards"),
        ("hands/claw.toml", "keypoints = [4]", "keypoints = [21]", "keypoints are 0..20, got (21,)"),
        (
            "hands/claw.toml",
            'root = "palm"',
            'root = "palm"\nT_root_wrist = { xyz_m = [97, 0, 0] }',
            "like millimetres",
        ),
        ("hands/claw.toml", "upper_rad = 1.0 }, ", "upper_rad = 1.0, velocity_rad_s = 0.0 }, ", "greater than 0"),
        (
            "hands/claw.urdf",
            'name="grip" type="revolute"',
            'name="grip" type="fixed"',
            "'grip' is revolute here and fixed",
        ),
        (
            "hands/claw.urdf",
            '<child link="finger"/>',
            '<child link="finger"/><origin xyz="50 0 0"/>',
            "like millimetres",
        ),
        ("hands/claw.urdf", '<parent link="palm"/>', "", "joint 'grip': has no <parent link=...>"),
        ("hands/claw.urdf", "robot", "mujoco", "hands/claw.urdf: is not a URDF: its root is <mujoco>, not <robot>"),
    ],
)
def test_a_contradiction_is_named(full, file, old, new, expected):
    text = (full / file).read_text()
    assert old in text
    (full / file).write_text(text.replace(old, new))
    assert expected in complaint()


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("claw.toml", "rate_hz = 50.0", "", "control.rate_hz: Field required"),
        ("claw.toml", "50.0", "-50.0", "control.rate_hz: Input should be greater than 0"),
        ("claw.toml", "50.0", "nan", "control.rate_hz: Input should be a finite number"),
        ("claw.toml", "title", "titel", "titel: is not a field; did you mean 'title'?"),
        ("claw.toml", "acme/claw@1", "acme/claw", "'acme/claw' is not an id"),
        ("hands/claw.toml", "upper_rad = 1.0", "upper_rad = -1.0", "joint 'grip' needs lower <= upper"),
        ("hands/claw.toml", "upper_rad = 1.0", "upper_rad = inf", "upper_rad: Input should be a finite number"),
        ("hands/claw.toml", "upper_rad", "upper_m", "its figures are in rad"),
        ("hands/claw.toml", '"palm"', '"palms"', "frame 'palms' is not a link"),
        ("hands/claw.toml", '"grip"', '"gripp"', "joint 'gripp' is not in acme_specs:hands/claw.urdf"),
        ("space.toml", '"rad"', '"m"', "actuated joints and hand space acme/claw@1 disagree"),
        ("space.toml", "unit", "units", "units: is not a field; did you mean 'unit'?"),
        ("hands/claw.urdf", "<robot", "<!DOCTYPE r [<!ENTITY a 'x'>]><robot", "hands/claw.urdf: has XML entities"),
        ("hands/claw.urdf", "revolute", "planar", "hands/claw.urdf: joint 'grip': type 'planar'"),
    ],
)
def test_a_wrong_field_is_named(package, file, old, new, expected):
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new))
    assert complaint().startswith("acme_specs:")
    assert expected in complaint()
