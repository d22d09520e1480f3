"""``egoscale simulate``: demonstrations of the grasp task, by a simulated person or by a robot hand they lead."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from egoscale_sdk.specs import Side


def simulate(
    embodiment: Positional[str],
    folder: Positional[str],
    episodes: Annotated[int, arg(aliases=["-n"])] = 300,
    side: Side = "right",
    seed: int = 0,
    image_px: int = 64,
    workers: int = 2,
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Record demonstrations of a grasp in MuJoCo: of a person, or of a robot hand that a person leads.

    A person gives keypoints, a moving head camera and pictures in the exchange form (import: keypoints); a robot hand
    gives commands, measured joints and pictures as a LeRobot dataset (import: lerobot). The object's place, the start
    pose and the camera differ in every episode.

    Examples:
        egoscale simulate human/hands people --episodes 300
        egoscale simulate acme/hand robot -n 300 --seed 1

    Args:
        embodiment: Whose hand does it; without @N the highest installed.
        folder: New or empty folder for the recordings.
        episodes: How many.
        side: Which hand.
        seed: Another seed gives other episodes; the same seed the same ones, on any number of workers.
        image_px: Height and width of the pictures.
        workers: Processes.
        json: Print a summary as JSON.
        quiet: No progress.
    """
    from pathlib import Path

    from egoscale_sdk.cli.console import emit, progress_bar
    from egoscale_sdk.host import default_host
    from egoscale_sdk.sim.generate import generate

    spec = default_host().spec(embodiment)
    with progress_bar(f"simulate {spec.id}", quiet=quiet) as progress:
        made = generate(
            spec,
            Path(folder),
            episodes,
            side=side,
            seed=seed,
            image_px=image_px,
            workers=workers,
            progress=progress,
        )
    importer = "keypoints" if spec.kind == "human" else "lerobot"
    emit(
        {"folder": folder, "embodiment": spec.id, "episodes": made.episodes, "rows": made.rows, "seed": seed},
        as_json=json,
        text=f"{folder}: {made.episodes} episodes, {made.rows} rows; next: egoscale import {importer} {folder} D.zarr",
    )
