"""From windows of datasets to normalised groups for the policy, read ahead in a thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egoscale_sdk.data import Batch, Mixture, Statistics
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
    ) -> None:
        self._sources, self._mixture, self._statistics = sources, mixture, statistics
        self._clip, self._device = clip, device
        self._rank, self._ranks, self._parts = rank, ranks, parts

    def steps(self, start: int, stop: int) -> Iterator[list[Part]]:
        """Yield the parts of steps ``[start, stop)``; the next step is read while one is worked on."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            pending = reader.submit(self._read, start)
            for step in range(start, stop):
                ready = pending.result()
                if step + 1 < stop:
                    pending = reader.submit(self._read, step + 1)
                yield ready

    def _read(self, step: int) -> list[Part]:
        windows = [(number, index) for number, indices in self._mixture.indices(step) for index in indices.tolist()]
        shares = self._ranks * self._parts
        return [self._part(windows[self._rank * self._parts + part :: shares]) for part in range(self._parts)]

    def _part(self, windows: list[tuple[int, int]]) -> Part:
        numbers = sorted({number for number, _ in windows})
        return [(number, self._group(number, [index for n, index in windows if n == number])) for number in numbers]

    def _group(self, number: int, indices: list[int]) -> GroupBatch:
        source = self._sources[number]
        return to_group(source.windows.batch(indices), source, self._statistics, self._clip, self._device)
