"""Retargets a job with dex-retargeting, in the peers' environment: ``python run_dex.py FOLDER``.

Settings are the package's own, as in its configuration of a five-finger hand: vectors (or positions) of every
fingertip and of one inner link a finger, DexPilot's pairs of tips; no low-pass filter, which would add lag.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dex_retargeting.optimizer import DexPilotOptimizer
from dex_retargeting.retargeting_config import RetargetingConfig
from exchange import Job, read_job, timed, write_answer


def config(job: Job) -> dict[str, Any]:
    links = job.tips + job.inner
    shared = {"urdf_path": str(Path(sys.argv[1]) / "hand.urdf"), "type": job.method, "low_pass_alpha": 1.0}
    if job.method == "dexpilot":
        return shared | {"wrist_link_name": job.wrist, "finger_tip_link_names": job.tips, "scaling_factor": job.scale}
    unused = np.zeros(len(links), int)  # whoever calls `retarget` looks keypoints up; we hand over the values
    if job.method == "position":
        return shared | {"target_link_names": links, "target_link_human_indices": unused}
    return shared | {
        "target_origin_link_names": [job.wrist] * len(links),
        "target_task_link_names": links,
        "target_link_human_indices": np.stack([unused, unused]),
        "scaling_factor": job.scale,
    }


def references(job: Job, points: np.ndarray) -> np.ndarray:
    """Return what `retarget` takes, frame by frame."""
    if job.method == "position":  # of links in the root's axes, which this method does not scale
        return job.scale * points
    if job.method == "vector":
        return points
    count = len(job.tips)
    origin, task = DexPilotOptimizer.generate_link_indices(count)
    at = np.concatenate([np.zeros_like(points[:, :1]), points[:, :count]], axis=1)
    return at[:, task] - at[:, origin]


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    job, points = read_job(folder)
    retargeting = RetargetingConfig.from_dict(config(job)).build()
    columns = [retargeting.joint_names.index(name) for name in job.joints]
    write_answer(
        folder,
        timed(lambda frame: retargeting.retarget(frame)[columns], references(job, points), version("dex-retargeting")),
    )


if __name__ == "__main__":
    main()
