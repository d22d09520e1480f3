"""What every retargeter does with its input, whatever it solves: shapes checked, clips in a row, numbers finite."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from egoscale_sdk.interfaces import Motion, Retargeter, RetargetResult, position_limits
from egoscale_sdk.specs import HandSpec

FARTHEST_M = 1e6  # beyond it a coordinate is no measurement
UNBOUNDED_RAD = 1e6  # where a joint without limits ends
NO_GRADIENT = "only the eager back end of retargeting by keypoints is differentiable; keypoints require a gradient"


class ClipRetargeter(Retargeter):
    """A retargeter of whole motions; no motion's result depends on those that are retargeted with it."""

    differentiable = False
    """Whether joints have a gradient with respect to keypoints."""

    def retarget(
        self, keypoints: Tensor, confidence: Tensor | None = None, warm_start: Tensor | None = None
    ) -> RetargetResult:
        """See `Retargeter.retarget`; the result is on the CPU, joints in float32."""
        _check_shapes(self.hand, keypoints, confidence, warm_start)
        shape, length = keypoints.shape[:-2], keypoints.shape[-3]
        if shape.numel() == 0:
            return _nothing(self.hand, shape)
        keypoints = keypoints if keypoints.dtype == torch.float64 else keypoints.float()
        seen = torch.ones(()) if confidence is None else confidence.detach().float()
        seen = seen.expand(keypoints.shape[:-1]).reshape(-1, length, 21)
        clips = zip(keypoints.reshape(-1, length, 21, 3), seen, strict=True)
        found = self._motions([HeldMotion(*clip) for clip in clips], joints_before(self.hand, warm_start, shape[:-1]))
        joints, residual, valid = (torch.stack(parts) for parts in zip(*found, strict=True))
        return RetargetResult(joints.reshape(*shape, -1), residual.reshape(shape), valid.reshape(shape))

    def retarget_all(self, motions: Sequence[Motion]) -> list[RetargetResult]:
        """See `Retargeter.retarget_all`."""
        some = [motion for motion in motions if len(motion)]
        start = joints_before(self.hand, None, torch.Size([len(some)]))
        found = iter(self._motions(some, start) if some else ())
        none = _nothing(self.hand, torch.Size([0]))
        return [RetargetResult(*next(found)) if len(motion) else none for motion in motions]

    def _asked_for_gradients(self, motions: Sequence[Motion]) -> bool:
        """Whether keypoints ask for a gradient.

        Raises:
            ValueError: they do and there is none.
        """
        asked = any(motion.read(slice(1))[0].requires_grad for motion in motions)
        if asked and not self.differentiable:
            raise ValueError(NO_GRADIENT)
        return asked

    @abstractmethod
    def _motions(self, motions: Sequence[Motion], start: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Retarget B motions of some frames each.

        Args:
            motions: With keypoints and confidence as given; see `finite`.
            start: ``(B, J)`` float64, joints before the first frame, within the limits.

        Returns:
            For each joints ``(T, J)`` float32 within the limits, residual ``(T,)`` metres, validity ``(T,)`` bool; on
            the CPU.
        """


@dataclass(frozen=True)
class HeldMotion(Motion):
    """A motion in memory: keypoints ``(T, 21, 3)`` and confidence ``(T, 21)``."""

    keypoints: Tensor
    seen: Tensor

    def __len__(self) -> int:
        return len(self.keypoints)

    def read(self, frames: slice) -> tuple[Tensor, Tensor]:
        """See `Motion.read`."""
        return self.keypoints[frames], self.seen[frames]


def open_pose(hand: HandSpec) -> Tensor:
    """Return the hand's open pose ``(J,)``, float64; zero where the spec gives none."""
    return torch.tensor(hand.open_pose or (0.0,) * len(hand.actuated), dtype=torch.float64)


def float32_limits(hand: HandSpec) -> tuple[Tensor, Tensor]:
    """Return lower and upper limits ``(J,)``: float64, exact in float32, never wider than the spec's."""
    lower, upper = position_limits(hand.actuated, torch.zeros(0, dtype=torch.float32))
    return lower.double(), upper.double()


def velocity_steps(hand: HandSpec, rate_hz: float) -> Tensor:
    """Return how far joints may move from frame to frame, ``(J,)`` float64; infinite where there is no limit."""
    speeds = [joint.velocity for joint in hand.actuated]
    return torch.tensor([inf if speed is None else speed / rate_hz for speed in speeds], dtype=torch.float64)


def finite(keypoints: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Make every number finite: a missing keypoint (NaN, or absurdly far) becomes 0 and has confidence 0.

    Args:
        keypoints: ``(*b, 21, 3)``.
        seen: ``(*b, 21)`` confidence; what is no number is 0, what lies beyond [0, 1] is clamped.
    """
    missing = ~(keypoints.abs() < FARTHEST_M).all(-1)  # NaN is never less
    seen = seen.to(torch.float32).nan_to_num(0.0).clamp(0, 1)
    return torch.where(missing[..., None], 0.0, keypoints), torch.where(missing, 0.0, seen)


def joints_before(hand: HandSpec, warm_start: Tensor | None, batch: torch.Size) -> Tensor:
    """Return the joints before the first frame, ``(B, J)`` float64 within the limits, of a start ``(*batch, J)``.

    The open pose where it is not given or no number.
    """
    rest = open_pose(hand)
    start = rest.expand(*batch, -1) if warm_start is None else warm_start.detach().to("cpu", torch.float64)
    start = torch.where(start.isfinite(), start, rest).clamp(-UNBOUNDED_RAD, UNBOUNDED_RAD)
    return start.clamp(*float32_limits(hand)).reshape(-1, len(rest))


def _nothing(hand: HandSpec, shape: torch.Size) -> RetargetResult:
    joints = torch.zeros((*shape, len(hand.actuated)), dtype=torch.float32)
    return RetargetResult(joints, torch.zeros(shape), torch.zeros(shape, dtype=torch.bool))


def _check_shapes(hand: HandSpec, keypoints: Tensor, confidence: Tensor | None, warm_start: Tensor | None) -> None:
    if keypoints.ndim < 3 or keypoints.shape[-2:] != (21, 3):
        raise ValueError(f"keypoints must be (*b, T, 21, 3), got {tuple(keypoints.shape)}")
    wanted = (*keypoints.shape[:-3], len(hand.actuated))
    if confidence is not None and confidence.shape != keypoints.shape[:-1]:
        raise ValueError(f"confidence must be {tuple(keypoints.shape[:-1])}, got {tuple(confidence.shape)}")
    if warm_start is not None and warm_start.shape != wanted:
        raise ValueError(f"warm_start must be {wanted}, got {tuple(warm_start.shape)}")
