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

    from egoscale_sdk.cli.console import emit, progress_bar, say
    from egoscale_sdk.errors import check_range
    from egoscale_sdk.host import default_host
    from egoscale_sdk.sim.generate import generate
    from egoscale_sdk.sim.lerobot_writer import robot_type

    for flag, value, low in (("-n", episodes, 1), ("--seed", seed, 0), ("--workers", workers, 1)):
        check_range(flag, value, low)
    check_range("--image-px", image_px, 8, 2048)
    spec = default_host().spec(embodiment)
    importer = "keypoints" if spec.kind == "human" else "lerobot"
    if importer == "lerobot" and robot_type(spec, side) not in {layout.robot_type for layout in spec.recordings}:
        text = f"{spec.id} has no [[recordings]] table for {robot_type(spec, side)!r}: importing this needs one"
        say(f"note: {text} (docs/importers.md)", quiet=quiet)
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
    emit(
        {"folder": folder, "embodiment": spec.id, "episodes": made.episodes, "rows": made.rows, "seed": seed},
        as_json=json,
        text=f"{folder}: {made.episodes} episodes, {made.rows} rows; next: egoscale import {importer} {folder} D.zarr",
    )
