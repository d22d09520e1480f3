"""``egoscale run``: a checkpoint drives a robot, a simulation or a replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from tyro.conf import Positional, arg


def run(
    checkpoint: Positional[str],
    driver: str = "mujoco",
    settings: Annotated[tuple[str, ...], arg(name="set", metavar="NAME=VALUE")] = (),
    dataset: str | None = None,
    action_set: str | None = None,
    embodiment: str | None = None,
    episodes: Annotated[int, arg(aliases=["-n"])] = 20,
    seed: int = 0,
    prompt: str | None = None,
    execute: int = 8,
    samples: int = 4,
    baselines: bool = False,
    out: str | None = None,
    films: int = 2,
    seconds: float = 60.0,
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Drive a hand closed loop with a checkpoint, within the limits of its spec.

    What is driven follows from the dataset's action set, or else from the driver, or else from the checkpoint if it
    can drive one robot only. In the simulation every episode is a new scene that no demonstration showed; the policy
    sees the camera, the measured hand and the instruction, never where the object is.

    Examples:
        egoscale run CHECKPOINT --dataset robot.zarr --driver mujoco -n 20 --baselines
        egoscale run CHECKPOINT --dataset robot.zarr --driver mujoco --out results --json
        egoscale run CHECKPOINT --dataset robot.zarr --driver replay -n 2
        egoscale run CHECKPOINT --driver acme --set port=/dev/ttyUSB0 --seconds 30

    Args:
        checkpoint: Folder of a trained policy.
        driver: mujoco, replay, or a robot's driver.
        settings: What the driver's factory is told, e.g. port=/dev/ttyUSB0 baud=115200; values are read as JSON.
        dataset: Dataset whose action set says what is driven; the replay plays it, the mean baseline is of it.
        action_set: Which of the dataset's action sets, if several are a robot's.
        embodiment: Id of what is driven, if neither dataset nor driver say it.
        episodes: How many, in the simulation or of the recording.
        seed: Episode i has the scene and the noise of seed + i.
        prompt: The instruction; by default the task's own.
        execute: Steps of each chunk to carry out before asking again.
        samples: Chunks that are sampled and averaged.
        baselines: Also run the untrained policy, the trained one without a camera, and the mean demonstration.
        out: Folder for run.json and the pictures.
        films: Episodes of each kind to keep pictures of, if there is a folder for them.
        seconds: How long to drive a robot.
        json: Print the results as JSON.
        quiet: No progress.
    """
    from pathlib import Path

    import torch

    from egoscale_sdk.cli.console import emit, say
    from egoscale_sdk.errors import check_range
    from egoscale_sdk.host import default_host
    from egoscale_sdk.runtime.rollout import Task
    from egoscale_sdk.runtime.session import Session, Settings

    for flag, value, low in (
        ("-n", episodes, 1),
        ("--samples", samples, 1),
        ("--execute", execute, 1),
        ("--seed", seed, 0),
        ("--films", films, 0),
    ):
        check_range(flag, value, low)
    check_range("--seconds", seconds, 0.1, 86400)
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # a chunk of a small policy is done before a second thread has woken up
    asked = Settings(driver, dataset, action_set, embodiment or "", prompt, execute, samples, driver_settings(settings))
    session = Session.open(checkpoint, asked, default_host())
    for note in session.notes:
        say(f"note: {note}", quiet=quiet)
    result: dict[str, Any] = {"checkpoint": checkpoint, "embodiment": session.trained.id, "driver": driver}
    result |= {
        "prompt": session.prompt,
        "seed": seed,
        "execute": min(execute, session.policy.horizon),
        "samples": samples,
    }
    if isinstance(session.driver, Task):
        result |= _task(session, episodes, seed, baselines, Path(out) if out else None, films, quiet)
    elif driver == "replay":
        result |= _replay(session, episodes, quiet)
    else:
        result |= _robot(session, seconds, quiet)
    emit(result, as_json=json, text=_text(result))


