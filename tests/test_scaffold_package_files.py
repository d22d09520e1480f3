"""The plugin that `egoscale plugin new` writes: complete, clean, and it means exactly what was drafted."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scaffold_kit import GUESSES, QUESTIONS, package_of, register, shipped

from egoscale_sdk.errors import EgoscaleError
from egoscale_sdk.host import PluginHost
from egoscale_sdk.interfaces import RobotCommand
from egoscale_sdk.scaffold.names import PluginNames
from egoscale_sdk.scaffold.package import PackageDraft, package_files, write_package
from egoscale_sdk.specs import RecordingLayout, action_fingerprint
from egoscale_sdk.testing.figures import without_figure, without_source

PROJECT = Path(__file__).resolve().parents[1]
each_robot = pytest.mark.parametrize("robot", shipped())


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Write a plugin and put it where it counts as installed; returns a host that finds it."""
    before = set(sys.modules)

    def install(package: PackageDraft) -> PluginHost:
        folder = write_package(package, tmp_path)
        register(folder)
        monkeypatch.syspath_prepend(str(folder))
        return PluginHost()

    yield install
    for name in [name for name in sys.modules if name.startswith("egoscale_acme") and name not in before]:
        del sys.modules[name]


def meaning(spec):
    """The spec without the paths of its URDFs, which say where it was read from."""
    return spec.model_copy(update={"hands": tuple(hand.model_copy(update={"urdf": None}) for hand in spec.hands)})


@each_robot
def test_the_written_plugin_is_found_and_means_what_was_drafted(robot, install):
    package = package_of(robot)
    spec = install(package).spec("acme/hand")
    assert spec.id == "acme/hand@1"
    assert meaning(spec) == package.spec
    assert [hand.hand_space for hand in spec.hands] == [hand.hand_space for hand in shipped()[robot].hands]


def test_its_fingerprint_is_written_beside_it(install, tmp_path):
    spec = install(package_of("unitree_g1_dex3")).spec("acme/hand")
    text = (tmp_path / "egoscale-acme/egoscale_acme/fingerprints.toml").read_text()
    assert tomllib.loads(text) == {"acme/hand@1": action_fingerprint(spec)}


def test_it_has_one_device_per_hand_in_the_order_of_the_spec(install):
    spec = install(package_of("unitree_g1_dex3")).spec("acme/hand")
    assert [(wire.device, wire.part) for wire in spec.wires] == [
        ("hand_left", "left_hand"),
        ("hand_right", "right_hand"),
    ]
    for wire, hand in zip(spec.wires, spec.hands, strict=True):
        found = [(item.joint, item.native_unit, item.native_lower, item.native_upper) for item in wire.joints]
        assert found == [(joint.name, joint.unit, joint.lower, joint.upper) for joint in hand.actuated]


def test_what_our_simulator_records_of_either_hand_can_be_imported(install):
    spec = install(package_of("unitree_g1_dex3")).spec("acme/hand")
    assert [layout.robot_type for layout in spec.recordings] == [
        "egoscale_sim_acme_hand_left",
        "egoscale_sim_acme_hand_right",
    ]
    layout: RecordingLayout = spec.recordings[1]
    assert [(block.start, block.stop, block.part) for block in layout.action] == [
        (0, 9, "right_wrist"),
        (9, 16, "right_hand"),
    ]


def test_its_driver_moves_a_simulated_device(install):
    host = install(package_of("unitree_g1_dex3"))
    spec = host.spec("acme/hand")
    driver = host.driver("acme", spec, port="simulated")
    driver.connect()
    goal = {hand.side: np.array([joint.clamp(0.1) for joint in hand.actuated]) for hand in spec.hands}
    wrists = {hand.side: np.eye(4) for hand in spec.hands}
    for _ in range(50):
        driver.write(RobotCommand(wrists, goal))
    state = driver.read()
    driver.stop()
    assert all(np.allclose(state.hands[side], goal[side]) for side in goal)


def test_asking_for_hardware_that_nobody_has_written_yet_is_one_clear_line(install):
    host = install(package_of("gripper_panda"))
    with pytest.raises(
        EgoscaleError, match=r"egoscale_acme/driver\.py: device 'hand_right' at port '/dev/x'.*not writ"
    ):
        host.driver("acme", host.spec("acme/hand"), port="/dev/x")


@each_robot
def test_every_figure_says_where_it_comes_from(robot, install):
    spec = install(package_of(robot)).spec("acme/hand")
    assert without_source(spec) == []
    assert without_figure(spec) == []


