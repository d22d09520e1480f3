"""From Zarr to Zarr, as ``egoscale retarget`` does it, beside the same retargeter on the same frames in memory."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from methods import OURS, Task

from egoscale_sdk.data import Dataset, declare
from egoscale_sdk.host import default_host
from egoscale_sdk.interfaces import Episode
from egoscale_sdk.retargeting.dataset import retarget_dataset
from egoscale_sdk.specs import EmbodimentSpec, Provider

FRAMES, MOST_EPISODES = 2**18, 500  # some hours: what a new action set costs once is no longer seen
PROVIDER = Provider(distribution="egoscale-sdk", version="benchmark")
MIRROR = np.array([1, -1, 1])
IDENTITY = [0, 0, 0, 1, 0, 0, 0, 1, 0]


def end_to_end(task: Task, target: EmbodimentSpec, method: str, rounds: int) -> dict[str, Any]:
    """Return both rates in hand-frames per second, each its best round, and their ratio; they take turns."""
    sides = {hand.side: _clips(task, hand.side) for hand in target.hands}
    settings = OURS[method] | {"rate_hz": task.motion.fps}
    retargeters = {hand.side: type(default_host().retargeter(hand))(hand, **settings) for hand in target.hands}
    with tempfile.TemporaryDirectory() as folder:
        dataset = _dataset(Path(folder) / "people.zarr", sides, task.motion.fps)
        best = {"in_memory": 0.0, "zarr_to_zarr": 0.0}
        for turn in range(rounds + 1):  # the first is for what is compiled and cached
            start = time.perf_counter()
            for side, clips in sides.items():
                retargeters[side].retarget(torch.from_numpy(clips))
            middle = time.perf_counter()
            found = retarget_dataset(dataset, target, retargeters, PROVIDER, name=f"turn_{turn}")
            end = time.perf_counter()
            if turn:
                best["in_memory"] = max(best["in_memory"], found.hand_frames / (middle - start))
                best["zarr_to_zarr"] = max(best["zarr_to_zarr"], found.hand_frames / (end - middle))
    return {
        "sequence": task.motion.name,
        "method": method,
        "episodes": len(dataset.episodes),
        "hand_frames": found.hand_frames,
        "in_memory_per_s": best["in_memory"],
        "zarr_to_zarr_per_s": best["zarr_to_zarr"],
        "ratio": best["zarr_to_zarr"] / best["in_memory"],
    }


def end_to_end_text(rows: list[dict[str, Any]]) -> str:
    """Say how fast a dataset is retargeted."""
    line = (
        "{sequence}  {method}  {zarr_to_zarr_per_s:,.0f} of {in_memory_per_s:,.0f}: {ratio:.2f} "
        "({hand_frames} hand-frames, {episodes} episodes)"
    )
    return "\n".join(["from Zarr to Zarr, hand-frames/s of those in memory:", *(line.format(**row) for row in rows)])


def _clips(task: Task, side: str) -> np.ndarray:
    """The motion ``(episodes, T, 21, 3)`` float32, as often as makes `FRAMES`; the left hand is the right's mirror."""
    episodes = max(1, min(MOST_EPISODES, FRAMES // len(task.motion.keypoints)))
    clip = task.motion.keypoints * (MIRROR if side == "left" else 1)
    return np.tile(clip.astype(np.float32), (episodes, 1, 1, 1))


def _dataset(path: Path, sides: dict[str, np.ndarray], fps: float) -> Dataset:
    declaration = declare(default_host().spec("human/hands"), PROVIDER, fps=fps)
    dataset, blocks = Dataset.create(path, declaration), declaration.native.layout.blocks
    episodes, frames = next(iter(sides.values())).shape[:2]
    action = np.zeros((episodes, frames, declaration.native.layout.dim), np.float32)
    for side, clips in sides.items():
        action[..., blocks[f"{side}_wrist"]] = IDENTITY
        action[..., blocks[f"{side}_hand"]] = clips.reshape(episodes, frames, 63)
    valid = np.ones((frames, len(declaration.native.layout.groups)), np.uint8)
    time_ns = np.round(np.arange(frames) * 1e9 / fps).astype(np.int64)
    dataset.append(Episode(key=f"{n}", time_ns=time_ns, action=rows, valid=valid) for n, rows in enumerate(action))
    return dataset
