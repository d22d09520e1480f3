"""``egoscale export``: a dataset in the format of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


def lerobot(
    dataset: Positional[str],
    out: Positional[Path],
    *,
    action_set: str | None = None,
    images: Literal["video", "jpeg", "none"] = "video",
    codec: Literal["av1", "h264"] = "av1",
    fps: int | None = None,
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Write a dataset as LeRobot v3.0, which the published lerobot package loads.

    Rows are absolute, at equal distances in time; where recorded stamps are not, rows are interpolated. OUT appears
    whole, or not at all. egoscale import lerobot reads it again without a flag.

    Examples:
        egoscale export lerobot robot.zarr robot_lerobot
        egoscale export lerobot people.zarr out --action-set wave --images jpeg

    Args:
        dataset: A dataset, e.g. robot.zarr.
        out: The folder to create.
        action_set: Which actions, where there are several sets.
        images: Pictures as videos, as JPEG in the parquet files (byte for byte, larger), or none.
        codec: Of videos. LeRobot's own tools join av1 only; h264 is faster to decode.
        fps: Rows per second; by default the dataset's own, rounded.
        json: Print JSON: dataset, out, episodes, rows, resampled.
        quiet: No progress, no messages.
    """
    from dataclasses import asdict

    from egoscale_sdk.cli.console import emit, progress_bar, say, user_path
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.exporters.lerobot import LeRobotExport, export_lerobot
    from egoscale_sdk.errors import check_range

    if fps is not None:
        check_range("--fps", fps, 1, 1000)
    opened, folder = Dataset.open(dataset), user_path(out)
    with progress_bar("export", quiet=quiet) as progress:
        summary = export_lerobot(opened, folder, LeRobotExport(action_set, images, codec, fps), progress)
    if summary.resampled:
        note = f"note: rows of {summary.resampled} of {summary.episodes} episodes were interpolated to equal distances"
        say(note, quiet=quiet)
    emit(
        {"dataset": dataset, "out": str(folder), **asdict(summary)},
        as_json=json,
        text=f"{folder}: LeRobot v3.0, {summary.episodes} episodes of {summary.rows} rows",
    )
