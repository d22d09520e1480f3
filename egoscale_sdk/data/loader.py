"""The loader: batches of a mixture in order, read and decoded ahead by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from typing import Any, Generic, TypeVar

from egoscale_sdk.data.buffers import BufferPool
from egoscale_sdk.data.mixture import Mixture
from egoscale_sdk.data.windows import Batch
from egoscale_sdk.errors import RecipeError

Step = list[tuple[int, Batch]]
"""What a process does in one step: windows of each dataset that has a part in it, with the dataset's number."""
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
        transform: Callable[[Step], T] | None = None,
    ) -> None:
        if threads < 1 or ahead < 0 or not 0 <= turn[0] < turn[1]:
            raise RecipeError(f"a loader has threads (not {threads}), ahead (not {ahead}) and a turn (not {turn})")
        mixture.share(0, rank, ranks)
        self.mixture, self.rank, self.ranks = mixture, rank, ranks
        self.step, self.stop = start, stop
        self._turn, self._threads, self._ahead = turn, threads, ahead
        self._images, self._transform = images, transform
        self._pool = BufferPool()

    def state(self) -> dict[str, int]:
        """Return what `restore` needs to go on at the next step that is not yet handed out: a few integers."""
        return {"step": self.step, **self._order()}

    def restore(self, state: dict[str, int]) -> None:
        """Go on where another loader stood; it may have had other ranks, threads or workers.

        Raises:
            RecipeError: it drew in another order.
        """
        order = {name: state.get(name) for name in self._order()}
        if order != self._order() or not isinstance(state.get("step"), int) or state["step"] < 0:
            raise RecipeError(f"another order was begun: {order}; this is {self._order()}", where="state of a loader")
        self.step = state["step"]

    def for_worker(self, worker: int, workers: int) -> Loader[T]:
        """Return a loader of every ``workers``-th step; taken in turn, their steps are those of this one."""
        other = copy(self)
        other._turn = ((self.step + worker) % workers, workers)
        return other

    def __iter__(self) -> Iterator[T]:
        first, distance = self._turn
        upcoming = self.step + (first - self.step) % distance
        pending: deque[tuple[int, Future[T]]] = deque()
        with ThreadPoolExecutor(self._threads, "egoscale-loader") as threads:
            try:
                while True:
                    while len(pending) < self._threads + self._ahead and (self.stop is None or upcoming < self.stop):
                        pending.append((upcoming, threads.submit(self.read, upcoming)))
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

    def read(self, step: int) -> T:
        """Read one step now."""
        parts = [(number, self._batch(number, windows)) for number, windows in self._share(step)]
        return self._transform(parts) if self._transform else parts  # type: ignore[return-value]  # T is Step then

    def _share(self, step: int) -> list[tuple[int, Any]]:
        return self.mixture.share(step, self.rank, self.ranks)

    def _batch(self, number: int, windows: Any) -> Batch:
        return self.mixture.parts[number][0].batch(windows, images=self._images, new_images=self._pool)

    def _order(self) -> dict[str, int]:
        mixture = self.mixture
        return {"seed": mixture.seed, "batch_size": mixture.batch_size, **vars(mixture.blocks)}
