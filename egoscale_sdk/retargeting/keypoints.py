"""Retargeting by keypoints: any hand whose fingers have roles."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from egoscale_sdk.errors import SpecError
from egoscale_sdk.hands.wrist import keypoints_in_wrist, wrist_frame
from egoscale_sdk.interfaces import Retargeter, RetargetResult
from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.retargeting.bounds import inward_float32
from egoscale_sdk.retargeting.smoothing import smooth
from egoscale_sdk.retargeting.solver import Prior, Problem, residuals, solve
from egoscale_sdk.retargeting.targets import Targets, make_targets, term_table
from egoscale_sdk.specs import HandSpec

CHUNK = 4096  # frames solved at once: bounds memory, changes no result


class KeypointRetargeter(Retargeter):
    """Follows a person's bones with the robot's, keeps pinches at metric distance, never leaves the limits.

    Every frame is solved from the open pose, then two rounds pull it towards its smoothed neighbours (zero phase).
    Bone targets keep the shape of the gesture (direction of each bone); pinch targets are the person's own
    thumb-to-fingertip vectors, weighted in smoothly below 35 mm.
    """

    id = "egoscale/keypoints@1"
    version = "1"

    def __init__(self, hand: HandSpec, iterations: int = 12, rounds: int = 2, smoothing: float = 1e-2) -> None:
        super().__init__(hand)
        if not hand.fingers or hand.tree is None:
            raise SpecError(
                f"the {hand.side} hand of space {hand.hand_space.id} has no finger frames to follow keypoints with",
                hint="fill 'fingers' in its hand file",
            )
        self.iterations, self.rounds, self.smoothing = iterations, rounds, smoothing
        self.table = term_table(hand)

    @property
    def parameters(self) -> dict[str, float | str]:
        """Settings that determine the result."""
        return {"iterations": self.iterations, "rounds": self.rounds, "smoothing": self.smoothing}

    def retarget(
        self, keypoints: Tensor, confidence: Tensor | None = None, warm_start: Tensor | None = None
    ) -> RetargetResult:
        """See `Retargeter.retarget`."""
        _check_shapes(keypoints, confidence)
        *batch, length = keypoints.shape[:-2]
        clips = keypoints.reshape(-1, length, 21, 3)
        seen = torch.ones(clips.shape[:-1]) if confidence is None else confidence.reshape(-1, length, 21)
        start = None if warm_start is None else warm_start.reshape(-1, warm_start.shape[-1])
        results = [self._clip(clips[i], seen[i], None if start is None else start[i]) for i in range(clips.shape[0])]
        joints, residual, valid = (torch.stack(part) for part in zip(*results, strict=True))
        return RetargetResult(
            joints.reshape(*batch, length, -1), residual.reshape(*batch, length), valid.reshape(*batch, length)
        )

    def _clip(self, keypoints: Tensor, confidence: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Retarget one clip ``(T, 21, 3)`` to joints ``(T, J)``, residual and validity ``(T,)``."""
        local, seen, valid = self._canonical(keypoints, confidence)
        rest = self._open if start is None else start.to(torch.float64)
        rest = rest.clamp(self._problem.lower, self._problem.upper).expand(len(local), -1)
        if not bool(valid.any()):
            return rest.to(torch.float32), torch.zeros(len(local), dtype=torch.float64), valid
        targets = make_targets(self.table, local, seen, self._segment_lengths)
        q = self._solve(targets, rest, Prior(rest, 1e-6), self.iterations)
        for _ in range(self.rounds if len(local) > 2 else 0):
            prior = Prior(smooth(q, valid.to(q)), self.smoothing)
            q = self._solve(targets, q, prior, 2)
        q = torch.where(valid[:, None], q, smooth(q, valid.to(q)))  # unknown frames follow their neighbours
        q = q.clamp(self._problem.lower, self._problem.upper).to(torch.float32)
        return q, self._residual(targets, q.to(torch.float64)), valid

    def _canonical(self, keypoints: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Bring keypoints to wrist axes; missing ones get confidence 0 and a finite value."""
        points = keypoints.detach().to(torch.float64).cpu()
        missing = ~points.isfinite().all(-1)
        seen = torch.where(missing, 0.0, confidence.detach().to(torch.float64).cpu().nan_to_num(0.0).clamp(0, 1))
        points = torch.where(missing[..., None], 0.0, points)
        wrist, known = wrist_frame(points.numpy(), self.hand.side)
        palm = seen[:, [0, 5, 9, 17]].amin(-1) > 0
        valid = torch.from_numpy(np.asarray(known)) & palm & ((seen > 0).double().mean(-1) > 0.5)
        local = torch.from_numpy(keypoints_in_wrist(points.numpy(), wrist))
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
        lower, upper = inward_float32(self.hand)
        R = torch.from_numpy(self.hand.T_root_wrist.matrix()[:3, :3])  # targets are in wrist axes, FK in the root's
        return Problem(
            positions=lambda q: self._kinematics(q)[..., :3, 3] @ R,
            jacobian=lambda q: R.T @ self._kinematics.jacobian(q)[..., :3, :],
            terms=self.table.robot,
            lower=lower,
            upper=upper,
        )

    @cached_property
    def _open(self) -> Tensor:
        pose = self.hand.open_pose or (0.0,) * len(self.hand.actuated)
        return torch.tensor(pose, dtype=torch.float64)

    @cached_property
    def _segment_lengths(self) -> Tensor:
        """The robot's own length of every segment, from its open pose, ``(S,)`` metres."""
        points = self._problem.positions(self._open[None])[0]
        ends = self.table.segment_frames
        return torch.stack([(points[outer] - points[inner]).norm() for inner, outer in ends])


def _check_shapes(keypoints: Tensor, confidence: Tensor | None) -> None:
    if keypoints.ndim < 3 or keypoints.shape[-2:] != (21, 3):
        raise ValueError(f"keypoints must be (*b, T, 21, 3), got {tuple(keypoints.shape)}")
    if confidence is not None and confidence.shape != keypoints.shape[:-1]:
        raise ValueError(f"confidence must be {tuple(keypoints.shape[:-1])}, got {tuple(confidence.shape)}")
