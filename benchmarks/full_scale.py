"""A dataset of the paper's size: open it, index it, shuffle an epoch, resume in its middle; seconds and memory.

``python benchmarks/sparse.py DST.zarr --hours 20854 --segments-per-commit 20`` makes one. The first run on it finds
where windows may stand; later runs map what that one kept. Resuming is done by a new process, from nothing but the path
and the state of the loader that stopped.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from egoscale_sdk.data import Batch, Blocks, Dataset, Loader, Mixture, WindowDataset
from egoscale_sdk.data.order import Permutation

BATCH, STEPS = 64, 2000
KINDS = {"random": Blocks(block=1), "blocks": Blocks()}
report: dict[str, float] = {}


@contextmanager
def timed(name: str) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    report[f"{name}_s"], report[f"{name}_cpu_s"] = time.perf_counter() - wall, time.process_time() - processor


def peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def mark(batches: Iterator[list[tuple[int, Batch]]]) -> str:
    """Digest of the next three batches."""
    found = hashlib.sha256()
    for _ in range(3):
        for _, batch in next(batches):
            for values in (batch.time_ns, batch.chunk, batch.mask, batch.state, *batch.images.values()):
                found.update(np.asarray(values).tobytes())
    return found.hexdigest()


def loader(windows: WindowDataset, blocks: Blocks, start: int = 0) -> Loader[list[tuple[int, Batch]]]:
    return Loader(Mixture([(windows, 1)], BATCH, 0, blocks), start=start, threads=1, ahead=0)


def shuffle(windows: WindowDataset, name: str, blocks: Blocks) -> None:
    """First batch of an epoch, what drawing costs, and whether a new process goes on in the middle alike."""
    with timed(f"{name}_first_batch"):
        next(iter(loader(windows, blocks)))
    mixture, began = Mixture([(windows, 1)], BATCH, 0, blocks), time.process_time()
    drawn = np.concatenate([mixture.indices(step)[0][1] for step in range(STEPS)])
    report[f"{name}_order_us_per_sample"] = (time.process_time() - began) / len(drawn) * 1e6
    assert len(np.unique(drawn)) == len(drawn), "a window is drawn twice"
    running = loader(windows, blocks, len(windows) // BATCH // 2)
    batches = iter(running)
    next(batches)
    state = json.dumps(running.state())
    expected, began = mark(batches), time.perf_counter()
    command = [sys.executable, __file__, windows.dataset.where, name, state]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found.pop("mark") == expected, "resuming gave other batches"
    report.update({f"{name}_resume_{key}": value for key, value in found.items()})
    report[f"{name}_resume_with_start_of_python_s"] = time.perf_counter() - began


def resume(path: str, name: str, state: str) -> None:
    """Go on where another process stopped; print what that took, and what came."""
    with timed("three_batches"):
        resumed = loader(WindowDataset(Dataset.open(path), 16, 1 / 30), KINDS[name])
        resumed.restore(json.loads(state))
        found = mark(iter(resumed))
    print(json.dumps(report | {"mark": found, "peak_mb": peak_mb()}))


def main(path: str) -> None:
    with timed("open"):
        dataset = Dataset.open(path)
        episodes = len(dataset.index)
    known = any((dataset.cache / "index").glob("windows-*.npy"))
    with timed("index_again" if known else "index"):
        windows = WindowDataset(dataset, 16, 1 / 30)
    report.update(index_peak_mb=peak_mb(), hours=len(windows) / 30 / 3600, windows=len(windows), episodes=episodes)
    with timed("all_blocks_of_an_epoch"):
        permutation = Permutation(len(windows) // Blocks().block, 0)
        seen = np.zeros(permutation.size, bool)
        for first in range(0, permutation.size, 2**18):
            seen[permutation(np.arange(first, min(first + 2**18, permutation.size)))] = True
    assert seen.all(), "a block is not drawn"
    for name, kind in KINDS.items():
        shuffle(windows, name, kind)
    print(json.dumps({name: round(value, 3) for name, value in report.items()} | {"peak_mb": round(peak_mb())}))


if __name__ == "__main__":
    resume(*sys.argv[1:]) if len(sys.argv) > 2 else main(sys.argv[1])
