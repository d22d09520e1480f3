"""The loader: batches of a mixture in order, read and decoded ahead by threads."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from fractions import Fraction
from types import MappingProxyType
from typing import Generic, Literal, TypeVar

import numpy as np

from egoscale_sdk.data.mixture import Mixture
from egoscale_sdk.data.order import Indices
from egoscale_sdk.data.steps import Feeds, Step, StepReader
from egoscale_sdk.errors import DataError, RecipeError
from egoscale_sdk.specs import digest

T = TypeVar("T")


class Loader(Generic[T]):
    """Yields the steps of a mixture, for one of any number of processes.

    What a step holds is a function of the mixture and the step alone: not of threads, processes or what was read
    before. So a loader that is told to go on at a step yields exactly what it would have yielded. JPEGs are decoded
    without the interpreter's lock, each into its place in the batch.

    Args:
        mixture: What to draw, and in which order.
        rank: Which of the processes this is.
        ranks: How many processes share every step.
        start: The first step.
        stop: The end of the steps; None goes on for ever.
        turn: Which of the steps are this loader's, as first and distance; a worker of torch's DataLoader has some.
        threads: Steps that are worked on at once; as many as processor cores are to spare.
        ahead: Finished steps that may wait.
        images: Whether to decode images.
        on_damage: ``raise`` what is wrong with a dataset, or ``skip`` the segment: its windows are left out of their
            steps from then on, and `quarantine` says what is wrong. A store that does not answer is no damage.
        transform: Applied to every step in its thread; by default steps come as they are.
    """

    def __init__(
        self,
        mixture: Mixture,
        *,
        rank: int = 0,
        ranks: int = 1,
        start: int = 0,
        stop: int | None = None,
        turn: tuple[int, int] = (0, 1),
        threads: int = 2,
        ahead: int = 2,
        images: bool = True,
        on_damage: Literal["raise", "skip"] = "raise",
        transform: Callable[[Step], T] | None = None,
    ) -> None:
        if threads < 1 or ahead < 0 or not 0 <= turn[0] < turn[1]:
            raise RecipeError(f"a loader has threads (not {threads}), ahead (not {ahead}) and a turn (not {turn})")
        if on_damage not in ("raise", "skip"):
            raise RecipeError(f"is {on_damage!r}", where="on_damage", allowed=("raise", "skip"))
        mixture.draws(0, rank, ranks)
        self.mixture, self.rank, self.ranks = mixture, rank, ranks
        self.step, self.stop = start, stop
        self._turn, self._threads, self._ahead = turn, threads, ahead
        self._images, self._transform = images, transform
        self._windows = _mark(mixture)
        self._reader = StepReader(mixture, images=images, skip=on_damage == "skip")

    @property
    def quarantine(self) -> Mapping[str, DataError]:
        """What is wrong with the segments that were set aside, by their place."""
        return MappingProxyType(self._reader.quarantine)

    def state(self) -> dict[str, int]:
        """Return what `restore` needs to go on at the next step that is not yet handed out: a few integers."""
        return {"step": self.step, **self._order()}

    def restore(self, state: dict[str, int]) -> None:
        """Go on where another loader stood; it may have had other ranks, threads or workers.

        Raises:
            RecipeError: it drew in another order, or from other windows: other datasets or versions of them, other
                weights, or windows that are cut in another way.
        """
        own, step = self._order(), state.get("step")
        other = [name for name, value in own.items() if state.get(name) != value]
        if other:
            raise RecipeError(f"another order was begun: it differs in {', '.join(other)}", where="state of a loader")
        if type(step) is not int or step < 0:
            raise RecipeError(f"step {step!r} is none", where="state of a loader")
        self.step = step

    def for_worker(self, worker: int, workers: int) -> Loader[T]:
        """Return a loader of every ``workers``-th step; taken in turn, their steps are those of this one."""
        other = copy(self)
        other._turn = ((self.step + worker) % workers, workers)
        return other

    def __iter__(self) -> Iterator[T]:
        first, distance = self._turn
        upcoming = self.step + (first - self.step) % distance
        pending: deque[tuple[int, Future[T]]] = deque()
        with (
            Feeds(self.mixture, self._draws, images=self._images) as feeds,
            ThreadPoolExecutor(self._threads, "egoscale-loader") as threads,
        ):
            try:
                while True:
                    while len(pending) < self._threads + self._ahead and (self.stop is None or upcoming < self.stop):
                        for feed in feeds.values():
                            feed.foresee(upcoming, self.stop, distance, done=pending[0][0] if pending else upcoming)
                        pending.append((upcoming, threads.submit(self._read, upcoming, feeds)))
                        upcoming += distance
                    if not pending:
                        return
                    step, future = pending.popleft()
                    ready = future.result()
                    self.step = step + 1
                    yield ready
                    del ready, future  # so that its memory can be used again
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def _draws(self, step: int) -> list[tuple[int, Indices]]:
        return self.mixture.draws(step, self.rank, self.ranks)

    def _read(self, step: int, feeds: Feeds) -> T:
        parts = self._reader(self._draws(step), feeds)
        return self._transform(parts) if self._transform else parts  # type: ignore[return-value]  # T is Step then

    def _order(self) -> dict[str, int]:
        mixture = self.mixture
        order = {"seed": mixture.seed, "batch_size": mixture.batch_size, **vars(mixture.blocks)}
        return order | {"windows": self._windows}


def _mark(mixture: Mixture) -> int:
    """Return a number that stands for what a mixture draws from, wherever the datasets lie."""
    parts = [
        {
            "weight": str(Fraction(weight)),
            "commit": windows.commit,
            "action_set": windows.action_set.name,
            "cut": [windows.horizon, windows.chunk_dt_s, windows.stride, windows.offsets_s],
            "episodes": hashlib.sha256(np.asarray(windows.episodes, np.int64).tobytes()).hexdigest(),
        }
        for windows, weight in mixture.parts
    ]
    return int(digest(parts)[7:22], 16)
