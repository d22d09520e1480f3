"""The trainer: one loop for every stage, every mixture and any number of processes.

Everything random in a step follows from (seed, step, share), and what a step holds from (seed, step); so a run that
is resumed from a checkpoint goes on exactly as if it had never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor

from egoscale_sdk.data import Mixture
from egoscale_sdk.errors import CheckpointError, RecipeError
from egoscale_sdk.policy.checkpoint import Checkpoint, is_checkpoint
from egoscale_sdk.policy.files import load_tensors
from egoscale_sdk.policy.vla import VLA, Noise
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs.compare import diff_meaning
from egoscale_sdk.training.batches import Feeder, Part
from egoscale_sdk.training.interrupt import postponed_interrupt
from egoscale_sdk.training.metrics import CurveFile, Tally
from egoscale_sdk.training.optimizer import (
    build_optimizer,
    freeze,
    learning_rate,
    optimizer_shapes,
    optimizer_tensors,
    restore_optimizer,
)
from egoscale_sdk.training.recipe import Recipe
from egoscale_sdk.training.sources import Source


class Trainer:
    """Trains a checkpoint on a mixture and saves it as it goes.

    Args:
        recipe: How.
        sources: On what.
        checkpoint: From what, as `assemble` or `resume_from` gives it; its step says where to begin.
        out: Folder that is written.
        progress: Told step, total, loss and rate.
    """

    def __init__(
        self, recipe: Recipe, sources: Sequence[Source], checkpoint: Checkpoint, out: Path, progress: Progress = silent
    ) -> None:
        self.recipe, self.sources, self.checkpoint, self.out = recipe, sources, checkpoint, out
        self._progress = progress
        self._start = int(checkpoint.training.get("step", 0))
        settings = recipe.training
        if settings.threads:
            torch.set_num_threads(settings.threads)
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # a rank need not see every hand
        self._accelerator = Accelerator(mixed_precision=settings.precision, kwargs_handlers=[unused])
        freeze(checkpoint.policy, settings.freeze)
        self._optimizer = build_optimizer(checkpoint.policy, settings)
        self._model = self._accelerator.prepare_model(checkpoint.policy)
        self._curve, self._tally = CurveFile(out), Tally(sources, checkpoint.statistics)

    def run(self) -> Checkpoint:
        """Train to the last step; the result is saved.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; a single process has saved the step it was at.
        """
        steps = self.recipe.training.steps
        if self._start:
            tensors = load_tensors(self.out / "optimizer.safetensors", optimizer_shapes(self._policy), partial=True)
            restore_optimizer(self._policy, self._optimizer, tensors)
        if self._accelerator.is_main_process:
            self._curve.cut(self._start)
        alone = self._accelerator.num_processes == 1  # others would wait for one that stops
        began = time.perf_counter()
        with postponed_interrupt() if alone else nullcontext(lambda: False) as interrupted:
            for step, parts in enumerate(self._feeder().steps(self._start, steps), start=self._start):
                self._step(step, parts)
                done, stop = step + 1, interrupted()
                rate = (done - self._start) / (time.perf_counter() - began)
                if done % self.recipe.training.log_every == 0 or done == steps or stop:
                    self._report(done, rate)
                if done % self.recipe.training.save_every == 0 or done == steps or stop:
                    self._save(done)
                if stop and done < steps:
                    raise KeyboardInterrupt
        return self.checkpoint

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return bool(self._accelerator.is_main_process)

    @property
    def _policy(self) -> VLA:
        return self.checkpoint.policy

    def _feeder(self) -> Feeder:
        settings, accelerator = self.recipe.training, self._accelerator
        ranks = accelerator.num_processes
        share = -(-settings.batch_size // ranks)
        parts = -(-share // (settings.micro_batch or share))
        if settings.batch_size < ranks * parts:
            raise RecipeError(f"batch_size {settings.batch_size} is too small for {ranks} processes")
        windows = [(source.windows, source.weight) for source in self.sources]
        return Feeder(
            self.sources,
            Mixture(windows, settings.batch_size, settings.seed),
            self.checkpoint.statistics,
            self._policy.config.clip,
            accelerator.device,
            rank=accelerator.process_index,
            ranks=ranks,
            parts=parts,
            on_damage=self.recipe.data.on_damage,
        )

    def _step(self, step: int, parts: list[Part]) -> None:
        settings, accelerator = self.recipe.training, self._accelerator
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        self._optimizer.zero_grad()
        for number, part in enumerate(parts):
            noise = self._noise(step, number)
            if number + 1 < len(parts):
                with accelerator.no_sync(self._model):
                    loss = self._backward(part, noise, len(parts))
            else:
                loss = self._backward(part, noise, len(parts))
            if not torch.isfinite(loss):
                raise RecipeError(f"the loss is not finite at step {step}", hint="lower training.learning_rate")
            self._tally.loss += float(loss) / len(parts)
        accelerator.clip_grad_norm_(self._model.parameters(), settings.clip_norm)
        self._optimizer.step()
        self._tally.steps += 1

    def _backward(self, part: Part, noise: Noise, parts: int) -> Tensor:
        with self._accelerator.autocast():
            loss = self._model([group for _, group in part], noise, self.recipe.training.wrist_weight)
        self._accelerator.backward(loss.total / parts)
        for (number, _), errors in zip(part, loss.groups, strict=True):
            self._tally.add(number, errors)
        total: Tensor = loss.total.detach()
        return total

    def _noise(self, step: int, part: int) -> Noise:
        """Return the randomness of one part of a step, and seed torch's own for dropout."""
        settings = self.recipe.training
        key = (settings.seed, step, self._accelerator.process_index, part)
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
        torch.manual_seed(seed)
        return Noise(torch.Generator().manual_seed(seed), settings.flow_samples, settings.shift_px, settings.brightness)

    def _report(self, done: int, rate: float) -> None:
        accelerator, tally = self._accelerator, self._tally
        own = torch.tensor([tally.loss / tally.steps], dtype=torch.float64, device=accelerator.device)
        loss = float(accelerator.reduce(own, "mean"))
        sums = accelerator.reduce(tally.sums.to(accelerator.device), "sum").cpu()
        if accelerator.is_main_process:
            line = {"step": done, "loss": loss, "learning_rate": self._optimizer.param_groups[0]["lr"]}
            self._curve.add({**line, "steps_per_s": round(rate, 3), "data": tally.line(sums)})
            left = (self.recipe.training.steps - done) / rate
            note = f"loss {loss:.4f}, {rate:.2f} it/s, {left / 60:.0f} min left"
            self._progress(done, self.recipe.training.steps, note)
        self.checkpoint.training["loss"] = loss
        tally.clear()

    def _save(self, done: int) -> None:
        self.checkpoint.training |= {
            "step": done,
            "steps": self.recipe.training.steps,
            "sources": [source.describe() for source in self.sources],
        }
        if self._accelerator.is_main_process:
            self.checkpoint.save(self.out, optimizer_tensors(self._policy, self._optimizer))
        self._accelerator.wait_for_everyone()


