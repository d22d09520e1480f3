"""The engine of several workers: who does which task, and what happens when a worker dies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from egoscale_sdk.engine.base import Engine, Outcome, Result, Task
from egoscale_sdk.errors import EngineError

ATTEMPTS = 3
AHEAD = 3  # tasks per worker that are taken before the first of them was yielded: what bounds the memory


class Worker(ABC):
    """A process somewhere that holds the function."""

    @abstractmethod
    def send(self, task: Any) -> None:
        """Begin a task."""

    @abstractmethod
    def receive(self) -> Outcome | None:
        """Return what became of the task, once ready; None if the worker died over it."""

    @abstractmethod
    def close(self) -> None:
        """End the process, whatever it does."""


W = TypeVar("W", bound=Worker)


@dataclass
class _Job(Generic[Task]):
    number: int
    task: Task
    attempts: int = 0


class PoolEngine(Engine, Generic[W]):
    """Gives tasks to workers; what a worker is, a subclass says."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    @abstractmethod
    def start(self, function: Callable[[Any], Any]) -> W:
        """Start a worker with the function."""

    @abstractmethod
    def ready(self, workers: Sequence[W]) -> list[W]:
        """Wait until at least one of the busy workers has finished or died, and return those."""

    def open(self, resources: ExitStack) -> None:
        """Get what workers need; ``resources`` gives it back after the last task."""

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], name: Callable[[Task], str] = str
    ) -> Generator[tuple[Task, Result], None, None]:
        """See `Engine.map`."""
        with ExitStack() as resources:
            self.open(resources)
            crew: _Crew[W, Task] = _Crew(self, function, tasks, name)
            resources.callback(crew.close)
            yield from crew.run()


class _Crew(Generic[W, Task]):
    """The workers of one call, their jobs, and the outcomes that wait for their turn."""

    def __init__(
        self, engine: PoolEngine[W], function: Callable[[Task], Any], tasks: Iterable[Task], name: Callable[[Task], str]
    ) -> None:
        self._engine, self._function, self._name = engine, function, name
        self._fresh = (_Job(number, task) for number, task in enumerate(tasks))
        self._again: deque[_Job[Task]] = deque()
        self._idle: list[W] = []
        self._busy: dict[W, _Job[Task]] = {}
        self._done: dict[int, tuple[_Job[Task], Outcome]] = {}
        self._yielded = 0

    def run(self) -> Iterator[tuple[Task, Any]]:
        while self._give() or self._busy:
            for worker in self._engine.ready(list(self._busy)):
                self._take(worker)
            while self._yielded in self._done:
                job, outcome = self._done.pop(self._yielded)
                self._yielded += 1
                yield job.task, outcome.get()

    def close(self) -> None:
        for worker in [*self._idle, *self._busy]:
            worker.close()

    def _give(self) -> bool:
        """Keep the workers busy; return whether any has begun something."""
        begun = False
        while len(self._busy) < self._engine.workers and (job := self._next()) is not None:
            worker = self._idle.pop() if self._idle else self._engine.start(self._function)
            self._busy[worker] = job
            worker.send(job.task)
            begun = True
        return begun

    def _next(self) -> _Job[Task] | None:
        if self._again:
            return self._again.popleft()
        taken = len(self._busy) + len(self._done)
        return next(self._fresh, None) if taken < AHEAD * self._engine.workers else None

    def _take(self, worker: W) -> None:
        job, outcome = self._busy.pop(worker), worker.receive()
        if outcome is not None:
            self._idle.append(worker)
            self._done[job.number] = job, outcome
            return
        worker.close()
        job.attempts += 1
        if job.attempts == ATTEMPTS:
            raise EngineError(
                f"{ATTEMPTS} workers died one after another over it",
                where=self._name(job.task),
                hint="if memory ran out, use fewer --workers; --engine local shows what happens",
            )
        self._again.append(job)
