"""Retargeting to grippers: the opening between thumb and fingers, in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from egoscale_sdk.errors import SpecError
from egoscale_sdk.interfaces import Motion
from egoscale_sdk.retargeting.clips import ClipRetargeter, finite, float32_limits, velocity_steps
from egoscale_sdk.retargeting.smoothing import finish
from egoscale_sdk.specs import ApertureSpec, HandSpec

TIPS = [4, 8, 12]  # thumb, index, middle
MIN_EXTENT_M = 1e-6
SAMPLES = 2049
PIECE = 1 << 16  # frames that are looked at together


class GapRetargeter(ClipRetargeter):
    """Opens a gripper as wide as the gap between the thumb tip and the mean of index and middle tips.

    The gap is metric: what a person holds between the fingers fits between the gripper's. A gap beyond the stroke
    opens fully. ``residual_m`` is how far the gap lies beyond the stroke. While the hand is lost the gripper moves
    evenly from where it was to where it is next seen (or stays at the start): it does not let go. Its limit of velocity
    holds at ``rate_hz``: where a person is faster, it moves before and after.

    Args:
        hand: The gripper.
        rate_hz: Frames per second of what will be retargeted.

    Raises:
        SpecError: the hand declares no aperture of one joint.
    """

    id = "egoscale/gap@1"
    version = "2"

    def __init__(self, hand: HandSpec, rate_hz: float = 30.0) -> None:
        super().__init__(hand)
        self.rate_hz = rate_hz
        if hand.aperture is None or len(hand.actuated) != 1:
            raise SpecError(f"hand space {hand.hand_space.id} declares no aperture of one joint")
        lower, upper = float32_limits(hand)
        q = np.linspace(float(lower[0]), float(upper[0]), SAMPLES)
        widths = aperture_width(hand.aperture, q)
        self._q, self._width = (q, widths) if widths[0] < widths[-1] else (q[::-1], widths[::-1])
        if not np.all(np.diff(self._width) > 0):
            raise SpecError(f"the aperture of hand space {hand.hand_space.id} is not monotone within its limits")

    @property
    def parameters(self) -> dict[str, float | str]:
        """Settings that determine the result."""
        return {"rate_hz": self.rate_hz}

    def _motions(self, motions: Sequence[Motion], start: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        self._asked_for_gradients(motions)
        return [self._motion(*each) for each in zip(motions, start, strict=True)]

    def _motion(self, motion: Motion, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Joints ``(T, 1)``, residual and validity ``(T,)`` of one motion."""
        pieces = [_gap(*motion.read(slice(first, first + PIECE))) for first in range(0, len(motion), PIECE)]
        gap, valid = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        reached = np.clip(gap.numpy(), self._width[0], self._width[-1])
        q = torch.from_numpy(np.interp(reached, self._width, self._q))[:, None]
        steps, limits = velocity_steps(self.hand, self.rate_hz), float32_limits(self.hand)
        q = finish(torch.where(valid[:, None], q, start), valid, [len(q)], steps, limits, native=False)
        beyond = torch.from_numpy(np.abs(gap.numpy() - reached))
        return q, torch.where(valid, beyond, 0.0), valid


def _gap(keypoints: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of the thumb tip from the middle of the two other tips, and where it is known, ``(T,)``."""
    points, sure = finite(keypoints.detach().to("cpu", torch.float64), seen.to("cpu"))
    extent = (points.amax(-2) - points.amin(-2)).amax(-1)  # an absent hand may be all zero
    thumb, index, middle = points[:, TIPS].unbind(-2)
    return (thumb - (index + middle) / 2).norm(dim=-1), (sure[:, TIPS] > 0).all(-1) & (extent > MIN_EXTENT_M)


def aperture_width(aperture: ApertureSpec, q: np.ndarray) -> np.ndarray:
    """Return the opening in metres at joint values ``q``, of the same shape."""
    curve = aperture.cosine_m * np.cos(q) + aperture.sine_m * np.sin(q)
    width: np.ndarray = aperture.constant_m + aperture.linear * q + curve
    return width
