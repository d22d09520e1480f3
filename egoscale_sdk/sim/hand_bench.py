"""One hand alone in free space, held by its wrist: what the model that a spec gives does by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

import numpy as np

from egoscale_sdk.geometry import Floats, make_pose
from egoscale_sdk.sim.hand_model import HAND, STIFF, TIMESTEP_S, add_hand, empty_spec, joint_values
from egoscale_sdk.sim.mj import mujoco
from egoscale_sdk.specs import HandSpec

BALL = "ball"
_RGBA = (0.25, 0.3, 0.38, 1.0)
_APART_M = 0.05  # distances of bodies are not looked at beyond this


class HandBench:
    """A hand whose canonical wrist frame is the world frame, standing still; optionally with a ball that stands still.

    Args:
        hand: The hand; it needs a kinematic tree and bodies.
        ball_m: Centre of the ball in the wrist frame; None for no ball.
        radius_m: Radius of the ball.

    Raises:
        MissingExtraError: MuJoCo is not installed.
        SpecError: the hand cannot be simulated.
    """

    def __init__(self, hand: HandSpec, ball_m: Floats | None = None, radius_m: float = 0.015) -> None:
        mj = mujoco()
        self.hand = hand
        spec = empty_spec()
        wrist = spec.worldbody.add_body(name="wrist")
        add_hand(spec, wrist, hand, STIFF, _RGBA)
        if ball_m is not None:
            shape = {"type": mj.mjtGeom.mjGEOM_SPHERE, "pos": ball_m, "size": [radius_m, 0, 0]}
            spec.worldbody.add_geom(name=BALL, contype=0, conaffinity=1, **shape)
        self.model = spec.compile()
        self.data = mj.MjData(self.model)
        self._adr = {joint.name: self.model.joint(HAND + joint.name).qposadr[0] for joint in hand.joints}
        names = [self.model.actuator(index).name for index in range(self.model.nu)]
        self._servos = [names.index(HAND + joint.name) for joint in hand.actuated]

    @property
    def mass_kg(self) -> float:
        """Mass of the hand."""
        return float(self.model.body_subtreemass[self.model.body("wrist").id])

    @property
    def joints(self) -> dict[str, float]:
        """Measured value of every joint by name, followers included, rad or m."""
        return {name: float(self.data.qpos[adr]) for name, adr in self._adr.items()}

    @property
    def unstable(self) -> bool:
        """Whether the simulation blew up since `place`; MuJoCo then begins anew, with all joints at zero."""
        kinds = mujoco().mjtWarning
        bad = (kinds.mjWARN_BADQPOS, kinds.mjWARN_BADQVEL, kinds.mjWARN_BADQACC)
        return any(self.data.warning[int(kind)].number for kind in bad)

    def place(self, q: Floats) -> None:
        """Put the hand into a configuration ``(J,)``, at rest, its servos holding it."""
        mujoco().mj_resetData(self.model, self.data)
        for name, value in joint_values(self.hand, q).items():
            self.data.qpos[self._adr[name]] = value
        self.data.ctrl[self._servos] = q
        mujoco().mj_forward(self.model, self.data)

    def drive(self, q: Floats, duration_s: float) -> None:
        """Move the servos' targets evenly to ``q (J,)`` over ``duration_s``, simulating meanwhile."""
        start = self.data.ctrl[self._servos].copy()
        count = max(1, round(duration_s / TIMESTEP_S))
        with _no_log():
            for share in np.arange(1, count + 1) / count:
                self.data.ctrl[self._servos] = start + share * (q - start)
                mujoco().mj_step(self.model, self.data)

    def link_poses(self) -> dict[str, Floats]:
        """Return the pose of every link of the hand in its canonical wrist frame, 4x4."""
        assert self.hand.tree is not None
        bodies = {link: self.data.body(HAND + link) for link in self.hand.tree.links}
        return {link: make_pose(body.xmat.reshape(3, 3), body.xpos) for link, body in bodies.items()}

    def overlaps(self) -> dict[tuple[str, str], float]:
        """Return how deep the bodies of each two links are in each other, metres, where they are; see `place`."""
        found: dict[tuple[str, str], float] = {}
        hand = [geom for geom in range(self.model.ngeom) if self._link(geom)]
        for one, other in combinations(hand, 2):
            links = self._link(one), self._link(other)
            distance = mujoco().mj_geomDistance(self.model, self.data, one, other, _APART_M, None)
            if links[0] != links[1] and distance < 0:
                found[links] = max(found.get(links, 0.0), -distance)
        return found

    def touched(self) -> frozenset[str]:
        """Return the links whose bodies touch the ball, now."""
        pairs = [contact.geom for contact in self.data.contact]
        return frozenset(link for pair in pairs for geom in pair if (link := self._link(geom)))

    def _link(self, geom: int) -> str:
        """Return the link that a geom belongs to; an empty string for the ball."""
        name: str = self.model.body(self.model.geom_bodyid[geom]).name
        return name.removeprefix(HAND) if name.startswith(HAND) else ""


@contextmanager
def _no_log() -> Iterator[None]:
    """Keep MuJoCo from writing a log file into the working directory; `HandBench.unstable` says what it would."""
    mj = mujoco()
    before = mj.get_mju_user_warning()
    mj.set_mju_user_warning(lambda _: None)
    try:
        yield
    finally:
        mj.set_mju_user_warning(before)
