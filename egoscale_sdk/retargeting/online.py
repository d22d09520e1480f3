"""Retargeting while a person moves: one frame at a time, for teleoperation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from egoscale_sdk.interfaces import RetargetResult
from egoscale_sdk.retargeting.canonical import bone_readings, canonical_hand
from egoscale_sdk.retargeting.chains import padded_chains
from egoscale_sdk.retargeting.clips import NO_GRADIENT, finite, float32_limits, joints_before, open_pose
from egoscale_sdk.retargeting.dense import DenseEngine
from egoscale_sdk.retargeting.engine import Engine, FingerEngine
from egoscale_sdk.retargeting.goals import Person, correspondence, goals, proportions
from egoscale_sdk.retargeting.kernels.scalars import Constant
from egoscale_sdk.retargeting.kernels.tape import Tape
from egoscale_sdk.retargeting.kernels.trace import Function, Input, TraceError
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

    Raises:
        ValueError: the start has another shape.
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
        chains = padded_chains(hand)
        self._engine: Engine = (
            DenseEngine(hand, self._terms) if chains is None else FingerEngine(hand, chains, self._terms)
        )
        rest = self._engine.points(self._engine.variables(open_pose(hand)[:, None]))
        self._own = correspondence(thumb_first(hand), rest[..., 0])
        self._limits = float32_limits(hand)
        speeds = [joint.velocity for joint in hand.actuated]
        self._step = torch.tensor([torch.inf if v is None else v / rate_hz - ROUNDING for v in speeds]).double()
        self._seen: list[Tensor] = []
        self._person = Person(torch.ones(1), torch.ones(1))
        if start is not None and start.shape != self._step.shape:
            raise ValueError(f"start must be {tuple(self._step.shape)}, got {tuple(start.shape)}")
        self.joints = joints_before(hand, start, torch.Size())[0].float()
        raw = Input((21, 3), torch.float64, frames=0), Input((21,), frames=0)
        self._look = _fast(self._bones, raw)
        self._follow = _fast(self._frame, (*raw, *(Input(s, torch.float64) for s in ((), (), (len(self._step),)))))

    def step(self, keypoints: Tensor, confidence: Tensor | None = None) -> RetargetResult:
        """Take one frame further.

        Args:
            keypoints: ``(21, 3)`` as in `Retargeter.retarget`.
            confidence: ``(21,)`` in [0, 1]; None means 1 everywhere.

        Returns:
            Joints ``(J,)`` float32, residual and validity of no dimension.

        Raises:
            ValueError: a shape is wrong, or keypoints require a gradient.
        """
        if keypoints.shape != (21, 3) or (confidence is not None and confidence.shape != (21,)):
            raise ValueError(f"keypoints of one frame must be (21, 3), got {tuple(keypoints.shape)}")
        if keypoints.requires_grad:
            raise ValueError(NO_GRADIENT)
        seen = torch.ones(21) if confidence is None else confidence.detach().float()
        raw = keypoints.double()[None], seen[None]
        if len(self._seen) < CALIBRATION_FRAMES:
            self._calibrate(*raw)
        person = self._person.size.double(), self._person.scale.double()
        joints, residual, valid = self._follow(*raw, *person, self.joints.double()[:, None])
        if not valid[0]:
            return RetargetResult(self.joints, torch.zeros(()), torch.tensor(False))
        self.joints = torch.tensor(joints, dtype=torch.float32)
        return RetargetResult(self.joints, torch.tensor(residual[0], dtype=torch.float32), torch.tensor(True))

    def _calibrate(self, keypoints: Tensor, seen: Tensor) -> None:
        """Take the person's proportions from the median of the first frames."""
        lengths, (valid,) = self._look(keypoints, seen)
        if valid:
            self._seen.append(torch.tensor(lengths, dtype=torch.float64))
            median = torch.stack(self._seen, -1).nanmedian(-1).values[:, None]
            self._person = proportions(self._own, median.nan_to_num(), (~median.isnan()).to(median))

    def _bones(self, keypoints: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Lengths of all bones ``(20, 1)``, NaN where not seen, and whether there is a hand."""
        hand = canonical_hand(*finite(keypoints, seen), self.hand.side, torch.float64)
        lengths, shown = bone_readings(hand)
        return torch.where(shown > 0, lengths, torch.nan), hand.valid

    def _frame(self, keypoints: Tensor, seen: Tensor, size: Tensor, scale: Tensor, joints: Tensor) -> list[Tensor]:
        """The next joints ``(J, 1)``, their residual and whether there is a hand."""
        engine, hand = self._engine, canonical_hand(*finite(keypoints, seen), self.hand.side, torch.float64)
        wanted = goals(self._own, self._terms, self.target, hand, Person(size, scale))
        last = u = engine.variables(joints)
        rho = torch.full_like(u, self.effort.pull)
        for _ in range(self.effort.steps):
            u = engine.step(u, wanted, last, rho, 1e-4)
        step, (lower, upper) = self._step[:, None], (end[:, None] for end in self._limits)
        moved = torch.minimum(torch.maximum(engine.joints(u, joints), joints - step), joints + step)
        moved = torch.minimum(torch.maximum(moved, lower), upper)
        return [moved, misfit(engine, self._terms, wanted, engine.variables(moved)), hand.valid]


def _fast(function: Function, inputs: Sequence[Input]) -> Callable[..., list[list[Constant]]]:
    """A framewise function of one frame, as a tape where that is possible."""
    try:
        return Tape(function, inputs)
    except TraceError:
        return lambda *given: [part.flatten().tolist() for part in function(*given)]
