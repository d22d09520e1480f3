"""What goes through time, compiled: see `sweeps.cpp`."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib import resources

import torch
from torch import Tensor

from egoscale_sdk.retargeting.kernels.build import BuildError, build, say_once


@cache
def library() -> ctypes.CDLL:
    """Return the compiled functions.

    Raises:
        BuildError: nothing can be compiled here.
    """
    return build(resources.files(__package__).joinpath("sweeps.cpp").read_text("utf-8"))


def available() -> bool:
    """Whether they are at hand; if not, one line in the log says why."""
    try:
        library()
    except BuildError as error:
        say_once(str(error))
        return False
    return True


def call(name: str, *arguments: Tensor | int) -> None:
    """Call a function with tensors (contiguous, on the CPU) and whole numbers."""
    given = [ctypes.c_void_p(a.data_ptr()) if isinstance(a, Tensor) else ctypes.c_int64(a) for a in arguments]
    getattr(library(), name)(*given, ctypes.c_int64(torch.get_num_threads()))
