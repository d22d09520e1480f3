"""Retargeting measured: speed, limits, how well shapes and pinches are kept, and how smooth the joints are.

Every hand is retargeted on the same frames: a procedural person (open hand, fist, a pinch with each finger), the same
with tracker noise, and a real webcam recording where it is at hand. `frame by frame` is the same solver without its
passes over time. Noisy frames are scored against the clean ones. Prints a table and what each column means.

    python benchmarks/retargeting.py --json retargeting.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from egoscale_sdk.host import default_host
from egoscale_sdk.interfaces import position_limits
from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.retargeting import KeypointRetargeter
from egoscale_sdk.specs import HandSpec

HANDS = ("sharpa/wave", "unitree/g1_dex3")
METHODS = {"full": {}, "frame by frame": {"rounds": 0}}
WEBCAM = Path(__file__).resolve().parents[2] / "shared/data/webcam_hand/human_joint_right.npz"
FPS = 30
PINCH_M, TOUCH_M, APART_M = 0.020, 0.010, 0.030
COLUMNS = {
    "hand_frames_s": "hand-frames per second of processor time, the best run (wall time, if nothing else runs)",
    "over_limit": "frames with a joint beyond the spec's limits, compared in float64",
    "residual_mm": "median / 95th percentile of the retargeter's residual, mm",
    "pinch_mm": f"median / p95 of |robot - person| thumb-to-finger distance, mm, the person's being < {PINCH_M:.3f} m",
    "kept": f"share of the person's pinches below {TOUCH_M:.3f} m that the robot keeps below it",
    "false": f"share of finger-frames with the person's > {APART_M:.3f} m and the robot's < {TOUCH_M:.3f} m",
    "jitter_rad_s2": "root mean square joint acceleration",
}

# ---- a procedural right hand in wrist axes: z along the fingers, x out of the palm, y towards the thumb; metres

KNUCKLES = np.array([[0.0, 0.026, 0.092], [0.0, 0.004, 0.095], [0.0, -0.016, 0.089], [0.0, -0.034, 0.080]])
BONES = np.array([[0.040, 0.024, 0.020], [0.044, 0.028, 0.021], [0.041, 0.027, 0.021], [0.033, 0.020, 0.019]])
BEND_RAD = np.array([1.3, 1.5, 0.9])
THUMB_ROOT, THUMB_BONES = np.array([0.012, 0.024, 0.026]), np.array([0.044, 0.033, 0.026])
THUMB_OPEN = THUMB_ROOT + 0.98 * THUMB_BONES.sum() * np.array([0.30, 0.80, 0.52]) / 0.999
# flexion of index, middle, ring, pinky in [0, 1], and which finger the thumb touches (None: it is open)
POSES: dict[str, tuple[tuple[float, float, float, float], int | None]] = {
    "open": ((0, 0, 0, 0), None),
    "fist": ((1, 1, 1, 1), None),
    "index pinch": ((0.68, 0.3, 0.2, 0.2), 0),
    "middle pinch": ((0.4, 0.72, 0.5, 0.4), 1),
    "ring pinch": ((0.2, 0.3, 0.75, 0.6), 2),
    "pinky pinch": ((0.1, 0.2, 0.5, 0.8), 3),
}


def fingers(flexion: np.ndarray) -> np.ndarray:
    """Knuckle to tip of four fingers ``(4, 4, 3)`` at flexions ``(4,)``."""
    angle = np.cumsum(flexion[:, None] * BEND_RAD, axis=1)
    steps = BONES[..., None] * np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=-1)
    return KNUCKLES[:, None] + np.concatenate([np.zeros((4, 1, 3)), np.cumsum(steps, axis=1)], axis=1)


def thumb(tip: np.ndarray) -> np.ndarray:
    """Thumb from root to tip ``(4, 3)``: two links whose elbow points outwards; the outer one holds two bones."""
    inner, outer = THUMB_BONES[0], THUMB_BONES[1:].sum()
    reach = tip - THUMB_ROOT
    length = np.clip(np.linalg.norm(reach), outer - inner + 1e-3, outer + inner - 1e-3)
    along = reach / np.linalg.norm(reach)
    aside = np.array([0.2, 1.0, -0.2]) - along * (along @ [0.2, 1.0, -0.2])
    part = (inner**2 - outer**2 + length**2) / (2 * length)
    elbow = THUMB_ROOT + part * along + np.sqrt(inner**2 - part**2) * aside / np.linalg.norm(aside)
    end = THUMB_ROOT + length * along
    return np.stack([THUMB_ROOT, elbow, elbow + THUMB_BONES[1] / outer * (end - elbow), end])


def person(seconds: float, seed: int = 0) -> np.ndarray:
    """A motion ``(T, 21, 3)`` through random poses, minimum jerk between them, each held for a while."""
    rng = np.random.default_rng(seed)
    names = rng.permuted(np.tile(list(POSES), (int(seconds) // len(POSES) + 1, 1)), axis=1).ravel()
    frames = []
    for before, after in pairwise(names):
        for u in np.clip(np.arange(FPS) / (0.7 * FPS), 0, 1):
            s = u**3 * (10 - 15 * u + 6 * u * u)
            frames.append(_between(POSES[before], POSES[after], s))
    return np.stack(frames)


def _between(before: Any, after: Any, share: float) -> np.ndarray:
    chains = fingers((1 - share) * np.array(before[0]) + share * np.array(after[0]))
    tips = [THUMB_OPEN if touched is None else chains[touched, -1] for _, touched in (before, after)]
    return np.concatenate([np.zeros((1, 3)), thumb((1 - share) * tips[0] + share * tips[1]), chains.reshape(-1, 3)])


# ---- measuring


def clips(seconds: float, webcam: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Keypoints to retarget and keypoints to score against, by name."""
    clean = person(seconds)
    noise = np.random.default_rng(1).normal(scale=0.0015, size=clean.shape)
    found = {"synthetic": (clean, clean), "synthetic, 1.5 mm noise": (clean + noise, clean)}
    if webcam.is_file():
        real = np.load(webcam, allow_pickle=False)["keypoints"].astype(np.float64)
        found["webcam"] = (real, real)
    return found


