"""Measure retargeting: ours beside dex-retargeting and mink, on the same frames, in one run.

Sequences: `synth`, a procedural adult whose keypoints are exact; `noisy`, the same through a poor tracker, judged by
the exact keypoints; `webcam` and `hololens2`, real recordings (where they are at hand). Every method is measured by
one code with its own forward kinematics. Methods take turns, and the best round counts.

Others run in an environment of their own, which `make bench-peers` builds; without it they are "not run".
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from end_to_end import end_to_end, end_to_end_text
from measures import COLUMNS, measure, size_ratio
from methods import METHODS, ONLINE_WARM_UP, OURS, NotRunError, Task, online, run
from motions import MOTIONS
from objective import compare
from peers.exchange import Answer

from egoscale_sdk.host import default_host

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
FIGURES = tuple(COLUMNS)
EXAMPLES = """examples:
  python benchmarks/retargeting.py
  python benchmarks/retargeting.py --sequences synth noisy --methods egoscale mink --frames 300
  python benchmarks/retargeting.py --json retargeting.json
"""


Rows = list[dict[str, Any]]


def measure_all(options: argparse.Namespace) -> dict[str, Rows]:
    """Return a row for every sequence and method (what cannot run says why), and what else the table names."""
    target = default_host().spec(options.hand)
    hand = target.hand("right")
    ours = next((method for method in options.methods if method in OURS), None)
    rows: Rows = []
    whole: Rows = []
    compared: Rows = []
    one_by_one: Rows = []
    for name in options.sequences:
        try:
            motion = MOTIONS[name](options.frames, options.data)
        except FileNotFoundError as error:
            rows += [_not_run(name, method, f"no recording at {error.filename or error}") for method in options.methods]
            continue
        task = Task(hand, motion, size_ratio(hand, motion.truth), options.copies, options.peers)
        answers = _take_turns(task, options.methods, options.rounds)
        rows += [_row(task, method, answers[method]) for method in options.methods]
        compared.append(_compare(task, answers.get("dex-retargeting vector", "dex-retargeting vector was not run")))
        one_by_one += [online(task)] if options.frames > ONLINE_WARM_UP else []
        whole += [end_to_end(task, target, ours, options.rounds)] if ours and not whole else []
    return {"rows": rows, "objective": compared, "online": one_by_one, "end_to_end": whole}


def _take_turns(task: Task, methods: list[str], rounds: int) -> dict[str, Answer | str]:
    """Run A B C A B C ..., so that what else the machine does meets all alike."""
    best: dict[str, Answer | str] = {}
    for method in OURS:
        if method in methods:  # compiled and cached before anything is timed
            _try(method, task, "warm-up")
    for turn in range(rounds):
        for method in methods:
            if isinstance(best.get(method), str):
                continue
            answer = _try(method, task, f"round {turn + 1}/{rounds}")
            best[method] = _faster(best.get(method), answer)
    return best


def _try(method: str, task: Task, turn: str) -> Answer | str:
    print(f"{task.motion.name:9s} {turn:9s} {method:25s}", end=" ", file=sys.stderr, flush=True)
    try:
        answer = run(method, task)
    except NotRunError as error:
        print(f"not run: {error}", file=sys.stderr)
        return str(error)
    print(f"{len(answer.joints) / answer.seconds:9.0f} frames/s", file=sys.stderr)
    return answer


def _faster(before: Answer | str | None, now: Answer | str) -> Answer | str:
    if not isinstance(before, Answer) or not isinstance(now, Answer):
        return now
    wall, cpu = min(before.seconds, now.seconds), min(before.cpu_seconds, now.cpu_seconds)
    return replace(now, seconds=wall, cpu_seconds=cpu)


def _row(task: Task, method: str, answer: Answer | str) -> dict[str, Any]:
    if isinstance(answer, str):
        return _not_run(task.motion.name, method, answer)
    frames = len(answer.joints)
    return {
        "method": method,
        "sequence": task.motion.name,
        "version": answer.version,
        "frames": frames,
        "frames_per_s": frames / answer.seconds,
        "frames_per_cpu_s": frames / answer.cpu_seconds,
        **measure(task.hand, answer.joints, task.motion.truth, task.scale, task.motion.fps),
        "not_run": None,
    }


def _compare(task: Task, dex: Answer | str) -> dict[str, Any]:
    if isinstance(dex, str):
        return {"sequence": task.motion.name, "not_run": dex}
    try:
        return compare(task, dex.joints) | {"not_run": None}
    except NotRunError as error:
        return {"sequence": task.motion.name, "not_run": str(error)}


def _not_run(sequence: str, method: str, why: str) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(("version", "frames", *FIGURES))
    return {"method": method, "sequence": sequence, **nothing, "not_run": why}


def table(rows: Rows) -> str:
    """Lay the rows out, then say what the columns mean."""
    keys = ("sequence", "method", "frames", *FIGURES)
    header = [key.replace("_per_", "/").replace("_", " ") for key in keys]
    cells = [header, *([_cell(row[key]) for key in keys] for row in rows if row["not_run"] is None)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    lines += [f"{row['sequence']}  {row['method']}  not run: {row['not_run']}" for row in rows if row["not_run"]]
    return "\n".join([*lines, "", *(f"{key}: {meaning}" for key, meaning in COLUMNS.items())])


def objective_text(compared: Rows) -> str:
    """Say how our solver does at dex-retargeting's own vector objective."""
    lines = [
        "dex-retargeting's vector objective, minimised by our solver from the same posture within the same bounds:"
    ]
    for row in compared:
        found = (
            "not run: {not_run}"
            if row["not_run"]
            else (
                "lower or equal (+1e-6) on {lower_or_equal} of {frames} frames after {iterations} iterations, "
                "excess at most {largest_excess:.1e}, median {median_excess:.1e}"
            )
        )
        lines.append(f"{row['sequence']}  {found.format(**row)}")
    return "\n".join(lines)


def online_text(one_by_one: Rows) -> str:
    """Say how long a frame takes when frames come one by one."""
    lines = ["our online retargeter, ms a frame (median, p99):"]
    for row in one_by_one:
        wall, cpu = (f"{row[what + '_p50_ms']:.2f}, {row[what + '_p99_ms']:.2f}" for what in ("wall", "cpu"))
        lines.append(f"{row['sequence']}  {wall}; of processor time {cpu}")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
    return "-" if value is None else str(value)


def machine(threads: int) -> dict[str, Any]:
    """Say what the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--sequences", nargs="+", choices=MOTIONS, default=list(MOTIONS), metavar="SEQUENCE")
    parser.add_argument("--frames", type=int, default=1800, help="frames of a sequence at most (%(default)s)")
    parser.add_argument("--hand", default="sharpa/wave", help="embodiment whose right hand is driven (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of every method (%(default)s)")
    parser.add_argument("--copies", type=int, default=1, help="clips that ours takes in one call (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of ours (%(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with webcam_hand and hololens2")
    parser.add_argument(
        "--peers", type=Path, default=ROOT / ".venv-peers/bin/python", help="Python that has the others"
    )
    parser.add_argument("--json", type=Path, help="write rows and machine here")
    options = parser.parse_args(arguments)
    if min(options.frames, options.rounds, options.copies, options.threads) < 1:
        parser.error("--frames, --rounds, --copies and --threads must be at least 1")
    return options


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    found = measure_all(options)
    texts = (objective_text(found["objective"]), online_text(found["online"]), end_to_end_text(found["end_to_end"]))
    print(table(found["rows"]), *texts, sep="\n\n")
    if options.json:
        report = {"machine": machine(options.threads), "columns": COLUMNS, **found}
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
