"""How fast a dataset is read here, beside the mere decoding of its images, and with how many requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from egoscale_sdk.data.buffers import BufferPool
from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.images import decode_into
from egoscale_sdk.data.loader import Loader
from egoscale_sdk.data.mixture import Mixture
from egoscale_sdk.data.steps import Step
from egoscale_sdk.data.windows import WindowDataset
from egoscale_sdk.progress import Progress, silent

HORIZON = 16
_DECODED = 512


def bench_dataset(
    dataset: Dataset,
    action_set: str | None = None,
    *,
    batch_size: int = 64,
    steps: int = 50,
    threads: int = 2,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Load batches as training does, then only decode images of the dataset, each on ``threads`` threads.

    Returns:
        ``samples_per_s`` (wall clock), ``cpu_us_per_sample``, ``decode_us_per_sample`` (processor time for the images
        of one sample alone), ``share_of_decode_ceiling`` (their ratio) and ``gets_per_sample``; the last three are
        None where there are no images, or where it lies on a disk.
    """
    windows = WindowDataset(dataset, HORIZON, 1 / dataset.declaration.fps, action_set)
    mixture = Mixture([(windows, 1)], batch_size, 0)
    before = _requests(dataset)
    loader: Loader[Step] = Loader(mixture, stop=steps, threads=threads)
    wall, used, seen = time.perf_counter(), time.process_time(), 0
    for number, step in enumerate(loader, 1):
        seen += sum(len(batch) for _, batch in step)
        progress(number, steps, "batches")
    wall, used = time.perf_counter() - wall, time.process_time() - used
    requests = None if before is None else (_requests(dataset) or 0) - before
    decode = _decode_seconds(windows, mixture)
    return {
        "dataset": dataset.where,
        "windows": len(windows),
        "cameras": list(windows.image_sizes),
        "batch_size": batch_size,
        "threads": threads,
        "samples": seen,
        "samples_per_s": seen / wall,
        "cpu_us_per_sample": used / seen * 1e6,
        "decode_us_per_sample": decode * 1e6 if decode else None,
        "share_of_decode_ceiling": decode / (used / seen) if decode else None,
        "gets_per_sample": None if requests is None else requests / seen,
    }


def _requests(dataset: Dataset) -> int | None:
    return getattr(dataset.store, "requests", None) if dataset.store.local is None else None


def _decode_seconds(windows: WindowDataset, mixture: Mixture) -> float:
    """Processor time for decoding the images of one sample into a batch that is there."""
    pool, total, samples = BufferPool(), 0.0, 0
    for step in range(max(1, _DECODED // mixture.batch_size)):
        ((_, chosen),) = mixture.indices(step)
        samples += len(chosen)
        for size, jpegs in _jpegs(windows, chosen):
            out = pool((len(jpegs), *size, 3))
            began = time.process_time()
            for data, image in zip(jpegs, out, strict=True):
                decode_into(data, image)
            total += time.process_time() - began
    return total / samples


def _jpegs(windows: WindowDataset, chosen: np.ndarray[Any, Any]) -> Iterator[tuple[tuple[int, int], list[Any]]]:
    dataset, at = windows.dataset, windows.standing(chosen)
    paths = [dataset.index.segments[number] for number in windows.segment_of(at.episode).tolist()]
    for camera, size in windows.image_sizes.items():
        found = [dataset.segment(path).jpeg(camera, row) for path, row in zip(paths, at.row.tolist(), strict=True)]
        yield size, [data for data in found if data is not None]


def as_text(report: dict[str, Any]) -> str:
    """Lay a report out for people."""
    lines = [
        f"{report['dataset']}: {report['windows']} windows, cameras {', '.join(report['cameras']) or 'none'}",
        f"  {report['samples_per_s']:.0f} samples/s, batches of {report['batch_size']} on {report['threads']} threads",
        f"  {report['cpu_us_per_sample']:.0f} us of processor time per sample",
    ]
    if report["share_of_decode_ceiling"]:
        lines[-1] += (
            f", {report['decode_us_per_sample']:.0f} us for the JPEGs alone: "
            f"{report['share_of_decode_ceiling']:.0%} of the decoder's speed"
        )
    if report["gets_per_sample"] is not None:
        lines.append(f"  {report['gets_per_sample']:.3f} requests per sample")
    return "\n".join(lines)
