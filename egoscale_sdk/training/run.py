"""A training run from its arguments to its summary: what the command line and a script call."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egoscale_sdk.errors import CheckpointError
from egoscale_sdk.host import default_host
from egoscale_sdk.policy.checkpoint import Checkpoint, check_place, is_checkpoint
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.training.assemble import assemble
from egoscale_sdk.training.evaluation import evaluate
from egoscale_sdk.training.plugins import against_plugins
from egoscale_sdk.training.recipe import Recipe, load_recipe
from egoscale_sdk.training.sources import Source, open_sources
from egoscale_sdk.training.trainer import Trainer, resume_from

SHOWN_COLUMNS = 6


@dataclass(frozen=True)
class TrainingJob:
    """The arguments of ``egoscale train``; see there."""

    recipe: str
    data: tuple[str, ...]
    out: str
    init: str | None = None
    holdout: str = ""
    overrides: tuple[str, ...] = ()
    resume: bool = False
    allow_action_equals_state: bool = False


@dataclass(frozen=True)
class Summary:
    """The result of a run: for scripts and for people; empty in all processes but the first."""

    value: dict[str, Any]
    text: str


def run_training(job: TrainingJob, progress: Progress = silent, say: Callable[[str], None] = lambda _: None) -> Summary:
    """Train, save, evaluate what was kept out, and write ``evaluation.json`` beside the weights.

    Raises:
        RecipeError, DataError, DeclarationError, CheckpointError: recipe, data or checkpoint are not fit for it.
    """
    recipe, out = load_recipe(job.recipe, job.overrides), Path(job.out)
    if is_checkpoint(out) and not job.resume:
        raise CheckpointError(
            "is a checkpoint already", where=str(out), hint="choose another --out, or go on with --resume"
        )
    check_place(out)
    sources = open_sources(
        job.data,
        recipe.policy,
        stride=recipe.data.stride,
        holdout=job.holdout,
        allow_action_equals_state=job.allow_action_equals_state,
        skip_damaged=recipe.data.on_damage == "skip",
    )
    sources, notes = against_plugins(sources, default_host())
    for note in notes:
        say(f"note: {note}")
    checkpoint = _begin(job, recipe, sources, out, progress)
    _explain(checkpoint, sources, say)
    trainer = Trainer(recipe, sources, checkpoint, out, progress)
    checkpoint = trainer.run()
    if not trainer.is_main:
        return Summary({}, "")
    report = evaluate(checkpoint, sources, recipe.evaluation, seed=recipe.training.seed, progress=progress)
    (out / "evaluation.json").write_text(json.dumps(report, indent=1, allow_nan=False), encoding="utf-8")
    return _summary(checkpoint, out, report)


def _begin(job: TrainingJob, recipe: Recipe, sources: list[Source], out: Path, progress: Progress) -> Checkpoint:
    if job.resume and job.init:
        raise CheckpointError("--resume and --init exclude each other", hint="--resume goes on with --out itself")
    if job.resume:
        return resume_from(out, recipe, sources)
    return assemble(recipe, sources, Checkpoint.load(Path(job.init)) if job.init else None, progress)


def _explain(checkpoint: Checkpoint, sources: list[Source], say: Callable[[str], None]) -> None:
    count = sum(parameter.numel() for parameter in checkpoint.policy.parameters())
    say(f"policy of {count / 1e6:.2f} M parameters; cameras: {', '.join(checkpoint.policy.config.cameras) or 'none'}")
    for source in sources:
        held = f", {len(source.held.episodes)} episodes kept out" if source.held else ""
        state = "measured state" if source.measured else "no state: the placeholder stands in"
        say(f"{source.name}: {len(source.windows)} windows for {source.spec.id}, {state}{held}")
    blind = tuple(f"{source.dataset.declaration.embodiment}: " for source in sources if not source.measured)
    for label, names in (
        ("hardly move: their scale is the floor", checkpoint.statistics.at_floor),
        ("were never seen", checkpoint.statistics.unseen),
    ):
        columns = [name for name in names if not name.startswith(blind)]
        if columns:
            more = f" and {len(columns) - SHOWN_COLUMNS} more" if len(columns) > SHOWN_COLUMNS else ""
            say(f"{len(columns)} columns {label}: {', '.join(columns[:SHOWN_COLUMNS])}{more}")


def _summary(checkpoint: Checkpoint, out: Path, report: dict[str, Any]) -> Summary:
    training = checkpoint.training
    value = {
        "checkpoint": str(out),
        "step": training["step"],
        "loss": training["loss"],
        "embodiments": sorted(checkpoint.embodiments),
        "evaluation": report,
    }
    lines = [f"{out}: step {training['step']}, loss {training['loss']:.4f}, for {', '.join(value['embodiments'])}"]
    for name, scores in report["data"].items():
        lines.append(f"{name}: {scores['windows']} windows of {scores['episodes']} held-out episodes")
        for guess in ("policy", "hold", "hold_command", "mean"):
            if guess in scores:
                errors = ", ".join(f"{key} {value:.4g}" for key, value in scores[guess].items() if key[:3] != "mse")
                lines.append(f"  {guess:<12} {errors}")
    return Summary(value, "\n".join(lines))
