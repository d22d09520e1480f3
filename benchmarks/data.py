"""Measure the data engine: goal by goal, ceilings and ours in turns in one process, peers in turns as processes.

The published lerobot package runs in an environment of its own (`make lerobot-env`); without it, it is "not run".
Local disks are warm except where it says cold. Times are processor time per core except where a rate is meant.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loading import DT, HORIZON, Local, loader_overhead, make, remote, take_turns, window_cold_us
from sparse import make_sparse, measure_open

from egoscale_sdk.data.exporters.lerobot import LeRobotExport, export_lerobot
from egoscale_sdk.errors import EgoscaleError

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = """examples:
  python benchmarks/data.py
  python benchmarks/data.py --episodes 4 --rounds 20 --only share_of_decode_ceiling window_warm_us
  python benchmarks/data.py --json data.json
"""
GOALS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "share_of_decode_ceiling": (">= 0.90", lambda v: v >= 0.90),
    "lerobot_ratio_uint8": (">= 8", lambda v: v >= 8),
    "lerobot_ratio_float32": (">= 3.5", lambda v: v >= 3.5),
    "window_warm_us": ("<= 5", lambda v: v <= 5),
    "window_cold_us": ("<= 250", lambda v: v <= 250),
    "loader_overhead": ("<= 0.10", lambda v: v <= 0.10),
    "remote_share_of_local": (">= 0.75", lambda v: v >= 0.75),
    "gets_per_sample": ("<= 0.1", lambda v: v <= 0.1),
    "index_1m_open_s": ("<= 1", lambda v: v <= 1),
    "index_1m_mb": ("<= 100", lambda v: v <= 100),
}
Figures = dict[str, Any]


def measure(options: argparse.Namespace, folder: Path) -> tuple[Figures, Figures]:
    """Return the figures, None where not run, and why or what else is to be known."""
    figures: Figures = dict.fromkeys(GOALS)
    notes: Figures = {}
    wanted = set(options.only or GOALS)
    local: Local | None = None
    if wanted - {"window_cold_us", "index_1m_open_s", "index_1m_mb"}:
        dataset = make(folder / "local" / "made.zarr", options.episodes)
        local = Local(dataset)
    if local is not None and wanted & {"share_of_decode_ceiling"}:
        local.ours(0)
        ceiling, ours = take_turns(options.rounds, local.ceiling, local.ours)
        figures["share_of_decode_ceiling"] = ceiling / ours
        notes["us_per_sample"] = {"decode_ceiling": ceiling, "egoscale_uint8": ours}
    if local is not None and "window_warm_us" in wanted:
        figures["window_warm_us"] = local.window_us()
    if "window_cold_us" in wanted:
        figures["window_cold_us"] = window_cold_us(folder)
    if local is not None and "loader_overhead" in wanted:
        figures["loader_overhead"] = loader_overhead(local, max(3, options.rounds // 10))
    if local is not None and wanted & {"lerobot_ratio_uint8", "lerobot_ratio_float32"}:
        _against_lerobot(local, options, folder, figures, notes)
    if local is not None and wanted & {"remote_share_of_local", "gets_per_sample"}:
        found = remote(local.windows.dataset, 3, epochs=3)
        figures["remote_share_of_local"], figures["gets_per_sample"] = found["share"], found["gets"]
        notes["remote_samples_per_s"] = found["rate"]
    if wanted & {"index_1m_open_s", "index_1m_mb"}:
        path = make_sparse(folder / "sparse.zarr", hours=1_000_000 * 30 / 3600, segments_per_commit=20)
        opened = min((measure_open(path) for _ in range(3)), key=lambda found: found["open_s"])
        figures["index_1m_open_s"], figures["index_1m_mb"] = opened["open_s"], opened["added_mb"]
    return figures, notes


def _against_lerobot(local: Local, options: argparse.Namespace, folder: Path, figures: Figures, notes: Figures) -> None:
    if not options.lerobot.is_file():
        notes["lerobot"] = f"not run: there is no {options.lerobot}; make lerobot-env"
        return
    try:
        export_lerobot(local.windows.dataset, folder / "lerobot", LeRobotExport(codec=options.codec))
    except EgoscaleError as error:
        notes["lerobot"] = f"not run: {error}"
        return
    theirs, uint8, float32 = [], [], []
    for turn in range(options.peer_rounds):
        found = _lerobot(options, folder / "lerobot", turn)
        if isinstance(found, str):
            notes["lerobot"] = f"not run: {found}"
            return
        theirs.append(found["us"])
        for step in range(8 * turn, 8 * turn + 8):
            uint8.append(local.ours(step))
            float32.append(local.as_float32(step))
        notes["lerobot"] = f"{found['version']}, torchcodec, {options.codec}"
    peer = statistics.median(theirs)
    figures["lerobot_ratio_uint8"] = peer / statistics.median(uint8)
    figures["lerobot_ratio_float32"] = peer / statistics.median(float32)
    notes.setdefault("us_per_sample", {}).update(lerobot=peer, egoscale_float32=statistics.median(float32))


def _lerobot(options: argparse.Namespace, folder: Path, seed: int) -> Figures | str:
    script = ROOT / "benchmarks" / "peers" / "lerobot" / "read.py"
    libraries = options.lerobot.parents[1] / "ffmpeg"
    environment = os.environ | {"LD_LIBRARY_PATH": str(libraries), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [options.lerobot, script, folder, HORIZON, DT, options.samples, seed]
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it failed"])[-1]
    answer: Figures = json.loads(done.stdout.splitlines()[-1])
    return answer


def machine() -> Figures:
    """Say where this runs."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {"cpu": model or platform.processor(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def table(figures: Figures) -> str:
    """Lay the figures out for people."""
    lines = [f"{'what':26s} {'goal':>8s} {'measured':>10s}"]
    for name, (goal, holds) in GOALS.items():
        value = figures[name]
        shown = "not run" if value is None else f"{value:.3g}{'' if holds(value) else '  short'}"
        lines.append(f"{name:26s} {goal:>8s} {shown:>10s}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--only", nargs="+", choices=list(GOALS), help="measure these alone")
    parser.add_argument("--episodes", type=int, default=20, help="of 300 rows and 3 cameras")
    parser.add_argument("--rounds", type=int, default=100, help="turns of ours and its ceiling")
    parser.add_argument("--peer-rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=96, help="that a peer draws in a round")
    parser.add_argument("--codec", choices=["av1", "h264"], default="av1", help="of the peer's videos")
    parser.add_argument("--lerobot", type=Path, default=ROOT / ".venv-lerobot" / "bin" / "python")
    parser.add_argument("--folder", type=Path, help="where the datasets are made, by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures, notes = measure(options, Path(folder))
    report = {**figures, "machine": machine(), "notes": notes}
    print(table(figures))
    print(json.dumps({"machine": report["machine"], "notes": notes}), file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
