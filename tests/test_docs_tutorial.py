"""docs/tutorial.md works as it is printed: every command in its order, with fewer episodes and steps."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from venv_kit import fresh_environment

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "docs/tutorial.md").read_text()
SMALLER = {
    r"--episodes \d+": "--episodes 3",
    r"--steps \d+": "--steps 2",
    r"--holdout \d+": "--holdout 1",
    r" -n \d+": " -n 1",
}


@dataclass(frozen=True)
class Step:
    """A block of commands, what it printed, and the blocks of output that the page prints after it."""

    commands: str
    printed: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Walk:
    """The page from its first command to its last."""

    folder: Path
    steps: tuple[Step, ...]

    def printed_by(self, command: str) -> str:
        return next(step.printed for step in self.steps if command in step.commands)


def smaller(commands: str) -> str:
    for pattern, number in SMALLER.items():
        commands = re.sub(pattern, number, commands)
    return commands


def edit(diff: str, folder: Path) -> None:
    """Apply a block of changes: lines that begin with -, + or a space."""
    header, *lines = diff.splitlines()
    file = folder / header.removeprefix("# file: ")
    before, after = ("\n".join(line[1:] for line in lines if line[0] in marks) for marks in (" -", " +"))
    text = file.read_text()
    assert text.count(before + "\n") == 1, before
    file.write_text(text.replace(before + "\n", after + "\n"))


def environment(folder: Path) -> dict[str, str]:
    """An environment in which ``egoscale``, ``pytest`` and ``pip install`` mean a fresh virtual environment."""
    python = fresh_environment(folder)
    for name, module in (("egoscale", "egoscale_sdk"), ("pytest", "pytest"), ("pip", "pip")):
        script = python.with_name(name)
        script.write_text(f'#!/bin/sh\nexec "{python}" -m {module} "$@"\n')
        script.chmod(0o755)
    pip = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return os.environ | pip | {"PATH": f"{python.parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    root = tmp_path_factory.mktemp("tutorial")
    env = environment(root / "venv")
    checkout, folder = root / "checkout", root / "quad"
    checkout.mkdir()
    (checkout / "docs").symlink_to(PROJECT / "docs")
    steps: list[Step] = []
    for kind, text in re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.S | re.M):
        if kind == "bash":
            command = ["bash", "-euo", "pipefail", "-c", smaller(text)]
            cwd = folder if steps else checkout
            done = subprocess.run(
                command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}"
            steps.append(Step(text, done.stdout, ()))
        elif kind == "text":
            last = steps.pop()
            steps.append(Step(last.commands, last.printed, (*last.shown, text)))
        else:
            assert kind == "diff", kind
            edit(text, folder)
    return Walk(folder, tuple(steps))


def words(line: str) -> str:
    """What is compared: figures may differ, with fewer steps and on other machines, and columns be wider."""
    return " ".join(re.sub(r"[-+]?\d[\d.]*(e[-+]\d+)?", "#", line).split())


def test_it_prints_what_the_page_shows(walk):
    for step in walk.steps:
        printed = [words(line) for line in step.printed.splitlines()]
        for line in (line for block in step.shown for line in block.splitlines() if line != "..."):
            parts = ".*".join(re.escape(words(part)) for part in line.split("…"))
            assert any(re.fullmatch(parts, found) for found in printed), f"{line!r} is not in\n{step.printed}"


def test_the_person_sees_what_to_look_at(walk):
    printed = walk.printed_by("plugin new")
    assert re.findall(r"^guess .*", printed, re.M)
    assert "Please answer" not in printed
    assert (walk.folder / "egoscale-quad/egoscale_quad/hand/right.urdf").is_file()


def test_the_card_has_pictures(walk):
    card = (walk.folder / "card.html").read_text()
    assert "KIN003" in card
    assert "<img" in card or "<svg" in card


def test_its_own_tests_pass(walk):
    printed = walk.printed_by("pytest -q")
    assert re.search(r"\d+ passed, \d+ skipped", printed)
    assert "failed" not in printed


def test_there_are_demonstrations_and_two_action_sets(walk):
    info = json.loads((walk.folder / "recordings/quad/meta/info.json").read_text())
    assert (info["total_episodes"], info["robot_type"]) == (3, "egoscale_sim_quad_hand_right")
    shown = subprocess.run(
        [sys.executable, "-m", "egoscale_sdk", "dataset", "show", "people.zarr", "--json"],
        capture_output=True,
        text=True,
        cwd=walk.folder,
        check=True,
    )
    assert [name in shown.stdout for name in ("native", "quad_hand", "quad/hand@1")] == [True] * 3


def test_there_is_a_policy_and_what_it_did(walk):
    embodiments = json.loads((walk.folder / "policy/embodiments.json").read_text())
    assert "quad/hand@1" in json.dumps(embodiments)
    run = json.loads((walk.folder / "runs/run.json").read_text())
    assert (run["embodiment"], run["n"]) == ("quad/hand@1", 1)
    assert set(run["baselines"]) == {"untrained", "blank_camera", "mean_demonstration"}


def test_the_set_up_is_that_of_the_readme():
    def install(page):
        return re.search(r"^    python3 -m venv .*?(?=\n\n)", page, re.S | re.M)[0]

    assert install(PAGE) == install((PROJECT / "README.md").read_text())


def test_no_page_knows_this_machine():
    for page in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]:
        assert not re.search(r"/(work|tmp|root|home)/", page.read_text()), page.name
