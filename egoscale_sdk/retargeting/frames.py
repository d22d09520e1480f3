"""What is computed frame by frame around the solver, whoever runs it: torch as it is, or kernels made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from egoscale_sdk.retargeting.canonical import CanonicalHand, bone_lengths, bone_readings, canonical_hand, turned_onto
from egoscale_sdk.retargeting.clips import finite
from egoscale_sdk.retargeting.engine import Engine
from egoscale_sdk.retargeting.goals import Correspondence, Goals, Person, goals, proportions
from egoscale_sdk.retargeting.kernels import sweeps
from egoscale_sdk.retargeting.kernels.native import Framewise
from egoscale_sdk.retargeting.kernels.trace import Function
from egoscale_sdk.retargeting.terms import Target, Term
from egoscale_sdk.retargeting.trajectory import misfit
from egoscale_sdk.specs import Side


@dataclass
class Frames:
    """Reads a person's hand, says what it wants of a robot's fingers, and how far they are from it.

    Attributes:
        side: Of both hands.
        engine: The robot's hand.
        own: Which keypoints it follows.
        terms: What it makes of them.
        target: See `KeypointRetargeter`.
    """

    side: Side
    engine: Engine
    own: Correspondence
    terms: tuple[Term, ...]
    target: Target

    def hand(self, keypoints: Tensor, seen: Tensor, dtype: torch.dtype) -> CanonicalHand:
        """Bring raw keypoints ``(N, 21, 3)`` and confidence ``(N, 21)`` to the wrist frame; see `canonical_hand`."""
        return CanonicalHand(*self._hand[dtype](keypoints, seen))

    def bones(self, keypoints: Sequence[Tensor], seen: Sequence[Tensor]) -> Tensor:
        """Lengths of the bones ``(20, M)``, float64, of motions from raw keypoints ``(n, 21, 3)`` of some frames."""
        counts = [len(part) for part in keypoints]
        lengths, weights = self._bones(torch.cat(list(keypoints)), torch.cat(list(seen)))
        if self.engine.native and sweeps.available():
            found, ends = torch.empty(len(lengths), len(counts), dtype=torch.float64), torch.tensor(counts).cumsum(0)
            sweeps.call("medians", lengths, weights, ends, found, *found.shape, lengths.shape[1])
            return found
        parts = zip(torch.split(lengths, counts, dim=1), torch.split(weights, counts, dim=1), strict=True)
        return torch.stack([bone_lengths(*part) for part in parts], dim=-1)

    def steadied(self, hand: CanonicalHand, palm: Tensor) -> tuple[CanonicalHand, Person]:
        """Turn hands onto palms ``(5, 3, N)``, see `turned_onto`; and the person's proportions in every frame."""
        points, *person = self._steadied(hand.points, hand.seen, palm)
        return CanonicalHand(points, hand.seen, hand.valid), Person(*person)

    def goals(self, hand: CanonicalHand, person: Person) -> Goals:
        """See `goals.goals`; the person is given for every frame."""
        return Goals(*self._goals(hand.points, hand.seen, person.size, person.scale))

    def misfit(self, wanted: Goals, u: Tensor) -> Tensor:
        """See `trajectory.misfit`."""
        return self._misfit(*wanted.tensors(), u)[0]

    @cached_property
    def _hand(self) -> dict[torch.dtype, Function]:
        def read(dtype: torch.dtype) -> Function:
            def hand(keypoints: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                made = canonical_hand(*finite(keypoints, seen), self.side, dtype)
                return made.points, made.seen, made.valid

            return self._run(hand, 0, 0)

        return {dtype: read(dtype) for dtype in (torch.float32, torch.float64)}

    @cached_property
    def _bones(self) -> Function:
        def bones(keypoints: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
            lengths, weights = bone_readings(canonical_hand(*finite(keypoints, seen), self.side, torch.float64))
            return lengths, weights.float()  # as they were given

        return self._run(bones, 0, 0)

    @cached_property
    def _steadied(self) -> Function:
        def steadied(points: Tensor, seen: Tensor, palm: Tensor) -> tuple[Tensor, ...]:
            hand = turned_onto(palm, CanonicalHand(points, seen, seen[0] > 0))
            person = proportions(self.own, *bone_readings(hand))
            return hand.points, person.size, person.scale

        return self._run(steadied, *[-1] * 3)

    @cached_property
    def _goals(self) -> Function:
        def wanted(points: Tensor, seen: Tensor, *person: Tensor) -> tuple[Tensor, ...]:
            hand = CanonicalHand(points, seen, seen[0] > 0)
            found = goals(self.own, self.terms, self.target, hand, Person(*person))
            return *found.tensors(), found.sure

        return self._run(wanted, *[-1] * 4)

    @cached_property
    def _misfit(self) -> Function:
        def apart(vectors: Tensor, weights: Tensor, pinch: Tensor, pinch_weights: Tensor, u: Tensor) -> list[Tensor]:
            wanted = Goals(vectors, weights, pinch, pinch_weights, weights[0])
            return [misfit(self.engine, self.terms, wanted, u)]

        return self._run(apart, *[-1] * 5)

    def _run(self, function: Function, *frames: int) -> Function:
        return Framewise(function, frames) if self.engine.native else function
