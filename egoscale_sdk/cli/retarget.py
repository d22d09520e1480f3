"""``egoscale retarget``: add a robot's action set to a dataset of people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from egoscale_sdk.retargeting.dataset import RetargetSummary


def retarget(
    dataset: Positional[str],
    to: str,
    name: str | None = None,
    retargeter: str | None = None,
    report: Path | None = None,
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Retarget people's hands to a robot's: adds an action set beside what was recorded.

    Raw keypoints stay; wrists are kept as recorded; each hand is solved within the joint limits of the target. Running
    it again after an import retargets only what is new.

    Examples:
        egoscale retarget people.zarr --to acme/hand
        egoscale retarget people.zarr --to acme/hand@1 --name grip --json
        egoscale retarget people.zarr --to acme/hand --report report.html

    Args:
        dataset: Dataset of human recordings, e.g. people.zarr.
        to: Id of the target embodiment; without @N the highest installed.
        name: Name of the action set; by default made from the id (acme/hand becomes acme_hand).
        retargeter: Id of the retargeter, of any plugin; needed where several serve the hand and no plugin decides.
        report: Write a page here: errors by finger, pinches, joints at their limits, jitter, the worst frames, and an
            animation of person and robot.
        json: Print the summary as JSON.
        quiet: No progress, no messages.
    """
    import torch

    from egoscale_sdk.cli.console import emit, progress_bar, refuse_unwritable
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.host import default_host
    from egoscale_sdk.ids import parse_id
    from egoscale_sdk.retargeting.dataset import retarget_dataset

    refuse_unwritable(report)
    torch.set_num_threads(1)  # a clip's operations are over before a second thread has woken up
    host = default_host()
    opened, target = Dataset.open(dataset), host.spec(to)
    retargeters = {
        hand.side: host.retargeter(hand, retargeter, source=opened.declaration.spec) for hand in target.hands
    }
    provider = host.provider(parse_id(next(iter(retargeters.values())).id).namespace)
    with progress_bar(f"retarget to {target.id}", quiet=quiet) as progress:
        summary = retarget_dataset(opened, target, retargeters, provider, name=name, progress=progress)
    if report is not None:
        from egoscale_sdk.cli.retarget_report import write_retarget_report

        write_retarget_report(opened, summary.action_set, report)
    emit(
        {"dataset": dataset, "version": opened.version, "target": target.id, **asdict(summary)},
        as_json=json,
        text=f"{dataset}: action set '{summary.action_set}' for {target.id}: {_text(summary)}",
    )


def _text(summary: RetargetSummary) -> str:
    if not summary.episodes:
        return "nothing new to retarget"
    return (
        f"{summary.episodes} episodes, {summary.hand_frames} hand-frames, "
        f"{100 * summary.valid_share:.1f} % determined, residual median {1e3 * summary.residual_median_m:.1f} mm, "
        f"p95 {1e3 * summary.residual_p95_m:.1f} mm"
    )
