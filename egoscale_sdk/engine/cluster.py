"""Workers on a Ray cluster, or on a local one that is started for the purpose. The only module that imports ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from egoscale_sdk.engine.base import ONE_THREAD, WAITING, Outcome, attempt, use_one_thread
from egoscale_sdk.engine.pool import PoolEngine, Worker
from egoscale_sdk.errors import EngineError, require_extra

STORE_BYTES = 2**27  # of a local cluster: tasks and results are small, arrays go to the dataset
STARTS = 3
_QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}


class RayEngine(PoolEngine["RayWorker"]):
    """Does tasks on the Ray cluster that is running (``RAY_ADDRESS``, or ``ray start`` on this machine), else locally.

    Machines of a cluster see source and dataset under the same path, or the dataset lies in an object store.

    Args:
        workers: Actors, each with one core; 0: as many as the cluster has cores.
        gpus: GPUs of an actor.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, workers: int = 0, gpus: float = 0) -> None:
        require_extra("ray", "ray", "--engine ray")
        super().__init__(workers)
        self._gpus = gpus

    def open(self, resources: ExitStack) -> None:
        """See `PoolEngine.open`; a cluster that this process is connected to already is used and left alone."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        if not ray.is_initialized():
            connect(self.workers)
            resources.callback(ray.shutdown)
        cores = int(ray.cluster_resources().get("CPU", 1))
        self.workers = min(self.workers or cores, cores)

    def start(self, function: Callable[[Any], Any]) -> RayWorker:
        """See `PoolEngine.start`."""
        return RayWorker(function, self._gpus)

    def ready(self, workers: Sequence[RayWorker]) -> list[RayWorker]:
        """See `PoolEngine.ready`."""
        import ray

        begun = {worker.begun: worker for worker in workers}
        finished, _ = ray.wait(list(begun))
        return [begun[reference] for reference in finished]


class RayWorker(Worker):
    """One actor."""

    def __init__(self, function: Callable[[Any], Any], gpus: float) -> None:
        import ray

        waiting = {WAITING[0]: os.environ.get(*WAITING)}
        settings: dict[str, Any] = {"num_cpus": 1, "num_gpus": gpus, "runtime_env": {"env_vars": ONE_THREAD | waiting}}
        try:
            self._actor = ray.remote(**settings)(_Actor).remote(function)
        except (TypeError, AttributeError, ValueError) as error:
            raise EngineError(
                f"the work cannot be sent to another process: {str(error).splitlines()[0]}",
                hint="use --engine local, or fix the plugin",
            ) from None
        self.begun: Any = None

    def send(self, task: Any) -> None:
        """See `Worker.send`."""
        self.begun = self._actor.run.remote(task)

    def receive(self) -> Outcome | None:
        """See `Worker.receive`."""
        import ray

        try:
            outcome: Outcome = ray.get(self.begun)
        except ray.exceptions.RayTaskError as error:
            return Outcome(trace=str(error))
        except ray.exceptions.RayError:  # the actor or its machine is gone, or out of memory
            return None
        return outcome

    def close(self) -> None:
        """See `Worker.close`."""
        import ray

        ray.kill(self._actor)


class _Actor:
    """What lives in a Ray worker process."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        use_one_thread()
        self._function = function

    def run(self, task: Any) -> Outcome:
        return attempt(lambda: self._function(task))


def connect(workers: int) -> None:
    """Connect to the cluster that was started for all (``RAY_ADDRESS``, ``ray start``), else start one of our own.

    Ray's own search would also find the cluster of another command, which ends with it and takes us along.
    """
    import ray
    from ray._private.utils import read_ray_address  # what `ray start` wrote down; there is no public name for it

    address = os.environ.get("RAY_ADDRESS") or read_ray_address()
    if address is None:
        return _start_local(workers)
    try:
        ray.init(address=address, **_QUIET)
    except ConnectionError:
        if os.environ.get("RAY_ADDRESS"):
            raise EngineError(
                "no Ray cluster answers there",
                where=f"RAY_ADDRESS={os.environ['RAY_ADDRESS']}",
                hint="unset it to work on this machine",
            ) from None
        _start_local(workers)


def _start_local(workers: int) -> None:
    """Start a cluster of this machine alone; a busy one may need more time than Ray gives it at once."""
    import ray

    complaint = ""
    for _ in range(STARTS):
        try:
            ray.init(
                address="local",
                num_cpus=workers or None,
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                **_QUIET,
            )
            return
        except Exception as error:  # Ray raises nothing more exact
            complaint = str(error).splitlines()[0]
            ray.shutdown()
    raise EngineError(f"Ray does not start on this machine: {complaint}", hint="use --engine process")
