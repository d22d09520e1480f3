"""Making many demonstrations, on several processes, in an order that does not depend on how many."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from egoscale_sdk.errors import DataError, SpecError
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.sim.demonstration import Demonstration, demonstrate
from egoscale_sdk.sim.lerobot_writer import LeRobotWriter
from egoscale_sdk.sim.operator import Operator, person_world
from egoscale_sdk.sim.person_writer import PersonWriter
from egoscale_sdk.sim.world import HandWorld
from egoscale_sdk.specs import EmbodimentSpec, HandSpec, Side

JPEG_QUALITY = 95
DEMONSTRATIONS = 1  # first number of every seed; evaluation uses another, so no scene is ever in both
Made = tuple[Demonstration, list[bytes]]


class Writer(Protocol):
    """Where demonstrations go, in order."""

    def add(self, episode: Demonstration, jpegs: list[bytes]) -> None:
        """Write the next episode."""

    def finish(self) -> None:
        """Write what is left."""


@dataclass(frozen=True)
class Summary:
    """What was made."""

    episodes: int
    rows: int


def generate(
    spec: EmbodimentSpec,
    folder: Path,
    episodes: int,
    *,
    side: Side = "right",
    seed: int = 0,
    image_px: int = 64,
    workers: int = 1,
    progress: Progress = silent,
) -> Summary:
    """Write demonstrations of the task: a person's as exchange episodes, a robot hand's as a LeRobot dataset.

    Raises:
        DataError: the folder is not empty.
        SpecError: the embodiment has no such hand, or one that cannot be simulated.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DataError("is not empty", where=str(folder), hint="choose a new folder")
    hand = simulated_hand(spec, side)
    job = _Job(hand, side, seed, image_px)
    person = PersonWriter(folder, side, image_px) if hand is None else None
    writer: Writer = person or LeRobotWriter(folder, spec, side, image_px)
    rows = 0
    for done, (episode, jpegs) in enumerate(_run(job, episodes, workers), start=1):
        writer.add(episode, jpegs)
        rows += len(jpegs)
        progress(done, episodes)
    writer.finish()
    return Summary(episodes, rows)


def simulated_hand(spec: EmbodimentSpec, side: Side) -> HandSpec | None:
    """Return the hand to simulate, or None for a person, whose hand is the simulator's own.

    Raises:
        SpecError: there is no hand on that side.
    """
    sides = {hand.side: hand for hand in spec.hands}
    if side not in sides:
        raise SpecError(f"{spec.id} has no {side} hand", allowed=sides)
    return None if sides[side].representation == "keypoints" else sides[side]


@dataclass(frozen=True)
class _Job:
    hand: HandSpec | None
    side: Side
    seed: int
    image_px: int


def _run(job: _Job, episodes: int, workers: int) -> Iterator[Made]:
    if workers <= 1:
        maker = _Maker(job)
        yield from (maker(index) for index in range(episodes))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(job,)) as pool:
        yield from pool.map(_make, range(episodes), chunksize=4)


class _Maker:
    """Makes demonstrations by number; keeps the world and the operator between them."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        if job.hand is None:
            self._world = person_world(job.side)
            self._operator = Operator(self._world.hand, None)
        else:
            import torch

            from egoscale_sdk.host import default_host

            torch.set_num_threads(1)
            self._world = HandWorld(job.hand)
            self._operator = Operator(job.hand, default_host().retargeter(job.hand))

    def __call__(self, index: int) -> Made:
        """Return episode ``index`` with its pictures as JPEG, which alone travel between processes."""
        seed, person = (DEMONSTRATIONS, self._job.seed, index), self._job.hand is None
        episode = demonstrate(self._world, self._operator, seed, self._job.image_px, person=person)
        jpegs = [_jpeg(image) for image in episode.images]
        return replace(episode, images=episode.images[:0]), jpegs


def _jpeg(image: Any) -> bytes:
    import simplejpeg

    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=JPEG_QUALITY, colorsubsampling="444")
    return data


_maker: _Maker | None = None


def _start(job: _Job) -> None:
    global _maker
    _maker = _Maker(job)


def _make(index: int) -> Made:
    assert _maker is not None, "the pool has started every worker with _start"
    return _maker(index)
