"""What an engine promises, and the simplest one."""

from __future__ import annotations

import os
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from egoscale_sdk.errors import EgoscaleError, is_users

Task = TypeVar("Task")
Result = TypeVar("Result")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
WAITING = "OMP_WAIT_POLICY", "passive"  # unless the user says otherwise: threads that spin take others' cores


class Engine(ABC):
    """Runs one function on many tasks that do not depend on each other.

    Attributes:
        workers: How many tasks are done at a time.
    """

    workers: int

    @abstractmethod
    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], name: Callable[[Task], str] = str
    ) -> Generator[tuple[Task, Result], None, None]:
        """Yield every task with its result, in the order of the tasks, whoever did them.

        Tasks are taken from the iterable as workers become free, a few ahead of what was yielded. A task whose worker
        died (killed, out of memory) is given to a new one, so it must be harmless to do a part of a task twice. Each
        worker receives the function once and keeps it: what it opens lazily stays open.

        Args:
            function: What to do; it, tasks and results are plain objects of this SDK or a plugin that other processes
                can be given. Nothing that was read from a dataset as bytes is ever unpickled.
            tasks: What to do it to.
            name: What a task is called in an error.

        Raises:
            EgoscaleError: the one that a task raised, when its turn comes; what is under way is given up.
            OSError: what a task's machine refused and the user can mend (a full disk, a file that may not be written).
            EngineError: a task's workers died again and again, or something cannot be sent to another process.
            RuntimeError: a task failed otherwise, in another process; with that process's traceback.
        """


class LocalEngine(Engine):
    """Does one task after another in this process."""

    workers = 1

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], name: Callable[[Task], str] = str
    ) -> Generator[tuple[Task, Result], None, None]:
        """See `Engine.map`."""
        return ((task, function(task)) for task in tasks)


@dataclass(frozen=True)
class Outcome:
    """What became of a task in a worker: a value, an error that users mend, or the traceback of any other."""

    value: Any = None
    error: EgoscaleError | OSError | None = None
    trace: str = ""

    def get(self) -> Any:
        """Return the value or raise."""
        if self.error is not None:
            raise self.error
        if self.trace:
            raise RuntimeError(f"a task failed in a worker:\n{self.trace}")
        return self.value


def attempt(function: Callable[[], Any]) -> Outcome:
    """Call a function in a worker."""
    try:
        return Outcome(function())
    except EgoscaleError as error:
        return Outcome(error=error)
    except Exception as error:
        if isinstance(error, OSError) and is_users(error):
            return Outcome(error=error)
        return Outcome(trace=traceback.format_exc())


def use_one_thread() -> None:
    """Let numeric libraries of this process, loaded or not, use one thread: there are as many workers as cores."""
    os.environ.update(ONE_THREAD)
    os.environ.setdefault(*WAITING)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
