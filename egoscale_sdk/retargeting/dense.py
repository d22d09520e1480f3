"""Hands of any structure: fingers that share joints or branch. Slower than chains, and otherwise the same problem."""

from __future__ import annotations

import torch
from torch import Tensor

from egoscale_sdk.geometry import inverse_pose
from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.retargeting.chains import LEVER_M
from egoscale_sdk.retargeting.clips import float32_limits
from egoscale_sdk.retargeting.engine import UNBOUNDED_RAD, Engine
from egoscale_sdk.retargeting.goals import Goals
from egoscale_sdk.retargeting.quality import thumb_first
from egoscale_sdk.retargeting.terms import HELD, HUBER_M, MAX_STEP, Term
from egoscale_sdk.specs import HandSpec

CHUNK = 512  # frames solved at once: what fits in the cache


class DenseEngine(Engine):
    """All joints of the hand as one group of variables, ``(J, 1, N)``; steps as `ArrowStep`, by dense algebra."""

    def __init__(self, hand: HandSpec, terms: tuple[Term, ...]) -> None:
        assert hand.tree is not None
        fingers = thumb_first(hand)
        self._frames = tuple(dict.fromkeys(target.frame for finger in fingers for target in finger.frames))
        P = max(len(finger.frames) for finger in fingers)
        padded = [[finger.frames[0]] * (P - len(finger.frames)) + list(finger.frames) for finger in fingers]
        self._slots = torch.tensor([[self._frames.index(own[k].frame) for own in padded] for k in range(P)])
        self._kinematics = ForwardKinematics(hand.tree, hand.joints, self._frames, hand.root)
        self._scale = torch.tensor([LEVER_M if joint.unit == "m" else 1.0 for joint in hand.actuated]).double()
        ends = torch.stack(float32_limits(hand)).clamp(-UNBOUNDED_RAD, UNBOUNDED_RAD) / self._scale
        self.bounds = ends[:, :, None, None]
        T = torch.from_numpy(inverse_pose(hand.T_root_wrist.matrix()))
        mirror = torch.tensor([1.0, -1.0 if hand.side == "left" else 1.0, 1.0]).double()
        self._turn, self._origin = mirror[:, None] * T[:3, :3], mirror * T[:3, 3]
        self._rows = self._differences(terms, thumb=fingers[0].role == "thumb")

    def variables(self, joints: Tensor) -> Tensor:
        """See `Engine.variables`."""
        return (joints / self._scale.to(joints)[:, None])[:, None]

    def joints(self, u: Tensor, rest: Tensor) -> Tensor:
        """See `Engine.joints`."""
        return u[:, 0] * self._scale.to(u)[:, None]

    def points(self, u: Tensor) -> Tensor:
        """See `Engine.points`."""
        return self._places(u[:, 0].T)[:, self._slots].permute(1, 3, 2, 0)

    def grouped(self, fingers: Tensor) -> Tensor:
        """See `Engine.grouped`."""
        return fingers.mean(0, keepdim=True)

    def step(self, u: Tensor, goals: Goals, prior: Tensor, rho: Tensor, damping: float) -> Tensor:
        """See `Engine.step`."""
        parts = []
        for start in range(0, u.shape[-1], CHUNK):
            rows = slice(start, start + CHUNK)
            weight = rho[:, 0, rows] if rho.shape[-1] > 1 else rho[:, 0]
            now = u[:, 0, rows]
            parts.append(self._step(now.T, goals.rows(rows), prior[:, 0, rows].T, weight.expand_as(now).T, damping))
        return torch.cat(parts).T[:, None]

    def _step(self, u: Tensor, goals: Goals, prior: Tensor, rho: Tensor, damping: float) -> Tensor:
        wanted = torch.cat([goals.vectors.permute(3, 0, 2, 1).flatten(1, 2), goals.pinch.permute(2, 1, 0)], dim=1)
        weights = torch.cat([goals.weights.permute(2, 0, 1).flatten(1), goals.pinch_weights.T], dim=1)  # (N, rows)
        rows = self._rows.to(u)
        r = rows @ self._places(u) - wanted  # (N, rows, 3)
        bent = r.square().sum(-1)[:, : goals.weights.shape[0] * goals.weights.shape[1]].clamp(min=HUBER_M**2)
        huber = torch.nn.functional.pad(HUBER_M / bent.sqrt(), (0, len(goals.pinch_weights)), value=1.0)
        J = torch.einsum("rf,nfxj->nrxj", rows, self._slopes(u))
        pull = (J * (weights * huber)[..., None, None]).flatten(1, 2)  # (N, 3 rows, J)
        gradient = (pull.mT @ r.flatten(1)[..., None])[..., 0] + rho * (u - prior)
        H = pull.mT @ J.flatten(1, 2)
        lower, upper = self.bounds[:, :, 0, 0].to(u)
        held = ((u <= lower) & (gradient > 0)) | ((u >= upper) & (gradient < 0))
        mean = H.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True)
        H = H + torch.diag_embed(damping * mean + rho + held * HELD)
        delta: Tensor = torch.linalg.solve(H, torch.where(held, 0.0, -gradient))
        return torch.minimum(torch.maximum(u + delta.clamp(-MAX_STEP, MAX_STEP), lower), upper)

    def _places(self, u: Tensor) -> Tensor:
        """Places of the frames ``(N, frames, 3)`` for variables ``(N, J)``."""
        return self._kinematics(u * self._scale.to(u))[..., :3, 3] @ self._turn.to(u).T + self._origin.to(u)

    def _slopes(self, u: Tensor) -> Tensor:
        """Their derivatives, ``(N, frames, 3, J)``."""
        return self._turn.to(u) @ self._kinematics.jacobian(u * self._scale.to(u))[..., :3, :] * self._scale.to(u)

    def _differences(self, terms: tuple[Term, ...], thumb: bool) -> Tensor:
        """Matrix ``(R F + pinches, frames)`` that takes places to the vectors of the terms, then of the pinches."""
        tips = self._slots[-1].tolist()
        pairs = [
            (own[t.outer], None if t.inner is None else own[t.inner]) for t in terms for own in self._slots.T.tolist()
        ]
        pairs += [(tip, tips[0]) for tip in tips[1:]] if thumb else []
        rows = torch.zeros(len(pairs), len(self._frames), dtype=torch.float64)
        for row, (outer, inner) in zip(rows, pairs, strict=True):
            row[outer] += 1
            if inner is not None:
                row[inner] -= 1
        return rows
