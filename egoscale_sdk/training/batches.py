"""From windows of datasets to normalised groups for the policy, read ahead in threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egoscale_sdk.data import Batch, Loader, Mixture, Statistics
from egoscale_sdk.data.steps import Step
from egoscale_sdk.policy.normalise import normalise_columns
from egoscale_sdk.policy.vla import GroupBatch
from egoscale_sdk.training.sources import Source

Part = list[tuple[int, GroupBatch]]
"""Groups that pass the policy together, each with the number of its source."""


def to_group(batch: Batch, source: Source, statistics: Statistics, clip: float, device: torch.device) -> GroupBatch:
    """Normalise a batch of one source; a state of another body than the actions' is masked."""
    chunk = normalise_columns(statistics.chunk(batch.layout), batch.layout, batch.chunk, batch.mask, clip)
    known = batch.state_mask & source.measured
    state = np.zeros_like(batch.state)
    if source.measured:
        state = normalise_columns(
            statistics.state(batch.embodiment), batch.state_layout, batch.state, batch.state_mask, clip
        )

    def tensor(values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    return GroupBatch(
        embodiment=batch.embodiment,
        layout=batch.layout,
        images={name: tensor(image) for name, image in batch.images.items()},
        image_mask={name: tensor(mask) for name, mask in batch.image_mask.items()},
        prompts=batch.prompts,
        state=tensor(state),
        state_mask=tensor(known),
        chunk=tensor(chunk),
        mask=tensor(batch.mask),
    )


class Feeder:
    """Yields the parts of each step: the step's windows, dealt out over processes and micro batches.

    What a step holds is a function of the mixture's seed and the step alone.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        mixture: Mixture,
        statistics: Statistics,
        clip: float,
        device: torch.device,
        *,
        rank: int = 0,
        ranks: int = 1,
        parts: int = 1,
        threads: int = 2,
        on_damage: Literal["raise", "skip"] = "raise",
    ) -> None:
        self._sources, self._mixture, self._statistics = sources, mixture, statistics
        self._clip, self._device, self._parts = clip, device, parts
        self._rank, self._ranks, self._threads, self._on_damage = rank, ranks, threads, on_damage

    def steps(self, start: int, stop: int) -> Iterator[list[Part]]:
        """Yield the parts of steps ``[start, stop)``; the next ones are read while one is worked on."""
        return iter(
            Loader(
                self._mixture,
                rank=self._rank,
                ranks=self._ranks,
                start=start,
                stop=stop,
                threads=self._threads,
                on_damage=self._on_damage,
                transform=self._to_parts,
            )
        )

    def _to_parts(self, step: Step) -> list[Part]:
        parts: list[Part] = [[] for _ in range(self._parts)]
        dealt = 0
        for number, batch in step:
            for turn, part in enumerate(parts):
                own = batch.every((turn - dealt) % self._parts, self._parts)
                if len(own):
                    part.append((number, self._group(number, own)))
            dealt += len(batch)
        return parts

    def _group(self, number: int, batch: Batch) -> GroupBatch:
        return to_group(batch, self._sources[number], self._statistics, self._clip, self._device)
