"""``egoscale dataset stats``: how the columns of a dataset are distributed, as stored or as a policy sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.sketch import QuantileSketch
    from egoscale_sdk.progress import Progress
    from egoscale_sdk.specs import RowLayout

NUMBERS = ("mean", "std", "min", "q01", "q50", "q99", "max")


def stats(
    dataset: Positional[str],
    *,
    action_set: str | None = None,
    horizon: int | None = None,
    chunk_dt: float | None = None,
    stride: int = 1,
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Show count, mean, standard deviation, range and quantiles of every column, over valid rows only.

    Without --horizon those of the absolute rows as stored; with it those of the chunks that a policy is trained on:
    wrists relative to the measured one, for every step. The latter are kept in the dataset's cache, for training too.

    Examples:
        egoscale dataset stats robot.zarr
        egoscale dataset stats people.zarr --action-set acme --horizon 16 --chunk-dt 0.05
        egoscale dataset stats robot.zarr --json | jq '.arrays.action[] | select(.std < 0.001) | .column'

    Args:
        dataset: A dataset, e.g. robot.zarr.
        action_set: Which set, where there are several.
        horizon: Steps of a chunk.
        chunk_dt: Seconds a step; needed with --horizon.
        stride: Rows from one window to the next.
        json: Print JSON: dataset, version, embodiment, action_set, horizon, chunk_dt_s, arrays.
        quiet: No progress.
    """
    from egoscale_sdk.cli.console import emit, progress_bar
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.absolute import column_table
    from egoscale_sdk.errors import EgoscaleError, check_range

    for flag, value, least in (("--horizon", horizon, 1), ("--chunk-dt", chunk_dt, 1e-4), ("--stride", stride, 1)):
        if value is not None:
            check_range(flag, value, least, 1e6)
    if (horizon is None) != (chunk_dt is None):
        raise EgoscaleError("--horizon and --chunk-dt are given together", hint="e.g. --horizon 16 --chunk-dt 0.05")
    opened = Dataset.open(dataset)
    chosen = opened.action_set(action_set)
    with progress_bar("stats", quiet=quiet) as progress:
        sketches = _sketches(opened, chosen.name, horizon, chunk_dt, stride, progress)
    arrays = {name: column_table(sketch, layout) for name, (sketch, layout) in sketches.items()}
    emit(
        {
            "dataset": dataset,
            "version": opened.version,
            "embodiment": opened.declaration.embodiment,
            "action_set": chosen.name,
            "horizon": horizon,
            "chunk_dt_s": chunk_dt,
            "arrays": arrays,
        },
        as_json=json,
        text="\n\n".join(f"{name} of {dataset} ({chosen.name})\n{_table(rows)}" for name, rows in arrays.items()),
    )


def _sketches(
    dataset: Dataset, name: str, horizon: int | None, chunk_dt: float | None, stride: int, progress: Progress
) -> dict[str, tuple[QuantileSketch, RowLayout]]:
    from egoscale_sdk.data import WindowDataset, relative_statistics
    from egoscale_sdk.data.absolute import absolute_statistics

    native = dataset.declaration.native.layout
    if horizon is None or chunk_dt is None:
        layouts = {"action": dataset.action_set(name).layout, "state": native}
        found = absolute_statistics(dataset, name, progress)
        return {key: (sketch, layouts[key]) for key, sketch in found.items()}
    windows = WindowDataset(dataset, horizon, chunk_dt, name, cameras=(), stride=stride)
    relative = relative_statistics(windows, progress)
    sketches = {"chunk": (relative.chunk, relative.layout)}
    return sketches | ({"state": (relative.state, native)} if dataset.declaration.has_state else {})


def _table(rows: list[dict[str, Any]]) -> str:
    """Lay columns out; of a chunk the first, middle and last step."""
    last = max((row["step"] or 0 for row in rows), default=0)
    shown = [row for row in rows if row["step"] in (None, 0, last // 2, last)]
    header = ("column", "step", "unit", "count", *NUMBERS)
    cells = [
        [row["column"], _step(row), row["unit"], str(row["count"]), *(_number(row[n]) for n in NUMBERS)]
        for row in shown
    ]
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    lines = (
        "  ".join(cell.ljust(width) if i in (0, 2) else cell.rjust(width) for i, (cell, width) in enumerate(pairs))
        for pairs in ([*zip(line, widths, strict=True)] for line in [list(header), *cells])
    )
    return "\n".join(line.rstrip() for line in lines)


def _step(row: dict[str, Any]) -> str:
    return "" if row["step"] is None else str(row["step"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
