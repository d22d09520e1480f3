"""The motions of people that retargeters are measured on: right hands, canonical keypoints.

``synth`` is a procedural adult whose joint angles are known, ``noisy`` the same seen by a poor tracker (and judged by
the exact keypoints); ``webcam`` and ``hololens2`` are real recordings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from measures import Kinematics

from egoscale_sdk.data.importers.keypoint_csv import read_csv
from egoscale_sdk.hands import keypoints_in_wrist, plausible_hands, to_canonical, wrist_frame
from egoscale_sdk.sim.person import KEYPOINTS, person_hand
from egoscale_sdk.testing.gestures import GESTURES, angles_rad

FPS = 30
MOVE_S, HOLD_S = 1.0, 0.6
TREMOR_RAD, TREMOR_HZ = 5e-4, 9.0
WHITE_M, DRIFT_M, DRIFT_FRAMES = 0.0015, 0.003, 10


@dataclass(frozen=True)
class Motion:
    """A clip of one right hand.

    Attributes:
        name: Of the sequence.
        keypoints: ``(T, 21, 3)`` metres, in canonical wrist axes, the wrist at the origin: what every method is given.
        truth: ``(T, 21, 3)`` what the result is judged by: exact keypoints where they are known, else the same.
        fps: Frames per second, evenly spaced.
    """

    name: str
    keypoints: np.ndarray
    truth: np.ndarray
    fps: float


def person_joints(frames: int, seed: int = 0) -> np.ndarray:
    """Joint angles ``(T, 21)`` of the person: gestures, pinches and random postures, with a hand's tremor."""
    rng = np.random.default_rng(seed)
    per_posture = round((MOVE_S + HOLD_S) * FPS)
    postures = [_random_posture(rng) if name is None else angles_rad(name) for name in _order(rng, frames, per_posture)]
    time = np.clip(np.arange(per_posture) / (MOVE_S * FPS), 0, 1)[:, None]
    share = time**3 * (10 - 15 * time + 6 * time**2)  # minimum jerk
    motion = np.concatenate([(1 - share) * a + share * b for a, b in pairwise(postures)])[:frames]
    phase = rng.uniform(0, 2 * np.pi, motion.shape[1])
    tremor = np.sin(2 * np.pi * TREMOR_HZ * np.arange(frames)[:, None] / FPS + phase)
    return motion + np.sqrt(2) * TREMOR_RAD * tremor


def _order(rng: np.random.Generator, frames: int, per_posture: int) -> list[str | None]:
    """Every gesture and two random postures (None), shuffled anew each time round."""
    names: list[str | None] = []
    while len(names) < frames // per_posture + 2:
        names += list(rng.permutation(np.array([*GESTURES, None, None], object)))
    return names


def _random_posture(rng: np.random.Generator) -> np.ndarray:
    joints = person_hand().joints
    lower, upper = (np.array([getattr(joint, end) for joint in joints], float) for end in ("lower", "upper"))
    return lower + (upper - lower) * rng.uniform(0.2, 0.75, len(joints))


def synth(frames: int, data: Path) -> Motion:
    del data
    poses = Kinematics(person_hand()).poses(person_joints(frames))
    exact = np.stack([poses[name][:, :3, 3] for name in KEYPOINTS], axis=1)
    return Motion("synth", exact, exact, FPS)


def noisy(frames: int, data: Path) -> Motion:
    """White noise and a slow drift on every coordinate of every keypoint but the wrist.

    As with a recording, the wrist axes are those of the points that are seen; the exact ones nobody knows.
    """
    exact, rng = synth(frames, data).keypoints, np.random.default_rng(1)
    keep = np.exp(-1 / DRIFT_FRAMES)
    drift, steps = np.zeros_like(exact), rng.normal(scale=DRIFT_M * np.sqrt(1 - keep**2), size=exact.shape)
    drift[0] = steps[0] / np.sqrt(1 - keep**2)
    for t in range(1, len(exact)):
        drift[t] = keep * drift[t - 1] + steps[t]
    seen = exact + drift + rng.normal(scale=WHITE_M, size=exact.shape)
    seen[:, 0] = exact[:, 0]
    return Motion("noisy", _in_wrist(seen), exact, FPS)


def webcam(frames: int, data: Path) -> Motion:
    with np.load(data / "webcam_hand" / "human_joint_right.npz", allow_pickle=False) as file:
        keypoints, fps = file["keypoints"].astype(np.float64), float(file["rate_hz"])
    seen = _in_wrist(keypoints[:frames])
    return Motion("webcam", seen, seen, fps)


def hololens2(frames: int, data: Path) -> Motion:
    """Longest stretch without a gap of a right hand, brought to even spacing at its own mean rate."""
    found = [_longest_stretch(path) for path in sorted((data / "hololens2").glob("*.csv"))]
    if not found:
        raise FileNotFoundError(data / "hololens2")
    time_s, keypoints = max(found, key=lambda stretch: len(stretch[0]))
    even = np.linspace(time_s[0], time_s[-1], len(time_s))
    columns = [np.interp(even, time_s, column) for column in keypoints.reshape(len(time_s), -1).T]
    seen = _in_wrist(np.stack(columns, axis=1).reshape(-1, 21, 3)[:frames])
    return Motion("hololens2", seen, seen, (len(even) - 1) / (even[-1] - even[0]))


def _longest_stretch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    table = read_csv(path, "hololens")
    assert table.time_ns is not None
    keypoints, _ = to_canonical(table.points[:, 1], "hololens")
    seen = plausible_hands(keypoints)
    edges = np.flatnonzero(np.diff(seen.astype(int), prepend=0, append=0))
    start, stop = max(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[1] - run[0], default=(0, 0))
    return table.time_ns[start:stop] / 1e9, keypoints[start:stop].astype(np.float64)


def _in_wrist(keypoints: np.ndarray) -> np.ndarray:
    frame, valid = wrist_frame(keypoints, "right")
    assert valid.all()
    return keypoints_in_wrist(keypoints, frame)


MOTIONS: dict[str, Callable[[int, Path], Motion]] = {
    "synth": synth,
    "noisy": noisy,
    "webcam": webcam,
    "hololens2": hololens2,
}
"""Sequence by name: a function of the number of frames and of the folder with the recordings."""
