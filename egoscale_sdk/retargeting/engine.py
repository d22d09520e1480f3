"""The hand's part of the optimisation behind one small interface, whatever its structure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import torch
from torch import Tensor

from egoscale_sdk.retargeting.arrow import ArrowStep
from egoscale_sdk.retargeting.backends import COMPILED_CHUNK, EAGER_CHUNK, Step, compiled_step
from egoscale_sdk.retargeting.chains import Chains
from egoscale_sdk.retargeting.clips import UNBOUNDED_RAD, float32_limits
from egoscale_sdk.retargeting.goals import Goals
from egoscale_sdk.retargeting.kernels.native import Framewise
from egoscale_sdk.retargeting.terms import Term
from egoscale_sdk.specs import HandSpec


class Engine(ABC):
    """Takes variables ``(K, F, N)`` one Gauss-Newton step further; groups F of variables are solved side by side."""

    bounds: Tensor
    """``(2, K, F, 1)`` float64, exact in float32."""
    native = False
    """Whether what goes through time is compiled, too."""
    _kernel: Framewise | None = None

    def kernels(self) -> Self:
        """The same engine with its step as a kernel for the CPU, where that is possible."""
        self.native, self._kernel = True, Framewise(self.in_chunks, (*[-1] * 7, None))
        return self

    @abstractmethod
    def variables(self, joints: Tensor) -> Tensor:
        """Variables ``(K, F, N)`` of joints ``(J, N)``."""

    @abstractmethod
    def joints(self, u: Tensor, rest: Tensor) -> Tensor:
        """Joints ``(J, N)`` of variables; joints that move no followed frame are taken from ``rest (J, N)``."""

    @abstractmethod
    def points(self, u: Tensor) -> Tensor:
        """Places of the slots ``(P, 3, F, N)`` in the wrist frame of a right hand, metres."""

    def step(self, u: Tensor, goals: Goals, prior: Tensor, rho: Tensor, damping: float) -> Tensor:
        """Return the next variables; see `ArrowStep`."""
        given = (u, *goals.tensors(), prior, rho.expand(*rho.shape[:-1], u.shape[-1]), u.new_tensor(damping))
        return self._kernel(*given)[0] if self._kernel else self.in_chunks(*given)

    @abstractmethod
    def in_chunks(self, *given: Tensor) -> Tensor:
        """The step on some frames after the other; ``given`` is u, the goals, prior, rho and damping."""

    @abstractmethod
    def grouped(self, fingers: Tensor) -> Tensor:
        """Values per group of variables, of values per finger ``(F, N)``."""


class FingerEngine(Engine):
    """Fingers as chains, solved by `ArrowStep` in chunks of frames."""

    def __init__(self, hand: HandSpec, chains: Chains, terms: tuple[Term, ...], chunk: int = EAGER_CHUNK) -> None:
        self._step, self._chunk = ArrowStep(chains, terms), chunk
        self._run: Step = self._step
        columns = torch.from_numpy(chains.columns)
        self._columns, self._real = columns.clamp(min=0), (columns >= 0)[..., None]
        self._scale = torch.from_numpy(chains.scale)[..., None]
        self._found = columns.numel() + torch.arange(len(hand.actuated))  # of each joint: its variable, or itself
        self._found[columns[columns >= 0]] = torch.arange(columns.numel()).reshape(columns.shape)[columns >= 0]
        ends = torch.stack(float32_limits(hand)).clamp(-UNBOUNDED_RAD, UNBOUNDED_RAD)
        bounds = ends[:, self._columns][..., None] / self._scale
        self.bounds = torch.where(self._real, bounds, 0.0)

    def compiled(self) -> FingerEngine:
        """The same engine with its step compiled, where that is possible."""
        self._run, self._chunk = compiled_step(self._step), COMPILED_CHUNK
        return self

    def variables(self, joints: Tensor) -> Tensor:
        """See `Engine.variables`."""
        return torch.where(self._real, joints[self._columns] / self._scale.to(joints), 0.0)

    def joints(self, u: Tensor, rest: Tensor) -> Tensor:
        """See `Engine.joints`."""
        values = (u * self._scale.to(u)).flatten(0, 1)
        return torch.cat([values, rest.expand(-1, u.shape[-1])])[self._found]

    def points(self, u: Tensor) -> Tensor:
        """See `Engine.points`."""
        pose = self._step.pose(self._step.constants(u), u)
        return torch.stack([torch.stack(point) for point in pose.points])

    def in_chunks(self, *given: Tensor) -> Tensor:
        """See `Engine.in_chunks`."""
        *framewise, damping = given
        u = framewise[0]
        constants, bounds = self._step.constants(u), self.bounds.to(u)

        def run(start: int) -> Tensor:
            now, *rest, rho = (part[..., start : start + self._chunk] for part in framewise)
            return self._run(constants, now, bounds, *rest, rho.expand_as(now), damping)

        starts = range(0, u.shape[-1], self._chunk)
        threads = min(torch.get_num_threads(), len(starts))
        if threads < 2 or not u.is_cpu or any(part.requires_grad for part in given):
            return torch.cat([run(start) for start in starts], dim=-1)
        # chunks side by side: one is too small for torch to share its operations out among threads
        with ThreadPoolExecutor(threads, initializer=torch.set_grad_enabled, initargs=(False,)) as pool:
            return torch.cat(list(pool.map(run, starts)), dim=-1)

    def grouped(self, fingers: Tensor) -> Tensor:
        """See `Engine.grouped`."""
        return fingers
