"""What the policy sees of a motion: chunks of relative wrists and absolute hand targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.specs import RowLayout

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Chunk:
    """An action chunk in physical units and which of its columns count.

    Attributes:
        values: ``(*b, H, D)``, NaN-free; a masked column holds 0.
        mask: ``(*b, H, D)`` bool, True where the column is supervised or commanded.
    """

    values: Floats
    mask: Bools


class ActionSpace(ABC):
    """Turns absolute rows into chunks and back.

    Element k of a chunk is the target in force from ``t0 + k dt`` to ``t0 + (k+1) dt``. Wrist columns are
    ``dW^k = (W^0)^-1 W^k`` with ``W^0`` the measured wrist at the observation (EgoScale, section 2.1); hand
    columns are absolute.
    """

    layout: RowLayout

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Name of every column of a chunk."""

    @property
    @abstractmethod
    def units(self) -> tuple[str, ...]:
        """Unit of every column: m, rad or 1."""

    @abstractmethod
    def encode(self, trajectory: Floats, valid: Bools, state: Floats, state_valid: Bools) -> Chunk:
        """Turn absolute target rows into a chunk relative to the measured state.

        Args:
            trajectory: Absolute rows, ``(*b, H, D)`` in the layout's columns.
            valid: ``(*b, H, G)`` per group of the layout; what stands in invalid groups may be anything, NaN included.
            state: Absolute measured row at the observation, ``(*b, D)``; only its wrists are read.
            state_valid: ``(*b, G)``; a wrist whose reference is invalid is masked over the whole chunk.
        """

    @abstractmethod
    def decode(self, chunk: Floats, state: Floats) -> Floats:
        """Turn a chunk ``(*b, H, D)`` and the measured row ``(*b, D)`` into absolute rows ``(*b, H, D)``.

        rot6d is re-orthonormalised, never clipped; zeros, as of a masked wrist, decode to the measured pose.
        """
