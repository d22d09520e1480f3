"""Which engine a command uses."""

from __future__ import annotations

import os
from typing import Literal, get_args

from egoscale_sdk.engine.base import Engine, LocalEngine
from egoscale_sdk.errors import EngineError, did_you_mean

EngineName = Literal["local", "process", "ray"]
ENGINES: tuple[str, ...] = get_args(EngineName)


def choose_engine(name: str | None = None, workers: int | None = None, *, gpus: float = 0) -> Engine:
    """Return an engine by name.

    Args:
        name: One of `ENGINES`; None: ``process`` where several workers are asked for, else ``local``.
        workers: How many; None: as many as there are cores (``local`` has one).
        gpus: GPUs of each worker, where the engine hands them out.

    Raises:
        EngineError: an unknown name, or a number of workers that it cannot have.
        MissingExtraError: Ray is asked for and not installed.
    """
    if workers is not None and workers < 1:
        raise EngineError(f"is {workers}", where="--workers", allowed=["1 and above"])
    chosen = name or ("process" if workers and workers > 1 else "local")
    if chosen not in ENGINES:
        raise EngineError(f"unknown engine {chosen!r}", allowed=ENGINES, hint=did_you_mean(chosen, ENGINES))
    if chosen == "local":
        if workers and workers > 1:
            raise EngineError(f"engine 'local' has one worker, not {workers}", hint="use --engine process")
        return LocalEngine()
    if chosen == "process":
        from egoscale_sdk.engine.processes import ProcessEngine

        return ProcessEngine(workers or _cores())
    from egoscale_sdk.engine.cluster import RayEngine

    return RayEngine(workers or 0, gpus)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
