"""Errors on episodes that were kept out, in native units, beside two ways of knowing nothing.

EgoScale's protocol (section 3.3): a number of held-out episodes, some windows of each, several chunks sampled at each
window and averaged before they are compared. ``hold`` stays at the measured pose; ``mean`` does at every step of the
chunk what was done on average in training; for robots ``hold_command`` stays at the last command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from egoscale_sdk.data import Batch, Permutation, WindowDataset
from egoscale_sdk.geometry import rotation_angle, rotation_from_rot6d
from egoscale_sdk.policy.checkpoint import Checkpoint
from egoscale_sdk.policy.normalise import normalise_columns
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import RowLayout
from egoscale_sdk.training.batches import to_group
from egoscale_sdk.training.recipe import EvaluationRecipe
from egoscale_sdk.training.sources import Source

Floats = NDArray[np.float64]
MEAN_WINDOWS = 4096
_IDENTITY = np.array([0, 0, 0, 1, 0, 0, 0, 1, 0], np.float64)


def evaluate(
    checkpoint: Checkpoint,
    sources: Sequence[Source],
    settings: EvaluationRecipe,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Evaluate on the held-out episodes of every source that has some.

    Returns:
        Per source ``episodes``, ``windows`` and the errors of ``policy``, ``hold``, ``mean`` (and ``hold_command``):
        ``wrist_mm`` and ``wrist_deg`` (mean distance and angle), ``hand_rad`` or ``hand_m`` (mean absolute error),
        ``mse_wrist`` and ``mse_hand`` (normalised).
    """
    checkpoint.policy.eval()
    held = [source for source in sources if source.held is not None]
    results = {}
    for number, source in enumerate(held):
        chosen = choose_windows(_held(source), settings.episodes, settings.steps, seed)
        means = chunk_mean(source.windows, seed)
        scores: dict[str, _Score] = {}
        for start in range(0, len(chosen), settings.batch_size):
            batch = _held(source).batch(chosen[start : start + settings.batch_size])
            guesses = _baselines(batch, source, means)
            guesses["policy"] = predict(checkpoint, source, batch, settings.samples, seed + start)
            for name, guess in guesses.items():
                scores.setdefault(name, _Score(checkpoint, batch.layout)).add(guess, batch)
            progress(start + len(batch.prompts), len(chosen), f"held out {number + 1}/{len(held)}")
        episodes = {_held(source).place(index)[0] for index in chosen}
        results[source.name] = {
            "embodiment": source.spec.id,
            "episodes": len(episodes),
            "windows": len(chosen),
            **{name: score.result() for name, score in sorted(scores.items())},
        }
    return {"samples": settings.samples, "seed": seed, "data": results}


def choose_windows(windows: WindowDataset, episodes: int, steps: int, seed: int) -> list[int]:
    """Choose ``steps`` windows of each of ``episodes`` episodes at random, or all there are; in order."""
    by_episode = windows.by_episode()
    random = np.random.default_rng(seed)
    names = sorted(by_episode)
    chosen = random.permutation(names)[:episodes].tolist()
    picks = [random.permutation(by_episode[episode])[:steps].tolist() for episode in sorted(chosen)]
    return sorted(index for pick in picks for index in pick)


def predict(checkpoint: Checkpoint, source: Source, batch: Batch, samples: int, seed: int) -> Floats:
    """Return the mean of ``samples`` chunks ``(B, H, D)`` in physical units."""
    policy = checkpoint.policy
    device = policy.adapters.placeholder.device
    group = to_group(batch, source, checkpoint.statistics, policy.config.clip, device)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(samples, *group.chunk.shape, generator=generator).to(device)
    chunk = policy.sample(group, noise).mean(0).double().cpu().numpy()
    physical: Floats = checkpoint.statistics.chunk(batch.layout).restore(chunk)
    return physical


def chunk_mean(windows: WindowDataset, seed: int) -> Floats:
    """Return the mean training chunk ``(H, D)``, over at most `MEAN_WINDOWS` windows chosen at random."""
    chosen = Permutation(len(windows), seed)(np.arange(min(MEAN_WINDOWS, len(windows))))
    total, count = np.zeros((windows.horizon, windows.layout.dim)), np.zeros((windows.horizon, windows.layout.dim))
    for part in np.array_split(chosen, max(1, len(chosen) // 256)):
        batch = windows.batch(part, images=False)
        total += np.where(batch.mask, batch.chunk, 0).sum(0)
        count += batch.mask.sum(0)
    mean: Floats = total / np.maximum(count, 1)
    return mean


def _held(source: Source) -> WindowDataset:
    assert source.held is not None
    return source.held


def _baselines(batch: Batch, source: Source, mean: Floats) -> dict[str, Floats]:
    steps = batch.chunk.shape[1]
    command = batch.reference.astype(np.float64)
    for side in batch.layout.sides:
        command[:, batch.layout.blocks[f"{side}_wrist"]] = _IDENTITY
    hold = command.copy()
    for side in batch.layout.sides if source.measured else ():
        ours, theirs = batch.layout.blocks[f"{side}_hand"], batch.state_layout.blocks[f"{side}_hand"]
        hold[:, ours] = np.where(batch.state_mask[:, theirs], batch.state[:, theirs], command[:, ours])
    guesses = {"hold": hold, "hold_command": command} if source.measured else {"hold": hold}
    constant = {name: np.repeat(rows[:, None], steps, axis=1) for name, rows in guesses.items()}
    return {**constant, "mean": np.broadcast_to(mean, batch.chunk.shape)}


@dataclass
class _Score:
    """Sums of errors of one way of guessing."""

    checkpoint: Checkpoint
    layout: RowLayout

    def __post_init__(self) -> None:
        self.sums: dict[str, list[float]] = {}

    def add(self, guess: Floats, batch: Batch) -> None:
        layout, truth = self.layout, batch.chunk.astype(np.float64)
        scale, clip = self.checkpoint.statistics.chunk(layout), self.checkpoint.policy.config.clip
        a, b = (normalise_columns(scale, layout, values, batch.mask, clip) for values in (guess, truth))
        for side in layout.sides:
            block = layout.blocks[f"{side}_wrist"]
            seen = batch.mask[..., block].all(-1)
            ours, theirs = guess[..., block][seen], truth[..., block][seen]
            self._note("wrist_mm", 1e3 * np.linalg.norm(ours[:, :3] - theirs[:, :3], axis=1))
            turn = rotation_angle(rotation_from_rot6d(ours[:, 3:]), rotation_from_rot6d(theirs[:, 3:]))
            self._note("wrist_deg", np.degrees(turn))
            self._note("mse_wrist", (a - b)[..., block][batch.mask[..., block]] ** 2)
        for side, space in layout.hand_spaces:
            block = layout.blocks[f"{side}_hand"]
            mask = batch.mask[..., block]
            self._note("mse_hand", (a - b)[..., block][mask] ** 2)
            for unit in sorted({column.unit for column in space.columns}):
                here = mask & np.array([column.unit == unit for column in space.columns])
                self._note(f"hand_{unit}", np.abs(guess - truth)[..., block][here])

    def _note(self, name: str, values: NDArray[Any]) -> None:
        entry = self.sums.setdefault(name, [0.0, 0.0])
        entry[0] += float(values.sum())
        entry[1] += values.size

    def result(self) -> dict[str, float]:
        """Return the means of what was seen."""
        return {name: total / count for name, (total, count) in self.sums.items() if count}