def test_guesses_stand_above_their_fields_and_in_the_readme_with_the_questions():
    files = package_files(package_of("unitree_g1_dex3", asking=True))
    hand = files["egoscale_acme/hand/right.toml"]
    above_fingers = hand[: hand.index("\nfingers = [")].splitlines()[-3:]
    thumb = "# Unsure guess: right hand: thumb: chain thumb_1 .. thumb_3 (its base points 71 deg"
    assert above_fingers[-2].startswith(thumb)
    assert above_fingers[-1] == "# Guess: right hand: tip of thumb: 40 mm along x (length of the mesh)."
    assert "right hand: weather" in hand[: hand.index("\nside = ")]
    readme = files["README.md"]
    assert all(guess.value in readme for guess in GUESSES)
    assert "71 deg \\| away" in readme
    assert f"1. {QUESTIONS[0]}" in readme
    assert "sha256:" in readme


def test_no_line_of_it_is_left_to_fill_in_and_none_names_a_place_of_this_machine(tmp_path):
    for path, text in package_files(package_of("unitree_g1_dex3", asking=True)).items():
        assert "$" not in text.replace('"$EGOSCALE_SDK"', ""), path
        assert not re.search(r"TODO|NotImplemented", text), path
        assert not re.search(r'(?:^|[\s"\'(=])/(?!/|dev)\w+/', text), path
        assert all(line == line.rstrip() for line in text.splitlines()), path
        assert text == "" or text.endswith("\n"), path
        assert "\n\n\n\n" not in text, path
        if path.endswith(".py"):
            ast.parse(text)
        if path.endswith(".toml"):
            tomllib.loads(text)


@pytest.mark.parametrize("namespace", ["acme", "a", "x9_robotics_and_more"])
@pytest.mark.parametrize("robot", ["unitree_g1_dex3", "gripper_panda"])
def test_its_code_is_clean(namespace, robot, tmp_path):
    folder = write_package(package_of(robot, namespace=namespace), tmp_path)
    rules = ["--config", str(PROJECT / "pyproject.toml"), "--no-cache"]
    for command in (["check", *rules], ["format", "--check", *rules]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, str(folder)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_code_is_clean_by_its_own_settings(tmp_path):
    folder = write_package(package_of("sharpa_wave", namespace="x9_robotics_and_more"), tmp_path)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."], capture_output=True, text=True, cwd=folder
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_says_where_the_sdk_comes_from():
    files = package_files(package_of("gripper_panda"))
    assert 'pip install "EGOSCALE_SDK[sim]"' in files["README.md"]
    workflow = files[".github/workflows/check.yml"]
    assert workflow.index("EGOSCALE_SDK: git+https://") < workflow.index('pip install "$EGOSCALE_SDK"')
    assert workflow.index('pip install "$EGOSCALE_SDK"') < workflow.index('pip install -e ".[test]"')


@pytest.mark.parametrize(
    ("namespace", "title"), [("acme", "Acme hand: "), ("a_b2", "A_b2 hand: "), ("x9robotics", "X9robotics hand: ")]
)
def test_its_title_has_the_namespace_as_it_was_typed(namespace, title):
    package = package_of("gripper_panda", namespace=namespace)
    assert package.title.startswith(title)
    assert package.spec.title == package.title


@pytest.mark.slow
def test_its_types_are_strict(tmp_path):
    folder = write_package(package_of("unitree_g1_dex3"), tmp_path)
    command = [sys.executable, "-m", "mypy", "--config-file", str(PROJECT / "pyproject.toml"), "-p", "egoscale_acme"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_its_wheel_holds_every_file_of_the_package(tmp_path):
    pytest.importorskip("hatchling", reason="the build backend is not installed: pip install hatchling")
    package = package_of("unitree_g1_dex3")
    folder = write_package(package, tmp_path)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run([*command, str(folder)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = {path for path in package_files(package) if path.startswith("egoscale_acme/")}
    assert {"egoscale_acme/hand/right.urdf", "egoscale_acme/hand/space.toml"} <= files
    assert files <= set(zipfile.ZipFile(wheel).namelist())


def test_hands_of_different_spaces_make_no_embodiment():
    left, right = package_of("unitree_g1_dex3").drafts[0], package_of("sharpa_wave").drafts[1]
    package = PackageDraft(PluginNames("acme", "hand"), (left, right), {"left": "a", "right": "b"})
    with pytest.raises(EgoscaleError, match="differ in their hand space"):
        package_files(package)
