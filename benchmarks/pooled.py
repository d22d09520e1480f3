"""One policy for two bodies: people retargeted to one hand, and a real humanoid with another.

Records a simulated person, retargets them, imports a real LeRobot recording, trains one policy on both with two
episodes of the real recording (and some of the person's) kept out, and prints held-out errors in native units beside
"hold the last pose" and "mean motion of every step". Every step is an ordinary command.

    python benchmarks/pooled.py ../shared/data/g1_inspire_lerobot_v21 --work pooled --json pooled.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

METRICS = ("wrist_mm", "wrist_deg", "hand_rad")


def egoscale(*words: object) -> str:
    print("$ egoscale", *words, file=sys.stderr)
    command = [sys.executable, "-m", "egoscale_sdk", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def run(recording: Path, work: Path, episodes: int, steps: int, holdout: int) -> dict[str, Any]:
    work.mkdir(parents=True, exist_ok=True)
    people, robot = work / "people.zarr", work / "robot.zarr"
    egoscale("simulate", "human/hands", work / "recording", "--episodes", episodes)
    egoscale("import", "keypoints", work / "recording", people)
    egoscale("retarget", people, "--to", "sharpa/wave")
    egoscale("import", "lerobot", recording, robot, "--image-size", 72, 96)
    data = (f"{people}:1:sharpa_wave", f"{robot}:1")
    out = ("--out", work / "policy", "--steps", steps, "--holdout", holdout, "--json")
    return json.loads(egoscale("train", "tiny", "--data", *data, *out))


def table(summary: dict[str, Any]) -> str:
    lines = [f"{'held-out data':<28}{'guess':<14}" + "".join(f"{metric:>12}" for metric in METRICS)]
    for name, scores in summary["evaluation"]["data"].items():
        for guess in ("policy", "hold", "hold_command", "mean"):
            if guess in scores:
                values = "".join(f"{scores[guess].get(metric, float('nan')):12.4f}" for metric in METRICS)
                lines.append(f"{name:<28}{guess:<14}{values}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, help="real LeRobot recording of unitree/g1_inspire")
    parser.add_argument("--work", type=Path, default=Path("pooled"), help="new folder for data and checkpoint")
    parser.add_argument("--episodes", type=int, default=240, help="simulated episodes of the person")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--holdout", type=int, default=2, help="episodes of each dataset to keep out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    summary = run(options.recording, options.work, options.episodes, options.steps, options.holdout)
    print(table(summary))
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
