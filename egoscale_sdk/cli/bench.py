"""``egoscale dataset bench``: how fast a dataset is read on this machine."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg


def bench(
    dataset: Positional[str],
    *,
    action_set: str | None = None,
    batch_size: int = 64,
    steps: int = 50,
    threads: int = 2,
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Load a dataset as training does, and say how near that is to what its JPEGs alone take to decode.

    Everything is read once; a second run finds it in memory. From an object store neighbours are read together.

    Examples:
        egoscale dataset bench people.zarr
        egoscale dataset bench s3://bucket/people.zarr --steps 200 --threads 8

    Args:
        dataset: A dataset, e.g. people.zarr.
        action_set: Which set, where there are several.
        batch_size: Windows of a batch.
        steps: Batches to load.
        threads: Batches that are worked on at once.
        json: Print JSON: samples_per_s, share_of_decode_ceiling, gets_per_sample and what they come from.
        quiet: No progress.
    """
    from egoscale_sdk.cli.console import emit, progress_bar
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.bench import as_text, bench_dataset
    from egoscale_sdk.errors import EgoscaleError

    if min(batch_size, steps, threads) < 1:
        raise EgoscaleError("--batch-size, --steps and --threads are positive numbers")
    with progress_bar("bench", quiet=quiet) as progress:
        report = bench_dataset(
            Dataset.open(dataset),
            action_set,
            batch_size=batch_size,
            steps=steps,
            threads=threads,
            progress=progress,
        )
    emit(report, as_json=json, text=as_text(report))