def driver_settings(pairs: Sequence[str]) -> dict[str, str | int | float | bool]:
    """Read ``name=value`` pairs; a value that is a number, true, false or a quoted text in JSON is read as that.

    Raises:
        EgoscaleError: a pair has no ``=``, or its name is none that Python could take.
    """
    from json import loads

    from egoscale_sdk.errors import EgoscaleError

    found: dict[str, str | int | float | bool] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise EgoscaleError(f"is {pair!r}", where="--set", allowed=["name=value"])
        try:
            value = loads(text)
        except ValueError:
            value = text
        found[name] = value if isinstance(value, str | int | float | bool) else text
    return found


def _task(session: Any, episodes: int, seed: int, baselines: bool, out: Any, films: int, quiet: bool) -> dict[str, Any]:
    """Run the policy, and what it must beat, on the same episodes."""
    from itertools import chain
    from json import dumps

    from egoscale_sdk.cli.console import progress_bar
    from egoscale_sdk.runtime.report import save_films, summarise
    from egoscale_sdk.runtime.rollout import evaluate

    seeds = range(seed, seed + episodes)
    others = session.baselines(seed) if baselines else ()
    outcomes = {}
    session.driver.connect()
    try:
        for name, source in chain([("trained", session.source())], others):
            with progress_bar(f"run {name}", quiet=quiet) as progress:
                outcomes[name] = evaluate(
                    session.driver,
                    source,
                    seeds,
                    execute=session.settings.execute,
                    films=films if out else 0,
                    progress=progress,
                )
    finally:
        session.driver.stop()
    result = summarise(outcomes, session.trained.state_layout is None)
    if out is not None:
        save_films(out, outcomes)
        (out / "run.json").write_text(dumps({"embodiment": session.trained.id, "seed": seed, **result}, indent=2))
    return result


def _replay(session: Any, episodes: int, quiet: bool) -> dict[str, Any]:
    """Let the policy follow recorded episodes without moving anything, and say how far it was from what was done."""
    from egoscale_sdk.cli.console import progress_bar
    from egoscale_sdk.host import default_host
    from egoscale_sdk.runtime.loop import ControlLoop

    deviations = []
    with progress_bar("replay", quiet=quiet) as progress:
        for count, driver in enumerate(session.replays(default_host(), episodes), start=1):
            driver.connect()
            loop = ControlLoop(driver, session.source(), execute=session.settings.execute)
            loop.reset(count - 1)
            loop.run(driver.seconds)
            deviations.append(driver.deviation())
            progress(count, episodes)
    means = {key: sum(item[key] for item in deviations) / len(deviations) for key in deviations[0]}
    return {"n": len(deviations), "mean_deviation": means}


def _robot(session: Any, seconds: float, quiet: bool) -> dict[str, Any]:
    """Drive a robot in real time until the time is over or a fault is latched."""
    from egoscale_sdk.cli.console import say
    from egoscale_sdk.runtime.loop import ControlLoop, Pacer

    session.driver.connect()
    try:
        loop = ControlLoop(session.driver, session.source(), execute=session.settings.execute, pacer=Pacer())
        loop.reset(0)
        say(f"driving {session.trained.id} for {seconds:g} s; Ctrl-C holds and stops", quiet=quiet)
        loop.run(seconds)
    finally:
        session.driver.stop()
    return {"n": 1, "fault": loop.log.fault, "held_back": dict(loop.log.counts)}


def _text(result: dict[str, Any]) -> str:
    if "successes" not in result:
        return ", ".join(f"{key}: {value}" for key, value in result.items())
    lines = [f"{result['embodiment']}: {result['successes']} of {result['n']} lifted, seeds from {result['seed']}"]
    for name, row in result["baselines"].items():
        lines.append(f"  {name:<20}{row['successes']:>3} of {row['n']}   p = {row['p_value']:.3g} (one-sided Fisher)")
    if result["placeholder_state"]:
        lines.append("  no state of this embodiment was trained: the placeholder took its place")
    return "\n".join(lines)
