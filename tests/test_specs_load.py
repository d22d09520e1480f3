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