def measure(
    hand: HandSpec, settings: dict[str, Any], keypoints: np.ndarray, truth: np.ndarray, repeats: int
) -> dict[str, Any]:
    retargeter, points, times = KeypointRetargeter(hand, **settings), torch.from_numpy(keypoints), []
    for _ in range(repeats):
        start = time.process_time()
        result = retargeter.retarget(points)
        times.append(time.process_time() - start)
    joints, residual_mm = result.joints.double(), 1e3 * result.residual_m[result.valid].numpy()
    lower, upper = position_limits(hand.actuated, joints)
    return {
        "frames": len(keypoints),
        "valid": int(result.valid.sum()),
        "hand_frames_s": len(keypoints) / min(times),
        "over_limit": int(((joints < lower) | (joints > upper)).any(-1).sum()),
        "residual_mm": percentiles(residual_mm),
        "jitter_rad_s2": float((joints.diff(n=2, dim=0) * FPS**2).square().mean().sqrt()),
    } | pinches(hand, joints, truth)


def pinches(hand: HandSpec, joints: torch.Tensor, truth: np.ndarray) -> dict[str, Any]:
    """Distances from the thumb's tip to every other, the robot's beside the person's."""
    tips = [finger.frames[-1] for finger in hand.fingers]
    assert hand.tree is not None
    at = ForwardKinematics(hand.tree, hand.joints, [tip.frame for tip in tips], hand.root)(joints)[..., :3, 3].numpy()
    own = np.stack([truth[:, list(tip.keypoints)].mean(1) for tip in tips], axis=1)
    robot, human = (np.linalg.norm(p[:, 1:] - p[:, :1], axis=-1) for p in (at, own))
    near, touching, apart = human < PINCH_M, human < TOUCH_M, human > APART_M
    return {
        "pinches": int(near.sum()),
        "pinch_mm": percentiles(1e3 * np.abs(robot - human)[near]),
        "kept": float((robot < TOUCH_M)[touching].mean()) if touching.any() else None,
        "false": float((robot < TOUCH_M)[apart].mean()) if apart.any() else None,
    }


def percentiles(values: np.ndarray) -> list[float] | None:
    return np.percentile(values, [50, 95]).tolist() if len(values) else None


def run(seconds: float, webcam: Path, repeats: int) -> list[dict[str, Any]]:
    rows = []
    for name in HANDS:
        hand = default_host().spec(name).hand("right")
        for clip, (keypoints, truth) in clips(seconds, webcam).items():
            for method, settings in METHODS.items():
                figures = measure(hand, settings, keypoints, truth, repeats)
                rows.append({"hand": name, "clip": clip, "method": method, **figures})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    keys = ("hand", "clip", "method", "frames", "valid", "pinches", *COLUMNS)
    cells = [[str(key) for key in keys], *([_cell(row[key]) for key in keys] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n".join([*lines, "", *(f"{key}: {meaning}" for key, meaning in COLUMNS.items())])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " / ".join(f"{item:.2f}" for item in value)
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return "-" if value is None else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="length of the synthetic clips")
    parser.add_argument("--webcam", type=Path, default=WEBCAM, help="NPZ with keypoints (T, 21, 3) of a right hand")
    parser.add_argument("--repeats", type=int, default=3, help="runs to take the fastest of")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write rows and machine here")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = run(options.seconds, options.webcam, options.repeats)
    print(table(rows))
    if options.json:
        machine = {"cpu": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}
        machine["threads"] = options.threads
        options.json.write_text(json.dumps({"machine": machine, "columns": COLUMNS, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
