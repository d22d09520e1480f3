"""The steps of the demo: which commands, in which order, and what each of them left behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from egoscale_sdk.cli.console import say
from egoscale_sdk.errors import DataError, EgoscaleError, SpecError

MARK = ".egoscale-demo"


@dataclass(frozen=True)
class Cast:
    """Who takes part: ids of the person and of the robot hands; people are retargeted to the first hand."""

    person: str
    robots: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A command that was run: its words as a user would type them, and how long it took."""

    command: str
    seconds: float


def read_cast(resource: str) -> Cast:
    """Read a cast from ``package:file.toml``."""
    package, _, path = resource.partition(":")
    try:
        table = tomllib.loads(resources.files(package).joinpath(path).read_text("utf-8"))
        return Cast(str(table["person"]), tuple(str(robot) for robot in table["robots"]))
    except (ModuleNotFoundError, OSError, KeyError, TypeError, ValueError) as error:
        raise SpecError(f"is not a cast (person and robots): {error}", where=resource) from None


def fresh_folder(folder: Path) -> Path:
    """Return an empty folder; only what an earlier demo made is removed.

    Raises:
        DataError: the folder holds anything else.
    """
    if folder.exists() and not (folder / MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError("exists and was not made by a demo", where=str(folder), hint="choose another with --out")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    return folder


def short(embodiment: str) -> str:
    """Name of an embodiment's files: ``acme/hand@1`` becomes ``acme_hand``."""
    return embodiment.partition("@")[0].replace("/", "_")


@dataclass
class Demo:
    """The demo in one folder."""

    folder: Path
    cast: Cast
    quiet: bool = False
    steps: list[Step] = field(default_factory=list)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self.started

    @property
    def people(self) -> Path:
        """The person's dataset."""
        return self.folder / "people.zarr"

    @property
    def people_set(self) -> str:
        """Name of the action set that the person's dataset is given."""
        return short(self.cast.robots[0])

    def dataset(self, robot: str) -> Path:
        """A robot hand's dataset."""
        return self.folder / f"{short(robot)}.zarr"

    def recording(self, embodiment: str) -> Path:
        """What the simulator recorded of an embodiment."""
        return self.folder / "recordings" / short(embodiment)

    @property
    def policy(self) -> Path:
        """Checkpoint of the policy trained on everything."""
        return self.folder / "policy"

    @property
    def people_only(self) -> Path:
        """Checkpoint of the policy trained on the person alone."""
        return self.folder / "policy_people_only"

    def record(self, episodes: int) -> None:
        """(a) A person and each robot hand demonstrate the task."""
        for embodiment in (self.cast.person, *self.cast.robots):
            self._run("simulate", embodiment, self.recording(embodiment), "--episodes", episodes)

    def import_all(self) -> None:
        """(b) The recordings become datasets."""
        self._run("import", "keypoints", self.recording(self.cast.person), self.people)
        for robot in self.cast.robots:
            self._run("import", "lerobot", self.recording(robot), self.dataset(robot))

    def retarget(self) -> None:
        """(c) The person's dataset is given a robot hand's actions."""
        self._run("retarget", self.people, "--to", self.cast.robots[0])

    def train(self, recipe: str, steps: int) -> None:
        """(d) One policy on everything; beside it, on the other core, one on the person alone."""
        person = f"{self.people}:1:{self.people_set}"
        robots = [str(self.dataset(robot)) for robot in self.cast.robots]
        alone = self._start("train", recipe, "--data", person, "--out", self.people_only, "--steps", steps, "-q")
        try:
            self._run("train", recipe, "--data", person, *robots, "--out", self.policy, "--steps", steps)
        except BaseException:
            alone[1].kill()
            raise
        self._finish(*alone)

    def evaluate(self, rollouts: int) -> None:
        """(e) Closed loop on unseen scenes, each hand, with what the policy must beat."""
        how = ("--driver", "mujoco", "-n", rollouts, "--json")
        for robot in self.cast.robots:
            folder = self.folder / "runs" / short(robot)
            words = ("run", self.policy, "--dataset", self.dataset(robot), *how, "--baselines", "--out", folder)
            self.results[robot] = json.loads(self._run(*words))
        folder = self.folder / "runs" / "people_only"
        person = ("--dataset", self.people, "--action-set", self.people_set)
        self.results["people only"] = json.loads(self._run("run", self.people_only, *person, *how, "--out", folder))

    def _run(self, *words: object) -> str:
        step = self._start(*words, *(["-q"] if self.quiet else []))
        return self._finish(*step)

    def _start(self, *words: object) -> tuple[str, subprocess.Popen[str], float]:
        """Print a command and start it; stdout is kept, progress goes to the terminal."""
        typed = [str(word) for word in words]
        command = " ".join(["egoscale", *(word for word in typed if word != "-q")])
        say(f"\n$ {command}", quiet=self.quiet)
        process = subprocess.Popen([sys.executable, "-m", "egoscale_sdk", *typed], stdout=subprocess.PIPE, text=True)
        return command, process, time.monotonic()

    def _finish(self, command: str, process: subprocess.Popen[str], started: float) -> str:
        output, _ = process.communicate()
        if process.returncode:
            raise EgoscaleError(f"a step of the demo failed: {command}", hint="run it alone to see more")
        self.steps.append(Step(command, time.monotonic() - started))
        if not output.startswith("{"):
            say(output.rstrip(), quiet=self.quiet)
        return output
