"""Retargeting by keypoints: any hand whose fingers have roles."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from egoscale_sdk.errors import SpecError
from egoscale_sdk.hands.wrist import keypoints_in_wrist, wrist_frame
from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.retargeting.clips import ClipRetargeter, float32_limits, open_pose
from egoscale_sdk.retargeting.smoothing import bridge, smooth
from egoscale_sdk.retargeting.solver import Prior, Problem, residuals, solve
from egoscale_sdk.retargeting.targets import Targets, make_targets, term_table
from egoscale_sdk.specs import HandSpec

CHUNK = 512  # frames solved at once: what fits in the cache; changes no result
REST_WEIGHT = 1e-6  # m^2 / rad^2: only what nothing else determines stays at rest


class KeypointRetargeter(ClipRetargeter):
    """Follows a person's bones with the robot's, keeps pinches at metric distance, never leaves the limits.

    Every frame is solved from the start (``warm_start``, or the open pose), where joints that nothing determines stay;
    then two rounds pull it towards its smoothed neighbours (zero phase). Frames without a hand are bridged.
    Bone targets keep the shape of the gesture (direction of each bone); pinch targets are the person's own
    thumb-to-fingertip vectors, weighted in smoothly below 35 mm.
    """

    id = "egoscale/keypoints@1"
    version = "1"

    def __init__(self, hand: HandSpec, iterations: int = 12, rounds: int = 2, smoothing: float = 1e-2) -> None:
        super().__init__(hand)
        if hand.tree is None or all(len(finger.frames) < 2 for finger in hand.fingers):
            raise SpecError(
                f"the {hand.side} hand of space {hand.hand_space.id} has no finger of two frames to follow",
                hint="fill 'fingers' in its hand file",
            )
        self.iterations, self.rounds, self.smoothing = iterations, rounds, smoothing
        self.table = term_table(hand)

    @property
    def parameters(self) -> dict[str, float | str]:
        """Settings that determine the result."""
        return {"iterations": self.iterations, "rounds": self.rounds, "smoothing": self.smoothing}

    def _clip(self, keypoints: Tensor, seen: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        local, seen, valid = self._canonical(keypoints, seen)
        targets = make_targets(self.table, local, seen, self._segment_lengths)
        rest = start.expand(len(local), -1)
        q = self._solve(targets, rest, Prior(rest, REST_WEIGHT), self.iterations)
        for _ in range(self.rounds if len(local) > 2 else 0):
            q = self._solve(targets, q, Prior(smooth(q, valid), self.smoothing), 2)
        q = bridge(q, valid).clamp(self._problem.lower, self._problem.upper).to(torch.float32)
        return q, self._residual(targets, q.to(torch.float64)), valid

    def _canonical(self, keypoints: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Bring keypoints to the axes of the hand's root; a frame without palm or most keypoints is not valid."""
        wrist, known = wrist_frame(keypoints.numpy(), self.hand.side)
        palm = seen[:, [0, 5, 9, 17]].amin(-1) > 0
        valid = torch.from_numpy(np.asarray(known)) & palm & ((seen > 0).double().mean(-1) > 0.5)
        turned = keypoints_in_wrist(keypoints.numpy(), wrist) @ self.hand.T_root_wrist.matrix()[:3, :3].T
        local = torch.where(valid[:, None, None], torch.from_numpy(turned), 0.0)
        return local, torch.where(valid[:, None], seen, 0.0), valid

    def _solve(self, targets: Targets, q: Tensor, prior: Prior, iterations: int) -> Tensor:
        parts = []
        for start in range(0, len(q), CHUNK):
            rows = slice(start, start + CHUNK)
            part = Targets(targets.vectors[rows], targets.weights[rows])
            parts.append(solve(self._problem, part, q[rows], Prior(prior.q[rows], prior.weight), iterations))
        return torch.cat(parts)

    def _residual(self, targets: Targets, q: Tensor) -> Tensor:
        squared = residuals(self._problem, targets, q).square().sum(-1)
        return ((targets.weights * squared).sum(-1) / targets.weights.sum(-1).clamp(min=1e-9)).sqrt()

    @cached_property
    def _kinematics(self) -> ForwardKinematics:
        assert self.hand.tree is not None  # checked in __init__
        return ForwardKinematics(self.hand.tree, self.hand.joints, self.table.frames, self.hand.root)

    @cached_property
    def _problem(self) -> Problem:
        lower, upper = float32_limits(self.hand)
        return Problem(
            positions=lambda q: self._kinematics(q)[..., :3, 3],
            jacobian=lambda q: self._kinematics.jacobian(q)[..., :3, :],
            terms=self.table.robot,
            lower=lower,
            upper=upper,
        )

    @cached_property
    def _segment_lengths(self) -> Tensor:
        """The robot's own length of every segment, from its open pose, ``(S,)`` metres."""
        points = self._problem.positions(open_pose(self.hand)[None])[0]
        ends = self.table.segment_frames
        return torch.stack([(points[outer] - points[inner]).norm() for inner, outer in ends])
