"""What `benchmarks/data.py` measures of loading: each beside its ceiling, in turns, by processor time."""

from __future__ import annotations

import mmap
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from range_server import RangeServer

from egoscale_sdk.data import Blocks, Dataset, Loader, Mixture, WindowDataset, declare
from egoscale_sdk.data.buffers import BufferPool
from egoscale_sdk.interfaces import Episode, ImageStream
from egoscale_sdk.specs import (
    CameraStream,
    ColumnSpec,
    ControlSpec,
    EmbodimentSpec,
    HandSpaceSpec,
    HandSpec,
    JointSpec,
    Provider,
)

CAMERAS, SIDE, JOINTS, HORIZON, DT, BATCH = ("head", "left", "right"), 224, 22, 16, 1 / 30, 64
ROWS = 300


def make(path: Path, episodes: int) -> Dataset:
    """Two hands of 22 joints and three cameras of 224 x 224, smooth pictures with a sensor's noise, JPEG quality 85."""
    space = HandSpaceSpec(id="made/up@1", columns=tuple(ColumnSpec(name=f"j{n}", unit="rad") for n in range(JOINTS)))
    hands = tuple(HandSpec(side=side, hand_space=space, joints=_joints(side)) for side in ("left", "right"))
    spec = EmbodimentSpec(id="made/up@1", title="Made up", kind="robot", hands=hands, control=ControlSpec(rate_hz=30))
    cameras = tuple(CameraStream(name=name, height_px=SIDE, width_px=SIDE) for name in CAMERAS)
    dataset = Dataset.create(
        path, declare(spec, Provider(distribution="made-up", version="1"), fps=30, cameras=cameras)
    )
    dataset.append(_episodes(episodes, dataset.declaration.native.layout))
    return dataset


def _joints(side: str) -> tuple[JointSpec, ...]:
    return tuple(JointSpec(name=f"{side}_{n}", kind="revolute", lower_rad=-2, upper_rad=2) for n in range(JOINTS))


def _episodes(count: int, layout) -> Iterator[Episode]:
    rng, x = np.random.default_rng(0), np.linspace(0, 6, SIDE)
    steps = np.arange(ROWS)
    for number in range(count):
        action = np.zeros((ROWS, layout.dim), np.float32)
        for group, block in layout.blocks.items():
            wave = np.sin(steps[:, None] * rng.uniform(0.01, 0.1, block.stop - block.start))
            action[:, block] = 0.2 * wave + ([0, 0, 0, 1, 0, 0, 0, 1, 0] if group.endswith("wrist") else 0)
        time_ns = 10**9 + np.round(steps * 1e9 / 30).astype(np.int64)
        images = {name: ImageStream(_pictures(rng, x, number), time_ns) for name in CAMERAS}
        valid = np.ones((ROWS, len(layout.groups)), np.uint8)
        yield Episode(f"{number}", time_ns, action, valid, state=action, images=images, labels={"task": "measure"})


def _pictures(rng, x, number) -> list[bytes]:
    found = []
    for row in range(ROWS):
        waves = [np.sin(x[:, None] * k + x * (3 - k) + 0.1 * row + number) for k in (1, 2, 3)]
        picture = 127 + 90 * np.stack(waves, -1) + rng.normal(0, 3, (SIDE, SIDE, 1))
        found.append(simplejpeg.encode_jpeg(np.clip(picture, 0, 255).astype(np.uint8), quality=85))
    return found


def take_turns(rounds: int, *ways: Callable[[int], float]) -> list[float]:
    """Run A B C A B C ...; return the median of each, so that what else the machine does meets all alike."""
    found = [[way(turn) for way in ways] for turn in range(rounds)]
    return [statistics.median(column) for column in zip(*found, strict=True)]


