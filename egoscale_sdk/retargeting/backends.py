"""How a step is run: as it is written (eager), or compiled where there is a C++ compiler."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from egoscale_sdk.retargeting.arrow import ArrowStep

Step = Callable[..., Tensor]

EAGER_CHUNK, COMPILED_CHUNK = 4096, 2048  # frames at once: what fits in the cache; changes no result
FRAME_ARGUMENTS = (1, 3, 4, 5, 6, 7, 8)  # of `ArrowStep.__call__`: those whose last dimension counts frames

_log = logging.getLogger(__name__)
_compiled: dict[tuple[object, ...], Step] = {}


def compiled_step(step: ArrowStep) -> Step:
    """Return the step compiled, for any number of frames; itself where that is not possible (one line in the log).

    The first call takes up to some minutes; hands of the same structure, such as left and right, share the result, and
    torch keeps it on disk.
    """
    if step.signature not in _compiled:
        reason = _hindrance()
        if reason:
            _log.warning("retargeting runs without a compiler, slower and with the same results: %s", reason)
        _compiled[step.signature] = step if reason else _guarded(step)
    return _compiled[step.signature]


def _guarded(step: ArrowStep) -> Step:
    compiled = torch.compile(step.__call__, fullgraph=True)

    def run(*given: Tensor) -> Tensor:
        arguments = list(given)
        for index in FRAME_ARGUMENTS:  # of one layout, so that it is compiled once
            whole = given[index].expand(*given[index].shape[:-1], given[1].shape[-1])
            arguments[index] = whole.contiguous()
            torch._dynamo.maybe_mark_dynamic(arguments[index], whole.ndim - 1)
        try:
            with torch.no_grad():
                return compiled(*arguments)
        except RuntimeError as error:  # a compiler that is there and does not work
            _log.warning("retargeting goes on without the compiled step: %s", str(error).splitlines()[0])
            _compiled[step.signature] = step
            return step(*given)

    return run


@cache
def _hindrance() -> str:
    """Why nothing can be compiled here; empty if it can."""
    if any(shutil.which(name) for name in ("g++", "clang++", "c++")) or torch.cuda.is_available():
        return ""
    return "no C++ compiler (g++ or clang++) is installed"
