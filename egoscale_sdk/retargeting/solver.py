"""Box-constrained Gauss-Newton over a batch of independent frames.

Minimises, per frame, ``sum_r w_r huber(|A p(q) - t|_r) + prior |q - q_prior|^2`` subject to ``lower <= q <= upper``,
where ``p(q)`` are frame positions, ``A`` differences of them, ``t`` targets. Levenberg-Marquardt damping with
accept/reject per frame; joints that press against a bound are held there (projected Newton, Bertsekas 1982).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egoscale_sdk.retargeting.targets import Targets

HUBER_M = 0.02
Positions = Callable[[Tensor], Tensor]  # q (N, J) -> (N, F, 3)
Jacobian = Callable[[Tensor], Tensor]  # q (N, J) -> (N, F, 3, J)


@dataclass(frozen=True)
class Problem:
    """The hand's part of the optimisation: kinematics, term matrix and bounds."""

    positions: Positions
    jacobian: Jacobian
    terms: Tensor  # (R, F)
    lower: Tensor  # (J,)
    upper: Tensor  # (J,)


@dataclass(frozen=True)
class Prior:
    """A pull towards ``q``, ``(N, J)``, with weight ``(N, 1)`` or a number (metres squared per radian squared)."""

    q: Tensor
    weight: Tensor | float


def solve(problem: Problem, targets: Targets, q: Tensor, prior: Prior, iterations: int) -> Tensor:
    """Return ``(N, J)`` joints after some iterations from ``q``, always within the bounds."""
    q = q.clamp(problem.lower, problem.upper)
    damping = torch.full_like(q[:, :1], 1e-3)
    cost = _cost(problem, targets, q, prior)
    for _ in range(iterations):
        candidate = (q + _step(problem, targets, q, prior, damping)).clamp(problem.lower, problem.upper)
        new_cost = _cost(problem, targets, candidate, prior)
        better = (new_cost < cost)[:, None]
        q = torch.where(better, candidate, q)
        cost = torch.minimum(new_cost, cost)
        damping = torch.where(better, damping * 0.3, damping * 10).clamp(1e-7, 1e2)
    return q


def residuals(problem: Problem, targets: Targets, q: Tensor) -> Tensor:
    """Return the term residuals ``A p(q) - t``, ``(N, R, 3)`` metres."""
    return problem.terms @ problem.positions(q) - targets.vectors


def _cost(problem: Problem, targets: Targets, q: Tensor, prior: Prior) -> Tensor:
    size = residuals(problem, targets, q).norm(dim=-1)
    huber = torch.where(size < HUBER_M, 0.5 * size**2, HUBER_M * (size - 0.5 * HUBER_M))
    return (targets.weights * huber).sum(-1) + 0.5 * (prior.weight * (q - prior.q) ** 2).sum(-1)


def _step(problem: Problem, targets: Targets, q: Tensor, prior: Prior, damping: Tensor) -> Tensor:
    r = residuals(problem, targets, q)  # (N, R, 3)
    weight = targets.weights * (HUBER_M / r.norm(dim=-1).clamp(min=HUBER_M))  # (N, R)
    J = torch.einsum("rf,nfxj->nrxj", problem.terms, problem.jacobian(q))
    rows = J.flatten(1, 2)  # (N, 3R, J)
    weighted = (J * weight[..., None, None]).flatten(1, 2)
    gradient = (weighted.mT @ r.flatten(1)[..., None])[..., 0] + prior.weight * (q - prior.q)
    # damping is relative to the hand's own curvature, so that it means the same for a 5 cm and a 20 cm finger
    curvature = weighted.mT @ rows
    mean = curvature.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True)
    diagonal = (damping * mean + prior.weight + 1e-9).expand_as(q)
    held = ((q <= problem.lower) & (gradient > 0)) | ((q >= problem.upper) & (gradient < 0))
    free = ~held
    hessian = curvature * (free[:, :, None] & free[:, None, :])
    hessian = hessian + torch.diag_embed(torch.where(held, 1.0, diagonal))
    step: Tensor = torch.linalg.solve(hessian, torch.where(held, 0.0, gradient))
    return -step
