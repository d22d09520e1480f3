"""A vendor's bus, in its own units and order."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.interfaces import Sample


class Device(ABC):
    """What speaks the values of one wire table, as they are on the wire: nobody converts units but the SDK.

    ``__init__`` does no input or output. All devices of one driver stamp their samples with the same clock; a device
    that has none of its own uses ``time.monotonic_ns()`` at the moment of the reading.
    """

    @abstractmethod
    def open(self) -> None:
        """Connect and make ready to move; raises (OSError, usually) if that fails."""

    @abstractmethod
    def read(self) -> Sample:
        """Return the newest measured native values, ``(n,)`` in the order of the wire table, with their stamp."""

    @abstractmethod
    def write(self, native: NDArray[np.float64]) -> None:
        """Send target positions, native values ``(n,)`` in the order of the wire table, already checked."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect; may be called at any time, any number of times, also after an `open` that failed."""
