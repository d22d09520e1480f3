"""Retargeting while a person moves: one frame at a time, for teleoperation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egoscale_sdk.interfaces import RetargetResult
from egoscale_sdk.retargeting.canonical import bone_lengths, bone_readings, canonical_hand
from egoscale_sdk.retargeting.clips import finite, float32_limits, open_pose
from egoscale_sdk.retargeting.dense import DenseEngine
from egoscale_sdk.retargeting.goals import Person, correspondence, goals, proportions
from egoscale_sdk.retargeting.quality import thumb_first
from egoscale_sdk.retargeting.smoothing import ROUNDING
from egoscale_sdk.retargeting.terms import Target, finger_terms
from egoscale_sdk.retargeting.trajectory import misfit
from egoscale_sdk.specs import HandSpec

CALIBRATION_FRAMES = 64  # the first frames with a hand tell a person's proportions


@dataclass(frozen=True)
class OnlineEffort:
    """How a frame is found: ``steps`` Gauss-Newton steps of the terms of `KeypointRetargeter` and a causal prior.

    Attributes:
        steps: Steps per frame, each from the joints of the frame before.
        pull: Weight of staying at the joints of the frame before, m^2 / rad^2: the more, the smoother and the later.
    """

    steps: int = 1
    pull: float = 2e-3


class OnlineRetargeter:
    """Follows a hand frame by frame: causal, warm, on one core; everything else as `KeypointRetargeter`.

    It remembers the last joints and the person's proportions, so one of it serves one hand of one person. Joints keep
    the limits of position, and of velocity at ``rate_hz``. While the hand is lost they stay where they are.

    Args:
        hand: The robot's hand.
        target: See `KeypointRetargeter`.
        rate_hz: Frames per second.
        effort: How much is done in a frame.
        start: ``(J,)`` where the robot's hand is; None: the open pose.
    """

    def __init__(
        self,
        hand: HandSpec,
        target: Target = "shape",
        rate_hz: float = 30.0,
        effort: OnlineEffort = OnlineEffort(),
        start: Tensor | None = None,
    ) -> None:
        self.hand, self.target, self.effort = hand, target, effort
        self._terms = finger_terms(max(len(finger.frames) for finger in hand.fingers), target)
        self._engine = DenseEngine(hand, self._terms)
        rest = self._engine.points(self._engine.variables(open_pose(hand)[:, None]))
        self._own = correspondence(thumb_first(hand), rest[..., 0])
        self._limits = [end.float() for end in float32_limits(hand)]
        speeds = [joint.velocity for joint in hand.actuated]
        self._step = torch.tensor([torch.inf if v is None else v / rate_hz - ROUNDING for v in speeds])
        self._seen: list[Tensor] = []
        self._person: Person | None = None
        self.joints = (open_pose(hand) if start is None else start).float().clamp(*self._limits)

    def step(self, keypoints: Tensor, confidence: Tensor | None = None) -> RetargetResult:
        """Take one frame further.

        Args:
            keypoints: ``(21, 3)`` as in `Retargeter.retarget`.
            confidence: ``(21,)`` in [0, 1]; None means 1 everywhere.

        Returns:
            Joints ``(J,)`` float32, residual and validity of no dimension.

        Raises:
            ValueError: a shape is wrong.
        """
        if keypoints.shape != (21, 3) or (confidence is not None and confidence.shape != (21,)):
            raise ValueError(f"keypoints of one frame must be (21, 3), got {tuple(keypoints.shape)}")
        seen = torch.ones(21) if confidence is None else confidence
        points, sure = finite(keypoints.detach().double(), seen)
        hand = canonical_hand(points[None], sure[None], self.hand.side, torch.float64)
        if not bool(hand.valid[0]):
            return RetargetResult(self.joints, torch.zeros(()), hand.valid[0])
        wanted = goals(self._own, self._terms, self.target, hand, self._proportions(bone_lengths(*bone_readings(hand))))
        last = self._engine.variables(self.joints.double()[:, None])
        u, rho = last, torch.full((len(last), 1, 1), self.effort.pull, dtype=torch.float64)
        for _ in range(self.effort.steps):
            u = self._engine.step(u, wanted, last, rho, 1e-4)
        joints = self._engine.joints(u, last)[:, 0].float()
        joints = torch.minimum(torch.maximum(joints, self.joints - self._step), self.joints + self._step)
        self.joints = joints.clamp(*self._limits)
        reached = self._engine.variables(self.joints.double()[:, None])
        residual = misfit(self._engine, self._terms, wanted, reached)[0]
        return RetargetResult(self.joints, residual.float(), hand.valid[0])

    def _proportions(self, bones_m: Tensor) -> Person:
        """The person's, from the median of the first frames; known for good after `CALIBRATION_FRAMES`."""
        if self._person is None or len(self._seen) < CALIBRATION_FRAMES:
            self._seen.append(bones_m)
            median = torch.stack(self._seen, -1).nanmedian(-1).values[:, None]
            self._person = proportions(self._own, median.nan_to_num(), (~median.isnan()).to(median))
        return self._person
