"""Memory for batches that comes back by itself: fresh memory costs a page fault every 4 KiB."""

from __future__ import annotations

import ctypes
import math
import weakref
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT = 16


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
            memory = np.empty(size, np.uint8)
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
