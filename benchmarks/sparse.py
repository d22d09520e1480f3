"""A dataset of any number of hours that takes little space: its commits and tables are real, its segments are one.

Every segment is a link to the same folder, so that all of it can be read, decoded and verified; only the keys of the
episodes differ. ``python benchmarks/sparse.py DST.zarr --hours 20854`` makes one of the paper's size in a few minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import simplejpeg

from egoscale_sdk.data import Dataset, declare
from egoscale_sdk.data.log import CommitLog
from egoscale_sdk.data.records import Addition
from egoscale_sdk.data.store import LocalStore
from egoscale_sdk.interfaces import Episode, ImageStream
from egoscale_sdk.specs import (
    CameraStream,
    ColumnSpec,
    ControlSpec,
    DatasetDeclaration,
    EmbodimentSpec,
    HandSpaceSpec,
    HandSpec,
    JointSpec,
    Provider,
)

SIDES = ("left", "right")
JOINTS = 22
IDENTITY = np.array([0, 0, 0, 1, 0, 0, 0, 1, 0], np.float32)


def declaration(fps: float, cameras: int, size_px: int) -> DatasetDeclaration:
    """Two hands of 22 joints, 62 columns, and some cameras."""
    space = HandSpaceSpec(id="made/up@1", columns=tuple(ColumnSpec(name=f"j{n}", unit="rad") for n in range(JOINTS)))
    hands = tuple(
        HandSpec(
            side=side,
            hand_space=space,
            joints=tuple(
                JointSpec(name=f"{side}_{n}", kind="revolute", lower_rad=-2, upper_rad=2) for n in range(JOINTS)
            ),
        )
        for side in SIDES
    )
    spec = EmbodimentSpec(id="made/up@1", title="Made up", kind="robot", hands=hands, control=ControlSpec(rate_hz=fps))
    streams = tuple(CameraStream(name=f"c{n}", height_px=size_px, width_px=size_px) for n in range(cameras))
    return declare(spec, Provider(distribution="made-up", version="1"), fps=fps, cameras=streams)


def _episodes(declared: DatasetDeclaration, count: int, rows: int, size_px: int) -> Iterator[Episode]:
    layout, fps = declared.native.layout, declared.fps
    picture = np.random.default_rng(0).integers(0, 255, (size_px, size_px, 3), np.uint8)
    jpeg = simplejpeg.encode_jpeg(picture, quality=50)
    steps = np.arange(rows)
    action = np.zeros((rows, layout.dim), np.float32)
    for side in SIDES:
        action[:, layout.blocks[f"{side}_wrist"]] = IDENTITY
        action[:, layout.blocks[f"{side}_wrist"].start] = 0.1 * np.sin(steps / 20)
        action[:, layout.blocks[f"{side}_hand"]] = np.sin(steps / 15)[:, None]
    for number in range(count):
        time_ns = (number * 10**12 + steps * (1e9 / fps)).astype(np.int64)
        images = {camera.name: ImageStream([jpeg] * rows, time_ns) for camera in declared.cameras}
        valid = np.ones((rows, len(layout.groups)), np.uint8)
        labels = {"task": f"task {number % 17}", "scene": f"scene {number % 5}", "split": "train"}
        yield Episode(f"{number}", time_ns, action, valid, state=action, images=images, labels=labels)


class _HastyStore(LocalStore):
    """Does not wait for the disk."""

    def create(self, name: str, data: bytes) -> bool:
        file = self.root / name
        if file.exists():
            return False
        file.write_bytes(data)
        return True


def make_sparse(
    path: Path,
    hours: float = 20_854,
    segment_h: float = 2.0,
    episode_s: float = 30.0,
    fps: float = 30.0,
    cameras: int = 1,
    size_px: int = 16,
    segments_per_commit: int = 1,
) -> Path:
    """Write the dataset and return its path."""
    rows, per_segment = round(episode_s * fps), round(segment_h * 3600 / episode_s)
    declared = declaration(fps, cameras, size_px)
    dataset = Dataset.create(path, declared)
    dataset.append(_episodes(declared, per_segment, rows, size_px))
    first = dataset.segments[0]
    addition = dataset.object(first).addition
    log = CommitLog(_HastyStore(path))
    state, left = log.state(), round(hours / segment_h) - 1
    while left > 0:
        count = min(left, segments_per_commit)
        state = log.publish(state, add=tuple(_linked(path, first, addition) for _ in range(count)))
        left -= count
    return path


def _linked(path: Path, first: str, addition: Addition) -> Addition:
    name = uuid.uuid4().hex
    (path / "segments" / name).symlink_to(Path(first).name)
    assert addition.table is not None
    keys = tuple(f"{name[:12]}/{number}" for number in range(len(addition.table.key)))
    entry = addition.entry.model_copy(update={"path": f"segments/{name}"})
    return addition.model_copy(update={"entry": entry, "table": addition.table.model_copy(update={"key": keys})})


_OPEN = """
import re, sys, time
from egoscale_sdk.data import Dataset
def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
before = peak_mb()
start = time.perf_counter()
dataset = Dataset.open(sys.argv[1])
index = dataset.index
rows = int(index.length.sum()) + int(index.start[-1]) + int(index.segment[-1])
ref = dataset.episodes[len(index) // 2]
opened_s = time.perf_counter() - start
after = peak_mb()
print(opened_s, after - before, after, len(index), len(dataset.segments))
"""


def measure_open(path: Path) -> dict[str, float]:
    """Open a dataset in a new process: seconds, and MB on top of what the imports took, with its columns in memory."""
    done = subprocess.run([sys.executable, "-c", _OPEN, str(path)], check=True, capture_output=True, text=True)
    seconds, added, total, episodes, segments = map(float, done.stdout.split())
    return {"open_s": seconds, "added_mb": added, "process_mb": total, "episodes": episodes, "segments": segments}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--hours", type=float, default=20_854)
    parser.add_argument("--segments-per-commit", type=int, default=1)
    chosen = parser.parse_args()
    if not chosen.path.exists():
        start = time.perf_counter()
        make_sparse(chosen.path, chosen.hours, segments_per_commit=chosen.segments_per_commit)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"made in {time.perf_counter() - start:.0f} s, {used:.0f} MB")
    print(json.dumps(measure_open(chosen.path)))


if __name__ == "__main__":
    main()
