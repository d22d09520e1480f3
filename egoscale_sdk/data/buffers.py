"""Memory for batches that comes back by itself, in huge pages where there are some.

Fresh memory costs a page fault every 4 KiB.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import weakref
from contextlib import suppress
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT = 16
HUGE = 2**21
OFF = 16
"""Where rows begin at multiples of 32 bytes, libjpeg-turbo writes past the caches, which makes decoding 6 % slower."""


class BufferPool:
    """Lends uint8 arrays; the memory of one is used again once nothing refers to it, nor to a view or tensor of it."""

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.uint8]]] = {}
        self._lock = Lock()

    def __call__(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return an array of ``shape``; what is in it does not matter."""
        size = math.prod(shape)
        if size == 0:
            return np.empty(shape, np.uint8)
        with self._lock:
            free = self._free.get(size)
            memory = free.pop() if free else None
        if memory is None:
            memory = _memory(size)
        lease = (ctypes.c_uint8 * size).from_buffer(memory)  # type: ignore[arg-type]  # arrays are buffers
        weakref.finalize(lease, self._take_back, memory).atexit = False
        lent: NDArray[np.uint8] = np.frombuffer(lease, np.uint8).reshape(shape)  # type: ignore[call-overload]
        return lent

    def _take_back(self, memory: NDArray[np.uint8]) -> None:
        free = self._free.setdefault(len(memory), [])
        if len(free) < KEPT:
            free.append(memory)

    def __reduce__(self) -> tuple[Any, ...]:
        return BufferPool, ()


def _memory(size: int) -> NDArray[np.uint8]:
    if size < HUGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(size, np.uint8)
    pages = mmap.mmap(-1, size + 2 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without huge pages
        pages.madvise(mmap.MADV_HUGEPAGE)
    memory = np.frombuffer(pages, np.uint8)
    start = -memory.ctypes.data % HUGE + OFF
    return memory[start : start + size]
