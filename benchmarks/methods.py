"""The retargeters that are compared: ours in this process, others in their own environment, each in its own process."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measures import Kinematics
from motions import Motion
from peers.exchange import Answer, Job, read_answer, write_job

import egoscale_sdk
from egoscale_sdk.host import default_host
from egoscale_sdk.interfaces import Retargeter
from egoscale_sdk.retargeting import OnlineRetargeter
from egoscale_sdk.retargeting.quality import followed_points, thumb_first
from egoscale_sdk.scaffold.urdf_text import urdf_text
from egoscale_sdk.specs import HandSpec, KinematicTree, TreeJoint

PEER_SCRIPTS = Path(__file__).resolve().parent / "peers"
OURS: dict[str, dict[str, Any]] = {
    "egoscale": {"backend": "simd", "target": "scaled"},
    "egoscale eager": {"backend": "eager", "target": "scaled"},
    "egoscale shape": {"backend": "simd", "target": "shape"},
}
"""Settings of our retargeter by the method's name. The first two follow the places that all others follow; the last one
is the default, which keeps the directions of bones."""

PEERS = {
    "dex-retargeting vector": ("run_dex.py", "vector"),
    "dex-retargeting position": ("run_dex.py", "position"),
    "dex-retargeting dexpilot": ("run_dex.py", "dexpilot"),
    "mink": ("run_mink.py", "mink"),
}
"""Script and its own name of the method, by the method's name."""

METHODS = (*OURS, *PEERS)
PEER_LIMIT_S = 3600
ONLINE_FRAMES, ONLINE_WARM_UP = 400, 20
WRIST = "canonical_wrist"


class NotRunError(Exception):
    """A method cannot run here; the text says why."""


@dataclass(frozen=True)
class Task:
    """One hand and one clip, for every method the same.

    Attributes:
        hand: The robot's hand.
        motion: The person's.
        scale: Size of the robot's hand over the person's.
        copies: How many clips our retargeter takes in one call; others take one frame at a time.
        peers: The interpreter of the peers' environment.
        built: Our retargeters by method, built and compiled once.
    """

    hand: HandSpec
    motion: Motion
    scale: float
    copies: int
    peers: Path
    built: dict[str, Retargeter] = field(default_factory=dict)


def run(method: str, task: Task) -> Answer:
    """Retarget the clip once.

    Raises:
        NotRunError: the method cannot run here.
    """
    return _run_ours(method, task) if method in OURS else _run_peer(*PEERS[method], task)


def _run_ours(method: str, task: Task) -> Answer:
    retargeter = _built(method, task)
    clip = torch.from_numpy(task.motion.keypoints)
    clips = clip.expand(task.copies, *clip.shape).contiguous()
    wall, cpu = time.perf_counter(), time.process_time()
    joints = retargeter.retarget(clips).joints
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Answer(joints[0].numpy(), wall / task.copies, cpu / task.copies, egoscale_sdk.__version__)


def online(task: Task) -> dict[str, Any]:
    """Lead our online retargeter through the clip frame by frame and return how long a frame takes, ms."""
    retargeter, times = OnlineRetargeter(task.hand, rate_hz=task.motion.fps), []
    for frame in torch.from_numpy(task.motion.keypoints[:ONLINE_FRAMES]):
        wall, cpu = time.perf_counter(), time.process_time()
        retargeter.step(frame)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall_ms, cpu_ms = 1e3 * np.array(times[ONLINE_WARM_UP:]).T
    named = {"wall": wall_ms, "cpu": cpu_ms}
    figures = {f"{what}_p{p}_ms": float(np.percentile(ms, p)) for what, ms in named.items() for p in (50, 99)}
    return {"sequence": task.motion.name, "frames": len(wall_ms), **figures}


def _built(method: str, task: Task) -> Retargeter:
    """Return the retargeter that the SDK chooses for the hand, with the method's settings."""
    if method not in task.built:
        settings = OURS[method] | {"rate_hz": task.motion.fps}
        task.built[method] = type(default_host().retargeter(task.hand))(task.hand, **settings)
    return task.built[method]


def _run_peer(script: str, method: str, task: Task) -> Answer:
    if not task.peers.is_file():
        raise NotRunError("no environment of peers: make bench-peers")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_job(folder, *_peer_job(method, task))
        command = [str(task.peers), str(PEER_SCRIPTS / script), str(folder)]
        environment = {"OMP_NUM_THREADS": "1", "PATH": os.defpath, "HOME": name, "TMPDIR": name}
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PEER_LIMIT_S, env=environment)
        except subprocess.TimeoutExpired:
            raise NotRunError(f"took longer than {PEER_LIMIT_S} s") from None
        if done.returncode != 0:
            raise NotRunError((done.stderr.strip() or f"ended with {done.returncode}").splitlines()[-1])
        return read_answer(folder)


def _peer_job(method: str, task: Task) -> tuple[Job, str, np.ndarray]:
    """Return the job, the hand's URDF whose root is the canonical wrist, and the person's points in its axes."""
    roles, points = thumb_first(task.hand), followed_points(task.hand, task.motion.keypoints)
    job = Job(
        method=method,
        wrist=WRIST,
        tips=[finger.frames[-1].frame for finger in roles],
        inner=[finger.frames[k].frame for finger, k in zip(roles, halfway(task.hand), strict=True)],
        joints=[joint.name for joint in task.hand.actuated],
        rest=list(task.hand.open_pose or (0.0,) * len(task.hand.actuated)),
        scale=task.scale,
    )
    inner = [finger[:, k] for finger, k in zip(points, halfway(task.hand), strict=True)]
    return job, peer_urdf(task.hand), np.stack([*(finger[:, -1] for finger in points), *inner], axis=1)


def halfway(hand: HandSpec) -> list[int]:
    """Return, finger by finger, which of its frames is the inner one that is followed beside the tip."""
    return [(len(finger.frames) - 1) // 2 for finger in thumb_first(hand)]


def peer_urdf(hand: HandSpec) -> str:
    """Return a hand's URDF, limits and mimics included, hung on its canonical wrist."""
    assert hand.tree is not None
    T = Kinematics(hand).poses(np.zeros((1, len(hand.actuated))))[hand.tree.root][0]
    rpy = (np.arctan2(T[2, 1], T[2, 2]), -np.arcsin(np.clip(T[2, 0], -1, 1)), np.arctan2(T[1, 0], T[0, 0]))
    mount = TreeJoint(
        name=f"{WRIST}_mount",
        kind="fixed",
        parent=WRIST,
        child=hand.tree.root,
        xyz_m=tuple(T[:3, 3].tolist()),
        rpy_rad=tuple(float(angle) for angle in rpy),
    )
    return urdf_text(KinematicTree(root=WRIST, joints=(mount, *hand.tree.joints)), name="hand", joints=hand.joints)
