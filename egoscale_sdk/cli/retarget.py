"""``egoscale retarget``: add a robot's action set to a dataset of people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from egoscale_sdk.interfaces import Retargeter
    from egoscale_sdk.retargeting.dataset import RetargetSummary


def retarget(
    dataset: Positional[str],
    to: str,
    name: str | None = None,
    retargeter: str | None = None,
    target: Literal["shape", "scaled", "metric"] | None = None,
    backend: Literal["auto", "eager", "compiled", "simd"] = "auto",
    device: Literal["cpu", "cuda"] | None = None,
    engine: Literal["local", "process", "ray"] | None = None,
    workers: int | None = None,
    report: Path | None = None,
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Retarget people's hands to a robot's: adds an action set beside what was recorded.

    Raw keypoints stay; wrists are kept as recorded; each hand is solved within the joint limits of the target. Running
    it again, after an import or after it was stopped or killed, retargets only what is missing.

    Examples:
        egoscale retarget people.zarr --to acme/hand
        egoscale retarget people.zarr --to acme/hand@1 --name grip --json
        egoscale retarget people.zarr --to acme/hand --target scaled --report report.html
        egoscale retarget people.zarr --to acme/hand --engine process --workers 8
        RAY_ADDRESS=head:6379 egoscale retarget people.zarr --to acme/hand --engine ray

    Args:
        dataset: Dataset of human recordings, e.g. people.zarr.
        to: Id of the target embodiment; without @N the highest installed.
        name: Name of the action set; by default made from the id (acme/hand becomes acme_hand).
        retargeter: Id of the retargeter, of any plugin; needed where several serve the hand and no plugin decides.
        target: What of the person is kept: shape (directions of bones, the default), scaled (places of a hand grown to
            the robot's size) or metric (places as they are).
        backend: How it is computed: eager, simd (kernels for the CPU, built when first used: for corpora) or compiled
            (torch.compile, for GPUs). Without a C++ compiler all are the same as eager. auto is what a set of this name
            was begun with, else simd for long work on a CPU with a compiler, else eager.
        device: Where it is computed; cuda needs a GPU.
        engine: Who computes it: local (this process, the default), process (several on this machine) or ray (a Ray
            cluster, or Ray on this machine). The same numbers come out.
        workers: How many at a time; by default one for each core.
        report: Write a page here: errors by finger, pinches, joints at their limits, jitter, the worst frames, and an
            animation of person and robot.
        json: Print the summary as JSON.
        quiet: No progress, no messages.
    """
    import torch

    from egoscale_sdk.cli.console import emit, progress_bar, refuse_unwritable, say
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.engine import choose_engine
    from egoscale_sdk.host import default_host
    from egoscale_sdk.ids import parse_id
    from egoscale_sdk.retargeting.choice import choose_backend, possible_backend
    from egoscale_sdk.retargeting.dataset import retarget_dataset, set_name

    refuse_unwritable(report)
    _refuse_absent(device)
    chosen = choose_engine(engine, workers, gpus=1 if device == "cuda" else 0)
    torch.set_num_threads(1)  # a clip's operations are over before a second thread has woken up
    host = default_host()
    opened, robot = Dataset.open(dataset), host.spec(to)
    plain = {hand.side: host.retargeter(hand, retargeter, source=opened.declaration.spec) for hand in robot.hands}
    given = {"target": target, "backend": None if backend == "auto" else backend, "device": device}
    asked: dict[str, str] = {name: value for name, value in given.items() if value is not None}
    if backend == "auto" and all("backend" in _settings(each) for each in plain.values()):
        asked["backend"], why = choose_backend(opened, robot, name or set_name(robot.id), device)
    elif "backend" in asked:
        asked["backend"], why = possible_backend(backend)
    else:
        why = ""
    if why:
        say(f"note: back end {asked['backend']}: {why}", quiet=quiet)
    retargeters = {side: _with_settings(each, asked, opened.declaration.fps) for side, each in plain.items()}
    provider = host.provider(parse_id(next(iter(retargeters.values())).id).namespace)
    with progress_bar(f"retarget to {robot.id}", quiet=quiet) as progress:
        summary = retarget_dataset(opened, robot, retargeters, provider, name=name, engine=chosen, progress=progress)
    if report is not None:
        from egoscale_sdk.cli.retarget_report import write_retarget_report

        write_retarget_report(opened, summary.action_set, report)
    emit(
        {"dataset": dataset, "version": opened.version, "target": robot.id, **asdict(summary)},
        as_json=json,
        text=f"{dataset}: action set '{summary.action_set}' for {robot.id}: {_text(summary)}",
    )


def _refuse_absent(device: str | None) -> None:
    """Refuse a GPU that is not there."""
    import torch

    from egoscale_sdk.errors import EgoscaleError

    if device == "cuda" and not torch.cuda.is_available():
        raise EgoscaleError("no GPU that torch can use", where="--device cuda", allowed=["cpu"])


def _with_settings(retargeter: Retargeter, asked: Mapping[str, str], fps: float) -> Retargeter:
    """The same retargeter with settings, and at the dataset's rate, where it takes them."""
    from egoscale_sdk.errors import EgoscaleError

    known = _settings(retargeter)
    for name in asked:
        if name not in known:
            raise EgoscaleError(f"retargeter {retargeter.id} has no setting {name!r}", where=f"--{name}")
    settings = {**asked, **({"rate_hz": fps} if "rate_hz" in known else {})}
    return type(retargeter)(retargeter.hand, **settings) if settings else retargeter


def _settings(retargeter: Retargeter) -> Collection[str]:
    """Names of what a retargeter can be made with."""
    from inspect import signature

    return signature(type(retargeter)).parameters


def _text(summary: RetargetSummary) -> str:
    if not summary.episodes:
        return "nothing new to retarget"
    return (
        f"{summary.episodes} episodes, {summary.hand_frames} hand-frames, "
        f"{100 * summary.valid_share:.1f} % determined, residual median {1e3 * summary.residual_median_m:.1f} mm, "
        f"p95 {1e3 * summary.residual_p95_m:.1f} mm"
    )
