"""What every retargeter does with its input, whatever it solves: shapes checked, clips apart, every number finite."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from egoscale_sdk.interfaces import Retargeter, RetargetResult, position_limits
from egoscale_sdk.specs import HandSpec

FARTHEST_M = 1e6  # beyond it a coordinate is no measurement


class ClipRetargeter(Retargeter):
    """A retargeter that takes one clip at a time, so that no clip's result depends on its neighbours in the batch."""

    def retarget(
        self, keypoints: Tensor, confidence: Tensor | None = None, warm_start: Tensor | None = None
    ) -> RetargetResult:
        """See `Retargeter.retarget`; computed in float64, returned on the CPU, joints in float32."""
        _check_shapes(self.hand, keypoints, confidence, warm_start)
        shape, length = keypoints.shape[:-2], keypoints.shape[-3]
        joints = torch.zeros((*shape, len(self.hand.actuated)), dtype=torch.float32)
        residual, valid = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.bool)
        if keypoints.numel() > 0:
            points, seen = _finite(keypoints, confidence)
            start = _start(self.hand, warm_start, shape[:-1])
            clips = zip(points.reshape(-1, length, 21, 3), seen.reshape(-1, length, 21), start, strict=True)
            results = zip(*(self._clip(*clip) for clip in clips), strict=True)
            for out, parts in zip((joints, residual, valid), results, strict=True):
                out.copy_(torch.stack(parts).reshape(out.shape))
        return RetargetResult(joints, residual, valid)

    @abstractmethod
    def _clip(self, keypoints: Tensor, seen: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Retarget one clip, T >= 1.

        Args:
            keypoints: ``(T, 21, 3)`` float64, metres, finite; a missing one (NaN, or absurdly far) is 0.
            seen: ``(T, 21)`` confidence in [0, 1]; a missing keypoint has 0.
            start: ``(J,)`` joints before the first frame, finite.

        Returns:
            Joints ``(T, J)`` float32 within the limits, residual ``(T,)`` metres, validity ``(T,)`` bool.
        """


def open_pose(hand: HandSpec) -> Tensor:
    """Return the hand's open pose ``(J,)``, float64; zero where the spec gives none."""
    return torch.tensor(hand.open_pose or (0.0,) * len(hand.actuated), dtype=torch.float64)


def float32_limits(hand: HandSpec) -> tuple[Tensor, Tensor]:
    """Return lower and upper limits ``(J,)``: float64, exact in float32, never wider than the spec's."""
    lower, upper = position_limits(hand.actuated, torch.zeros(0, dtype=torch.float32))
    return lower.double(), upper.double()


def _finite(keypoints: Tensor, confidence: Tensor | None) -> tuple[Tensor, Tensor]:
    points = keypoints.detach().to("cpu", torch.float64)
    missing = ~(points.abs() < FARTHEST_M).all(-1)  # NaN is never less
    seen = torch.ones(points.shape[:-1]) if confidence is None else confidence.detach().cpu()
    seen = seen.to(torch.float64).nan_to_num(0.0).clamp(0, 1)
    return torch.where(missing[..., None], 0.0, points), torch.where(missing, 0.0, seen)


def _start(hand: HandSpec, warm_start: Tensor | None, batch: torch.Size) -> Tensor:
    """Joints before the first frame, ``(B, J)``; the open pose where they are not given or no numbers."""
    rest = open_pose(hand)
    start = rest.expand(*batch, -1) if warm_start is None else warm_start.detach().to("cpu", torch.float64)
    return torch.where(start.isfinite(), start, rest).reshape(-1, len(rest))


def _check_shapes(hand: HandSpec, keypoints: Tensor, confidence: Tensor | None, warm_start: Tensor | None) -> None:
    if keypoints.ndim < 3 or keypoints.shape[-2:] != (21, 3):
        raise ValueError(f"keypoints must be (*b, T, 21, 3), got {tuple(keypoints.shape)}")
    wanted = (*keypoints.shape[:-3], len(hand.actuated))
    if confidence is not None and confidence.shape != keypoints.shape[:-1]:
        raise ValueError(f"confidence must be {tuple(keypoints.shape[:-1])}, got {tuple(confidence.shape)}")
    if warm_start is not None and warm_start.shape != wanted:
        raise ValueError(f"warm_start must be {wanted}, got {tuple(warm_start.shape)}")
