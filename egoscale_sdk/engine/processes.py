"""Workers on this machine: fresh Python processes, each behind a pipe."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

from egoscale_sdk.engine.base import Outcome, attempt, use_one_thread
from egoscale_sdk.engine.pool import PoolEngine, Worker
from egoscale_sdk.errors import EngineError

_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold


class ProcessEngine(PoolEngine["ProcessWorker"]):
    """Does tasks in processes of this machine; they end with this one, however it ends."""

    def start(self, function: Callable[[Any], Any]) -> ProcessWorker:
        """See `PoolEngine.start`."""
        return ProcessWorker(function)

    def ready(self, workers: Sequence[ProcessWorker]) -> list[ProcessWorker]:
        """See `PoolEngine.ready`."""
        pipes = {worker.pipe: worker for worker in workers}
        return [pipes[pipe] for pipe in wait(list(pipes)) if isinstance(pipe, Connection)]


class ProcessWorker(Worker):
    """One process; its death closes the pipe."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        message = _packed(function, "the work")
        self.pipe, far = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_serve, args=(far,), daemon=True)
        _start_deaf(self.process)
        far.close()
        self._send(message)

    def send(self, task: Any) -> None:
        """See `Worker.send`."""
        self._send(_packed(task, "a task"))

    def receive(self) -> Outcome | None:
        """See `Worker.receive`."""
        try:
            outcome: Outcome = self.pipe.recv()
        except (EOFError, ConnectionError):
            return None
        return outcome

    def close(self) -> None:
        """See `Worker.close`."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def _send(self, message: Any) -> None:
        try:
            self.pipe.send_bytes(message)
        except (BrokenPipeError, ConnectionError):
            return  # it has died: `receive` will say so


def _packed(value: Any, what: str) -> Any:
    try:
        return ForkingPickler.dumps(value)
    except Exception as error:  # what an object of a plugin raises when it is pickled is not ours to say
        raise EngineError(
            f"{what} cannot be sent to another process: {error}", hint="use --engine local, or fix the plugin"
        ) from None


def _start_deaf(process: Any) -> None:
    """Start a process that does not hear Ctrl-C: the one who started it does, and ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection) -> None:
    """Live as a worker: the function comes first, then a task at a time."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_one_thread()
    loaded = attempt(pipe.recv)
    use_one_thread()
    while True:
        try:
            message = pipe.recv_bytes()
        except EOFError:
            return
        outcome = attempt(partial(_call, loaded, message))
        try:
            pipe.send(outcome)
        except BrokenPipeError:
            return
        except Exception as error:  # a result that cannot be sent
            pipe.send(Outcome(trace=f"{type(error).__name__}: {error}"))


def _call(loaded: Outcome, message: bytes) -> Any:
    return loaded.get()(ForkingPickler.loads(message))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