def cpu(work: Callable[[], object], per: int) -> float:
    """Processor microseconds of this process for one of ``per``."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / per * 1e6


class Local:
    """The dataset on a local disk, its pages warm."""

    def __init__(self, dataset: Dataset) -> None:
        self.windows = WindowDataset(dataset, HORIZON, DT)
        self.mixture = Mixture([(self.windows, 1)], BATCH, 0)
        self.pool, self.out = BufferPool(), np.empty((len(CAMERAS), BATCH, SIDE, SIDE, 3), np.uint8)
        segment = dataset.segment(dataset.segments[0])
        self.action = segment.array("action")
        self.jpegs = {}
        for name in CAMERAS:
            ends = segment.read(f"cams/{name}/offsets").tolist()
            self.jpegs[name] = (segment.array(f"cams/{name}/data").read(), ends)
        for start in range(0, len(self.windows), 512):  # checksums are compared once in a process
            self.windows.batch(range(start, min(start + 512, len(self.windows))), images=False)
            for name in CAMERAS:
                segment.array(f"cams/{name}/data").read(0, self.jpegs[name][1][-1])

    def indices(self, step: int) -> np.ndarray:
        """Windows of a step."""
        return self.mixture.indices(step)[0][1]

    def ceiling(self, step: int) -> float:
        """Random JPEGs of each camera into a batch that is there."""
        chosen = self.indices(step).tolist()

        def work() -> None:
            for out, name in zip(self.out, CAMERAS, strict=True):
                data, ends = self.jpegs[name]
                for place, row in enumerate(chosen):
                    simplejpeg.decode_jpeg(data[ends[row] : ends[row + 1]], "RGB", buffer=out[place])

        return cpu(work, BATCH)

    def ours(self, step: int) -> float:
        """Our batch of the same windows: images, states, chunks, masks, prompts."""
        return cpu(lambda: self.windows.batch(self.mixture.indices(step)[0][1], new_images=self.pool), BATCH)

    def as_float32(self, step: int) -> float:
        """The same with pictures as float32 channels first, as the peer gives them."""

        def work() -> None:
            batch = self.windows.batch(self.indices(step), new_images=self.pool)
            for name in CAMERAS:
                pictures = torch.from_numpy(batch.images[name]).permute(0, 3, 1, 2)
                pictures.to(torch.float32, memory_format=torch.contiguous_format).div_(255)

        return cpu(work, BATCH)

    def window_us(self) -> float:
        """A window of 16 rows of the actions, copied from the map."""
        rows = np.random.default_rng(0).integers(0, len(self.action) - HORIZON, 2000).tolist()

        def work() -> None:
            for row in rows:
                self.action.read(row, row + HORIZON).copy()

        work()
        return min(cpu(work, len(rows)) for _ in range(7))


def loader_overhead(local: Local, rounds: int) -> float:
    """Share of processor time that the loader's threads add to reading the same steps without it."""
    steps = 12

    def loaded(turn: int) -> float:
        loader = Loader(local.mixture, start=turn * steps, stop=(turn + 1) * steps, threads=2)
        return cpu(lambda: [None for _ in loader], steps * BATCH)

    def plain(turn: int) -> float:
        return statistics.mean(local.ours(step) for step in range(turn * steps, (turn + 1) * steps))

    loaded(0)
    with_it, without = take_turns(rounds, loaded, plain)
    return with_it / without - 1


def window_cold_us(folder: Path) -> float:
    """A window of 16 rows of 62 numbers out of 512 MB, none of which is in memory; wall time."""
    file, row = folder / "cold.bin", 62 * 4
    if not file.exists():
        with file.open("wb") as handle:
            for _ in range(64):
                handle.write(np.random.default_rng(0).bytes(2**23))
            handle.flush()
            os.fsync(handle.fileno())
    handle = os.open(file, os.O_RDONLY)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    view = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
    view.madvise(mmap.MADV_RANDOM)  # as our arrays are mapped
    rows = np.frombuffer(view, np.uint8)[: len(view) // row * row].reshape(-1, row)
    chosen = np.random.default_rng().integers(0, len(rows) - HORIZON, 300).tolist()
    found = []
    for start in chosen:
        began = time.perf_counter()
        rows[start : start + HORIZON].copy()
        found.append((time.perf_counter() - began) * 1e6)
    os.close(handle)
    return statistics.median(found)


def remote(dataset: Dataset, rounds: int, latency_s: float = 0.02, epochs: int = 1) -> dict[str, float]:
    """Samples per second from a server with latency beside those of the disk, by the wall clock, and its GETs."""
    blocks = Blocks(block=256, buffer=4096, streams=1)
    near = Mixture([(WindowDataset(dataset, HORIZON, DT), 1)], BATCH, 0, blocks)
    steps = min(len(near.parts[0][0]) * epochs // BATCH, 400)
    shares, rates = [], []
    gets = 0.0
    with RangeServer(dataset.path.parent, latency_s, process=True) as server:
        for _ in range(rounds):
            far = Dataset.open(f"{server.url}/{dataset.path.name}")
            mixed = Mixture([(WindowDataset(far, HORIZON, DT), 1)], BATCH, 0, blocks)
            before = server.served()["gets"]
            slow = _rate(mixed, steps)
            gets = (server.served()["gets"] - before) / (steps * BATCH)
            fast = _rate(near, steps)
            shares.append(slow / fast)
            rates.append(slow)
    return {"share": statistics.median(shares), "gets": gets, "rate": statistics.median(rates)}


def _rate(mixture: Mixture, steps: int) -> float:
    """Samples per second once the first buffer is there."""
    first = steps // 10
    began = 0.0
    for step, _ in enumerate(Loader(mixture, stop=steps, threads=2)):
        if step == first:
            began = time.perf_counter()
    return (steps - first - 1) * BATCH / (time.perf_counter() - began)
