"""From a URDF to a proven plugin: `plugin new`, `pip install` into a fresh environment, `plugin check`, by command."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import scaffold_urdfs as urdfs
from venv_kit import fresh_environment

pytestmark = pytest.mark.slow
MODELS = "reference/models"
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
ASKEW = urdfs.turned(20, -35, 100)


def without_second_limits(text: str) -> str:
    """Leave every joint its first <limit>, as a vendor does who is told that there are two."""

    def keep_first(joint: re.Match[str]) -> str:
        limits = iter(range(9))
        return re.sub(r"<limit[^>]*/>", lambda limit: "" if next(limits) else limit[0], joint[0])

    return re.sub(r"<joint .*?</joint>", keep_first, text, flags=re.S)


@dataclass(frozen=True)
class Case:
    """The text of a vendor's URDFs by flag of the command, its other flags, and what a person is asked (patterns).

    A text is made from the folder of real vendors' files.
    """

    files: Mapping[str, Callable[[Path], str]]
    flags: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()


def vendor(path: str) -> Callable[[Path], str]:
    return lambda models: (models / path).read_text()


def made_up(make: Callable[..., str], *args: Any, **options: Any) -> Callable[[Path], str]:
    return lambda models: make(*args, **options)


CASES = {
    "slider": Case({"--urdf": vendor("franka_hand/franka_hand.urdf")}, ("--side", "right")),
    "linkage": Case({"--urdf": vendor("robotiq_2f85/robotiq_2f85.urdf")}, ("--name", "gripper")),
    "uncoupled": Case(
        {"--urdf": lambda models: without_second_limits((models / "wsg50/wsg_50.urdf").read_text())},
        questions=(r"^hand/right\.toml: joints: mimic of 'base_joint_gripper_left': .* is one motor behind both\?",),
    ),
    "mirrored": Case({"--urdf": vendor("dex3/dex3_right.urdf")}, ("--mirror", "--license", "BSD-3-Clause")),
    "paired": Case({"--urdf-left": vendor("dex3/dex3_left.urdf"), "--urdf-right": vendor("dex3/dex3_right.urdf")}),
    "coupled": Case({"--urdf": vendor("g1_inspire/DFQ_right_hand.urdf")}),
    "five": Case({"--urdf": made_up(urdfs.five, "left", ASKEW)}),
    "four": Case({"--urdf": made_up(urdfs.four, "right", ASKEW)}, ("--mirror",)),
    "endless": Case({"--urdf": made_up(urdfs.continuous)}),
    "armed": Case({"--urdf": made_up(urdfs.behind_an_arm)}),
    "jaws": Case({"--urdf": made_up(urdfs.jaws)}),
}
FULL = "mirrored"  # the one that pip installs with its dependencies, built in isolation


def egoscale(*argv: str | Path, python: Path = Path(sys.executable), cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "egoscale_sdk", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=ONE_THREAD)


@dataclass
class Workshop:
    """A folder with new plugins, and an environment in which they are installed."""

    folder: Path
    made: dict[str, dict[str, Any]]
    python: Path

    def pip_install(self, *argv: str | Path) -> None:
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--disable-pip-version-check"]
        done = subprocess.run([*command, *map(str, argv)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def check(self, namespace: str) -> tuple[int, dict[str, Any]]:
        """Run the kit on one plugin; returns the exit code and the score card."""
        card = self.folder / f"{namespace}.json"
        done = egoscale("plugin", "check", namespace, "--json", card, "-q", python=self.python, cwd=self.folder)
        assert card.exists(), done.stderr
        return done.returncode, json.loads(card.read_text())


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Workshop:
    folder = tmp_path_factory.mktemp("workshop")
    made = {namespace: _new(namespace, case, shared / MODELS, folder) for namespace, case in CASES.items()}
    shop = Workshop(folder, made, fresh_environment(folder / "venv"))
    folders = {namespace: folder / made[namespace]["folder"] for namespace in CASES}
    shop.pip_install("--no-deps", "--no-build-isolation", *(folders[name] for name in CASES if name != FULL))
    shop.pip_install(folders[FULL])
    return shop


def _new(namespace: str, case: Case, models: Path, folder: Path) -> dict[str, Any]:
    flags: list[str | Path] = [*case.flags]
    for flag, text in case.files.items():
        file = folder / f"{namespace}{flag}.urdf"
        file.write_text(text(models))
        flags += [flag, file]
    done = egoscale("plugin", "new", namespace, *flags, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("namespace", CASES)
def test_a_person_is_asked_exactly_what_the_file_leaves_open(namespace: str, workshop: Workshop) -> None:
    asked, expected = workshop.made[namespace]["questions"], CASES[namespace].questions
    assert len(asked) == len(expected), asked
    for question, pattern in zip(asked, expected, strict=True):
        assert re.search(pattern, question)


@pytest.mark.parametrize("namespace", CASES)
def test_the_new_plugin_keeps_the_contract_without_an_edit_but_for_what_it_asks(
    namespace: str, workshop: Workshop
) -> None:
    code, card = workshop.check(namespace)
    failed = {
        result["id"]: result["detail"]
        for section in card["sections"]
        for result in section["results"]
        if result["status"] == "failed" and result["level"] == "must"
    }
    expected = (["SPEC015"], 1) if workshop.made[namespace]["questions"] else ([], 0)
    assert (list(failed), code) == expected, failed


def test_two_limits_are_refused_with_the_joint(shared: Path, tmp_path: Path) -> None:
    done = egoscale("plugin", "new", "acme", "--urdf", shared / MODELS / "wsg50/wsg_50.urdf", cwd=tmp_path)
    assert done.returncode == 2
    assert "wsg_50.urdf: joint 'base_joint_gripper_left': has several <limit> elements" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_was_installed_where_it_belongs(workshop: Workshop) -> None:
    code = "import egoscale_mirrored, egoscale_sdk; print(egoscale_mirrored.__file__, egoscale_sdk.__file__)"
    done = subprocess.run(
        [workshop.python, "-c", code], capture_output=True, text=True, check=True, cwd=workshop.folder
    )
    plugin, sdk = done.stdout.split()
    assert Path(plugin).is_relative_to(workshop.folder / "venv")
    assert not Path(sdk).is_relative_to(workshop.folder)


def test_its_own_tests_pass(workshop: Workshop) -> None:
    folder = workshop.folder / workshop.made[FULL]["folder"]
    command = [workshop.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=ONE_THREAD)
    assert done.returncode == 0, done.stdout[-3000:]


def test_what_the_simulator_records_of_it_becomes_a_dataset(workshop: Workshop) -> None:
    run = {"python": workshop.python, "cwd": workshop.folder}
    for argv in (
        ["simulate", f"{FULL}/hand", "recorded", "-n", "1", "--workers", "1", "--image-px", "16", "-q"],
        ["import", "lerobot", "recorded", "recorded.zarr", "-q"],
        ["dataset", "validate", "recorded.zarr"],
    ):
        done = egoscale(*argv, **run)
        assert done.returncode == 0, done.stderr
    shown = egoscale("dataset", "show", "recorded.zarr", **run).stdout
    assert f"{FULL}/hand@1 (robot), from egoscale-{FULL} 0.1.0" in shown
