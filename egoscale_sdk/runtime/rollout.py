"""Closed-loop evaluation: the same unseen episodes for a policy and for what it must beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data import Dataset
from egoscale_sdk.geometry import Floats
from egoscale_sdk.interfaces import Driver
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.runtime.loop import ControlLoop, Tick
from egoscale_sdk.runtime.sources import ActionSource, TrajectorySource
from egoscale_sdk.specs import RowLayout, Side

EPISODE_S = 6.0
FILM_EVERY_S = 0.5
FILM_PX = 96


@runtime_checkable
class Task(Protocol):
    """What a driver has in addition if episodes can be begun and judged in it."""

    prompt: str

    def reset(self, seed: int) -> None:
        """Begin the episode of that seed."""

    @property
    def succeeded(self) -> bool:
        """Whether the task is done, now."""

    def picture(self, size_px: int | None = None) -> NDArray[np.uint8]:
        """Return what the camera sees now."""


@dataclass(frozen=True)
class Outcome:
    """One episode: its seed, whether the task was done, after how long, and what the loop had to refuse.

    ``film``: pictures ``(h, w, 3)``, one every half second, if they were asked for.
    """

    seed: int
    success: bool
    seconds: float
    fault: str
    refused: int
    film: tuple[NDArray[np.uint8], ...] = ()


def evaluate(
    driver: Driver,
    source: ActionSource,
    seeds: Sequence[int],
    *,
    execute: int = 8,
    films: int = 0,
    progress: Progress = silent,
) -> list[Outcome]:
    """Run one episode per seed in a connected driver with a task; the first ``films`` episodes are filmed.

    The seeds set the scene and the noise of the policy, nothing else; no episode is repeated or left out.
    """
    outcomes = []
    for count, seed in enumerate(seeds):
        outcomes.append(run_episode(driver, source, seed, execute=execute, film=count < films))
        progress(count + 1, len(seeds), f"{sum(outcome.success for outcome in outcomes)} done")
    return outcomes


def run_episode(driver: Driver, source: ActionSource, seed: int, *, execute: int, film: bool = False) -> Outcome:
    """Run one episode until the task is done or its time is over."""
    if not isinstance(driver, Task):
        raise TypeError(f"{type(driver).__name__} has no task: episodes cannot be begun or judged in it")
    driver.reset(seed)
    loop = ControlLoop(driver, source, execute=execute)
    loop.reset(seed)
    camera = _Film(driver, driver.spec.control.rate_hz) if film else None
    ticks = loop.run(EPISODE_S, _until(driver, camera))
    refused = sum(count for reason, count in loop.log.counts.items() if reason.startswith("refused"))
    frames = tuple(camera.frames) if camera else ()
    return Outcome(seed, driver.succeeded, ticks / driver.spec.control.rate_hz, loop.log.fault, refused, frames)


class _Film:
    def __init__(self, task: Task, rate_hz: float) -> None:
        self._task, self._every, self._ticks = task, max(1, round(FILM_EVERY_S * rate_hz)), 0
        self.frames: list[NDArray[np.uint8]] = [task.picture(FILM_PX)]

    def roll(self, *, last: bool) -> None:
        self._ticks += 1
        if last or self._ticks % self._every == 0:
            self.frames.append(self._task.picture(FILM_PX))


def _until(task: Task, film: _Film | None) -> Callable[[Tick], bool]:
    def until(tick: Tick) -> bool:
        if film is not None:
            film.roll(last=task.succeeded)
        return task.succeeded

    return until


def mean_demonstration(dataset: Dataset, action_set: str | None, sides: tuple[Side, ...]) -> TrajectorySource:
    """Return the mean of all demonstrations, row by row, in the base frame: the best that can be done blind.

    An episode that has ended counts with its last row. Rotations are averaged as rot6d and made orthonormal again.
    """
    layout: RowLayout = dataset.action_set(action_set).layout
    episodes = [dataset.rows(index, action_set, raw=False).action for index in range(len(dataset.episodes))]
    longest = max(len(rows) for rows in episodes)
    padded = [np.concatenate([rows, np.repeat(rows[-1:], longest - len(rows), axis=0)]) for rows in episodes]
    mean: Floats = np.mean(padded, axis=0, dtype=np.float64)
    return TrajectorySource(mean, 1 / dataset.declaration.fps, layout, sides)


def fisher_greater(a: int, n_a: int, b: int, n_b: int) -> float:
    """One-sided p-value of Fisher's exact test that ``a`` of ``n_a`` is a higher rate than ``b`` of ``n_b``."""
    total, hits = n_a + n_b, a + b
    ways = sum(comb(n_a, k) * comb(n_b, hits - k) for k in range(a, min(n_a, hits) + 1))
    return ways / comb(total, hits)
