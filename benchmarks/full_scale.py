"""A dataset of the paper's size: open it, shuffle an epoch, resume in its middle; seconds and memory of a new process.

``python benchmarks/sparse.py DST.zarr --hours 20854 --segments-per-commit 100`` makes one.
"""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np

from egoscale_sdk.data import Blocks, Dataset, Loader, Mixture, WindowDataset


def peak_mb() -> float:
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def main(path: str) -> None:
    clock = time.perf_counter
    began = clock()
    windows = WindowDataset(Dataset.open(path), 16, 1 / 30)
    report = {"hours": round(len(windows) / 30 / 3600), "windows": len(windows), "open_s": clock() - began}
    for name, blocks in (("random", Blocks(block=1)), ("blocks", Blocks())):
        mixture = Mixture([(windows, 1)], 64, 0, blocks)
        began = clock()
        drawn = np.concatenate([mixture.indices(step)[0][1] for step in range(2000)])
        report[f"{name}_shuffle_us_per_sample"] = (clock() - began) / len(drawn) * 1e6
        assert len(np.unique(drawn)) == len(drawn)
        middle = len(windows) // 64 // 2
        began = clock()
        loader = Loader(mixture, start=middle, threads=1, ahead=0)
        first = next(iter(loader))
        report[f"{name}_resume_s"] = clock() - began
        again = mixture.parts[0][0].batch(mixture.indices(middle)[0][1])
        assert (first[0][1].time_ns == again.time_ns).all()
    print(json.dumps({name: round(value, 3) for name, value in report.items()} | {"peak_mb": round(peak_mb())}))


if __name__ == "__main__":
    main(sys.argv[1])
