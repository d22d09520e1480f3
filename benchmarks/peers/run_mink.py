"""Retargets a job with mink, in the peers' environment: ``python run_mink.py FOLDER``.

The tasks and weights are those of mink's own example of a five-finger hand, with a lighter task for one inner link a
finger besides: joint limits are hard constraints, one quadratic program a frame starts from the last frame's posture.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import mink
import mujoco
import numpy as np
from exchange import Job, read_job, timed, write_answer

TIP_COST, INNER_COST, POSTURE_COST, LM_DAMPING = 1.0, 0.5, 1e-2, 1.0
WARM_UP = 20  # programs for the first frame, so that it does not start from afar
COMPILER = '<mujoco><compiler fusestatic="false" boundmass="0.001" boundinertia="1e-6" balanceinertia="true"/></mujoco>'


class Hand:
    """Follows one frame after another."""

    def __init__(self, urdf: str, job: Job) -> None:
        model = mujoco.MjModel.from_xml_string(urdf.replace("<link ", COMPILER + "<link ", 1))
        self.columns = [model.joint(name).qposadr[0] for name in job.joints]
        rest = np.zeros(model.nq)
        rest[self.columns] = job.rest
        self.configuration = mink.Configuration(model, q=rest)
        self.limits = [mink.ConfigurationLimit(model)]
        self.coupled = [mink.EqualityConstraintTask(model, cost=1.0)] if model.neq else None
        costs = [TIP_COST] * len(job.tips) + [INNER_COST] * len(job.inner)
        self.frames = [
            mink.FrameTask(link, "body", position_cost=cost, orientation_cost=0.0, lm_damping=LM_DAMPING)
            for link, cost in zip(job.tips + job.inner, costs, strict=True)
        ]
        posture = mink.PostureTask(model, cost=POSTURE_COST)
        posture.set_target(rest)
        self.tasks = [*self.frames, posture]

    def follow(self, points: np.ndarray, programs: int = 1) -> np.ndarray:
        """Return the joints after moving towards ``points (2F, 3)`` of tips and inner links, metres."""
        for task, point in zip(self.frames, points, strict=True):
            task.set_target(mink.SE3.from_translation(point))
        for _ in range(programs):
            velocity = mink.solve_ik(
                self.configuration, self.tasks, 1.0, "daqp", limits=self.limits, constraints=self.coupled
            )
            self.configuration.integrate_inplace(velocity, 1.0)
        return self.configuration.q[self.columns]


def main() -> None:
    folder = Path(sys.argv[1])
    job, points = read_job(folder)
    hand = Hand((folder / "hand.urdf").read_text(), job)
    targets = job.scale * points
    hand.follow(targets[0], WARM_UP)
    write_answer(folder, timed(hand.follow, targets, version("mink")))


if __name__ == "__main__":
    main()
