"""``egoscale train``: one policy from one or more datasets."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg


def train(
    recipe: Positional[str],
    data: list[str],
    out: str,
    init: str | None = None,
    steps: int | None = None,
    holdout: str = "",
    set: list[str] = [],  # noqa: B006  # tyro reads the name of the flag and its default here
    resume: bool = False,
    allow_action_equals_state: bool = False,
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Train one policy on one or more datasets, of people, of robots or of both.

    Each dataset says itself whose hands its actions are; those with the same hand train the same adapters. The
    checkpoint is a folder that is usable at any time; with held-out episodes it ends with their errors in native units.

    Examples:
        egoscale train tiny --data robot.zarr --out ckpt --holdout 2
        egoscale train tiny --data people.zarr:1:acme_hand robot.zarr:0.5 --out ckpt --steps 500
        egoscale train recipe.toml --data robot.zarr --out ckpt --set training.learning_rate=1e-3 data.stride=2
        egoscale train posttrain --data task.zarr --init pretrained --out task_policy
        egoscale train tiny --data robot.zarr --out ckpt --resume

    Args:
        recipe: A TOML file, or the name of a shipped recipe: tiny, pretrain, midtrain, posttrain.
        data: Datasets, each as D.zarr[:weight[:action_set]]; the set must be named where a dataset has several.
        out: Folder of the checkpoint.
        init: Checkpoint to go on from.
        steps: Steps to train, instead of the recipe's.
        holdout: What to keep out of each dataset: its last episodes, by a number or a fraction such as 0.1, or a split
            by its name, such as val (see: egoscale dataset split).
        set: Fields of the recipe to change, as section.field=value.
        resume: Go on with a run that was interrupted, exactly where it was saved last.
        allow_action_equals_state: Train although a robot's recorded actions are its measured states.
        json: Print the summary as JSON.
        quiet: No progress, no messages.
    """
    from egoscale_sdk.cli.console import emit, progress_bar, say
    from egoscale_sdk.training.run import TrainingJob, run_training

    changes = [*set, *([] if steps is None else [f"training.steps={steps}"])]
    job = TrainingJob(recipe, tuple(data), out, init, holdout, tuple(changes), resume, allow_action_equals_state)
    with progress_bar("train", quiet=quiet) as progress:
        summary = run_training(job, progress, lambda text: say(text, quiet=quiet))
    if summary.value:
        emit(summary.value, as_json=json, text=summary.text)
