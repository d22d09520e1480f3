"""What goes to another retargeter's process and what comes back: a folder with a URDF, a JSON file and NPZ files.

Needs numpy alone, so that it runs in the peers' environment too. Nothing is pickled.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Job:
    """One clip for one method.

    Attributes:
        method: "vector", "position", "dexpilot" or "mink".
        wrist: Link at the wrist, in whose axes all points are.
        tips: Fingertip links, the thumb first.
        inner: Links half-way along the fingers, one a finger.
        joints: Names of the joints that the answer holds, in its order.
        rest: Their values in the hand's open pose.
        scale: Robot's length over the person's.
    """

    method: str
    wrist: str
    tips: list[str]
    inner: list[str]
    joints: list[str]
    rest: list[float]
    scale: float


@dataclass(frozen=True)
class Answer:
    """What a method made of a clip.

    Attributes:
        joints: ``(T, J)``.
        seconds: Wall time of the retargeting alone: no imports, no model, no files.
        cpu_seconds: Processor time of the same, all threads together.
        version: Of the method's package.
    """

    joints: np.ndarray
    seconds: float
    cpu_seconds: float
    version: str


def write_job(folder: Path, job: Job, urdf: str, points: np.ndarray) -> None:
    """Write a job; ``points (T, 2F, 3)`` are the person's, of ``tips`` then ``inner``, metres, from the wrist."""
    (folder / "job.json").write_text(json.dumps(asdict(job)))
    (folder / "hand.urdf").write_text(urdf)
    np.savez(folder / "points.npz", points=points)


def read_job(folder: Path) -> tuple[Job, np.ndarray]:
    with np.load(folder / "points.npz", allow_pickle=False) as file:
        return Job(**json.loads((folder / "job.json").read_text())), file["points"]


def write_answer(folder: Path, answer: Answer) -> None:
    np.savez(folder / "answer.npz", **asdict(answer))


def read_answer(folder: Path) -> Answer:
    with np.load(folder / "answer.npz", allow_pickle=False) as file:
        return Answer(file["joints"], float(file["seconds"]), float(file["cpu_seconds"]), str(file["version"]))


def timed(step: Callable[[np.ndarray], np.ndarray], frames: np.ndarray, version: str) -> Answer:
    """Take a clip frame by frame, as peers do."""
    wall, cpu = time.perf_counter(), time.process_time()
    joints = np.stack([step(frame) for frame in frames])
    return Answer(joints, time.perf_counter() - wall, time.process_time() - cpu, version)
