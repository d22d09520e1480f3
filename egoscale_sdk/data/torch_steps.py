"""A loader as torch's DataLoader wants it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from egoscale_sdk.data.loader import Loader


class TorchSteps(IterableDataset[Any]):
    """The steps of a loader for ``DataLoader(TorchSteps(loader), batch_size=None, num_workers=...)``.

    The steps and their order are those of the loader, whatever the number of workers: each of W workers reads every
    W-th step, and torch asks its workers in turn. The loader's own threads do without the copies between processes
    that workers cost. The loader's own state does not move while workers read: to go on later, restore it with the
    step that you have come to.
    """

    def __init__(self, loader: Loader[Any]) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        if worker is None:
            return iter(self._loader)
        return iter(self._loader.for_worker(worker.id, worker.num_workers))