def resume_from(out: Path, recipe: Recipe, sources: Sequence[Source]) -> Checkpoint:
    """Load an unfinished run.

    Raises:
        CheckpointError: there is none, or recipe or data are not those it was begun with.
    """
    if not is_checkpoint(out):
        raise CheckpointError("there is nothing to resume", where=str(out), hint="leave out --resume")
    checkpoint = Checkpoint.load(out)
    now: dict[str, Any] = {"recipe": _comparable(recipe.model_dump(mode="json"))}
    before: dict[str, Any] = {"recipe": _comparable(checkpoint.recipe)}
    for number, source in enumerate(sources):
        now[f"data {number}"] = source.describe()
    for number, described in enumerate(checkpoint.training.get("sources", [])):
        before[f"data {number}"] = described
    lines = diff_meaning(before, now, a_is="begun with", b_is="now")
    if lines:
        raise CheckpointError(
            f"cannot be resumed: {'; '.join(lines[:4])}", where=str(out), hint="to go on with others use --init"
        )
    return checkpoint


def _comparable(recipe: Any) -> Any:
    """Leave out of a recipe what may change on the way: damage is met when it is met."""
    data = recipe.get("data") if isinstance(recipe, dict) else None
    if not isinstance(data, dict):
        return recipe
    return recipe | {"data": {name: value for name, value in data.items() if name != "on_damage"}}
