"""From a human hand's keypoints to a robot hand's joints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egoscale_sdk.specs import HandSpec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RetargetResult:
    """Joints of one hand over time.

    Attributes:
        joints: ``(*b, T, J)`` in the hand space's order, rad or m, always within the limits.
        residual_m: ``(*b, T)`` weighted RMS distance between followed frames and their targets, metres; finite, 0
            where not valid.
        valid: ``(*b, T)`` bool; False where the keypoints did not determine the hand.
    """

    joints: Tensor
    residual_m: Tensor
    valid: Tensor


class Motion(ABC):
    """One hand's keypoints over time, which may be too long to be held at once; see `Retargeter.retarget_all`."""

    @abstractmethod
    def __len__(self) -> int:
        """Frames T, evenly spaced in time."""

    @abstractmethod
    def read(self, frames: slice) -> tuple[Tensor, Tensor]:
        """Return keypoints ``(n, 21, 3)`` and confidence ``(n, 21)`` of some frames, as `Retargeter.retarget` has them.

        All of a motion have one dtype, and so have motions that are retargeted together.
        """


class Retargeter(ABC):
    """Built for one target hand (a side included); holds no state between calls.

    ``id`` and ``version`` go into a dataset's provenance, with `parameters`.
    """

    id: str
    version: str

    def __init__(self, hand: HandSpec) -> None:
        self.hand = hand

    @property
    @abstractmethod
    def parameters(self) -> dict[str, float | str]:
        """Weights and settings that determine the result."""

    @abstractmethod
    def retarget(
        self, keypoints: Tensor, confidence: Tensor | None = None, warm_start: Tensor | None = None
    ) -> RetargetResult:
        """Retarget a motion; a bad frame yields ``valid = False``, never an exception.

        Args:
            keypoints: ``(*b, T, 21, 3)`` canonical order, metres, any rigid frame; NaN allowed (means missing).
                Frames are evenly spaced in time.
            confidence: ``(*b, T, 21)`` in [0, 1]; None means 1 everywhere.
            warm_start: ``(*b, J)`` joints before the first frame: where a solver begins, and what a hand that is never
                seen keeps. None, or a value that is no number: the open pose.

        Raises:
            ValueError: a shape is wrong.
        """

    def retarget_all(self, motions: Sequence[Motion]) -> list[RetargetResult]:
        """Retarget motions of different lengths, each from the open pose, one by one unless a retargeter knows better.

        A retargeter that does, such as those of this SDK, holds no motion whole and solves short ones together; every
        result has the bits that `retarget` gives for that motion alone. It can be pickled, so that other processes can
        be given it.

        Args:
            motions: Any number of motions, of any lengths, 0 included.

        Returns:
            A result without batch dimensions for each.
        """
        return [self.retarget(*motion.read(slice(None))) for motion in motions]
