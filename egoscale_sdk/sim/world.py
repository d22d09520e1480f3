"""A world for one hand: a floating wrist above a table, an object to grasp, a head camera that can be moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import Floats, make_pose, quaternion_from_rotation
from egoscale_sdk.sim.hand_model import HAND, STIFF, TIMESTEP_S, Contact, add_hand, empty_spec, joint_values
from egoscale_sdk.sim.mj import mujoco
from egoscale_sdk.sim.render import AMBIENT, DIFFUSE, Backend, Renderer, make_renderer
from egoscale_sdk.specs import HandSpec

CAMERA = "head"
FOV_RAD = 0.88
OBJECT_RADIUS_M, OBJECT_HEIGHT_M, OBJECT_MASS_KG = 0.028, 0.140, 0.15
# Wrist frame in the world for a side grasp with the right hand: palm (x) to the left, thumb (y) up, fingers (z) ahead.
SIDE_GRASP: Floats = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_MIRROR = np.diag([1.0, -1.0, 1.0])
_SLIDES, _HINGES = ("wrist/x", "wrist/y", "wrist/z"), ("wrist/rx", "wrist/ry", "wrist/rz")
# An arm's stiffness and reflected inertia as felt at the wrist (translation N/m and kg, rotation N m/rad and kg m2).
_STIFFNESS, _INERTIA, _FORCE = (3000.0, 80.0), (1.0, 0.02), (150.0, 15.0)
_OPTICAL = np.diag([1.0, -1.0, -1.0])  # MuJoCo's camera looks along -z with y up; the optical frame along +z, y down


class HandWorld:
    """A simulated hand whose wrist and joints are commanded in position.

    Units are SI; poses are 4x4 in the world frame (x ahead of the person, y left, z up, the table at z = 0), which
    stands for the embodiment's base frame. The wrist is the canonical wrist frame; it hangs on three slides and three
    hinges counted from the side grasp, so it must stay within a quarter turn of that about its own y.
    """

    def __init__(
        self, hand: HandSpec, *, contact: Contact = STIFF, rgba: tuple[float, ...] = (0.25, 0.3, 0.38, 1.0)
    ) -> None:
        mj = mujoco()
        self.hand = hand
        self.grasp_rotation = SIDE_GRASP if hand.side == "right" else _MIRROR @ SIDE_GRASP @ _MIRROR
        self.model = _build(hand, self.grasp_rotation, contact, rgba).compile()
        self.data = mj.MjData(self.model)
        self._joints = [HAND + joint.name for joint in hand.actuated]
        self._wrist_adr = [self.model.joint(name).qposadr[0] for name in (*_SLIDES, *_HINGES)]
        self._joint_adr = [self.model.joint(name).qposadr[0] for name in self._joints]
        names = [self.model.actuator(index).name for index in range(self.model.nu)]
        self._controls = [names.index(name) for name in (*_SLIDES, *_HINGES, *self._joints)]
        self._object_adr = self.model.joint("object").qposadr[0]
        self._renderers: dict[tuple[int, int, Backend], Renderer] = {}
        self._due_s = 0.0

    def reset(self, wrist: Floats, joints: Floats, object_xy: Floats, camera: Floats) -> None:
        """Put everything in place, at rest: wrist pose, hand vector, object on the table, optical camera pose."""
        mujoco().mj_resetData(self.model, self.data)
        self._due_s = 0.0
        target = np.concatenate([self._wrist_coordinates(wrist), joints])
        self.data.qpos[self._wrist_adr] = target[:6]
        self.data.qpos[self._joint_adr] = target[6:]
        self._place_mimics()
        self.data.ctrl[self._controls] = target
        adr = self._object_adr
        self.data.qpos[adr : adr + 7] = [*object_xy, OBJECT_HEIGHT_M / 2, 1, 0, 0, 0]
        self.set_camera(camera)

    def step(self, wrist: Floats, joints: Floats, duration_s: float) -> None:
        """Move the targets evenly to a wrist pose and a hand vector over ``duration_s``, simulating meanwhile."""
        self._due_s += duration_s
        count = max(1, round((self._due_s - self.data.time) / TIMESTEP_S))
        start = self.data.ctrl[self._controls].copy()
        goal = np.concatenate([self._wrist_coordinates(wrist, start[3:6]), joints])
        for share in np.arange(1, count + 1) / count:
            self.data.ctrl[self._controls] = start + share * (goal - start)
            mujoco().mj_step(self.model, self.data)
        mujoco().mj_kinematics(self.model, self.data)
        mujoco().mj_camlight(self.model, self.data)

    @property
    def time_ns(self) -> int:
        """Simulated time since the reset."""
        return round(1e9 * self._due_s)

    @property
    def wrist(self) -> Floats:
        """Measured pose of the canonical wrist frame."""
        return self.body_pose("wrist")

    @property
    def joints(self) -> Floats:
        """Measured hand vector, in the order of the hand space."""
        measured: Floats = self.data.qpos[self._joint_adr].copy()
        return measured

    @property
    def object_position(self) -> Floats:
        """Centre of the object."""
        position: Floats = self.data.qpos[self._object_adr : self._object_adr + 3].copy()
        return position

    def body_pose(self, name: str) -> Floats:
        """World pose of a body; a link of the hand is called ``hand/<link>``."""
        body = self.data.body(name)
        pose: Floats = make_pose(body.xmat.reshape(3, 3), body.xpos)
        return pose

    def positions(self, links: list[str]) -> Floats:
        """World positions of links of the hand, ``(N, 3)``."""
        found: Floats = self.data.xpos[[self.model.body(HAND + link).id for link in links]]
        return found

    def set_camera(self, camera: Floats) -> None:
        """Move the head camera to an optical pose (x right, y down, z ahead)."""
        self.data.mocap_pos[0] = camera[:3, 3]
        self.data.mocap_quat[0] = quaternion_from_rotation(camera[:3, :3] @ _OPTICAL)
        mujoco().mj_forward(self.model, self.data)

    def picture(self, height: int, width: int, backend: Backend = "auto") -> NDArray[np.uint8]:
        """Return what the head camera sees, RGB ``(h, w, 3)``."""
        key = (height, width, backend)
        if key not in self._renderers:
            self._renderers[key] = make_renderer(self.model, height, width, backend)
        return self._renderers[key].render(self.data, CAMERA)

    def close(self) -> None:
        """Free the renderers."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def _wrist_coordinates(self, pose: Floats, near: Floats | None = None) -> Floats:
        """Slides and hinges of a wrist pose; each hinge takes the turn that is nearest to ``near``."""
        R = self.grasp_rotation.T @ pose[:3, :3]
        angles = np.array(
            [np.arctan2(-R[1, 2], R[2, 2]), np.arcsin(np.clip(R[0, 2], -1, 1)), np.arctan2(-R[0, 1], R[0, 0])]
        )
        if near is not None:
            angles += 2 * np.pi * np.round((near - angles) / (2 * np.pi))
        return np.concatenate([pose[:3, 3], angles])

    def _place_mimics(self) -> None:
        for name, value in joint_values(self.hand, self.joints).items():
            self.data.qpos[self.model.joint(HAND + name).qposadr[0]] = value


def intrinsics(height: int, width: int) -> Floats:
    """Pinhole matrix of the head camera at one picture size, pixels; square pixels, the middle as principal point."""
    focal = height / 2 / np.tan(FOV_RAD / 2)
    return np.array([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1]])


def _build(hand: HandSpec, grasp_rotation: Floats, contact: Contact, rgba: tuple[float, ...]) -> Any:
    spec = empty_spec()
    _add_scenery(spec)
    _add_object(spec)
    _add_wrist(spec, hand, grasp_rotation, contact, rgba)
    return spec


def _add_scenery(spec: Any) -> None:
    mj = mujoco()
    spec.visual.quality.offsamples = 0  # smoothing and shadows cost ten times the rest
    spec.visual.headlight.ambient = [AMBIENT] * 3
    spec.visual.headlight.diffuse = [DIFFUSE] * 3
    spec.visual.headlight.specular = [0.0] * 3
    table = {"type": mj.mjtGeom.mjGEOM_PLANE, "size": [0, 0, 0.01], "rgba": [0.62, 0.66, 0.6, 1]}
    spec.worldbody.add_geom(name="table", contype=0, conaffinity=3, condim=3, **table)
    head = spec.worldbody.add_body(name="head", mocap=True)
    head.add_camera(name=CAMERA, fovy=float(np.rad2deg(FOV_RAD)))


def _add_object(spec: Any) -> None:
    mj = mujoco()
    body = spec.worldbody.add_body(name="object", pos=[0, 0, OBJECT_HEIGHT_M / 2])
    body.add_freejoint(name="object")
    shape = {"type": mj.mjtGeom.mjGEOM_CYLINDER, "size": [OBJECT_RADIUS_M, OBJECT_HEIGHT_M / 2, 0]}
    surface = {"friction": [1.0, 0.02, 0.001], "condim": 4, "contype": 2, "conaffinity": 1}
    body.add_geom(name="object", mass=OBJECT_MASS_KG, rgba=[0.9, 0.08, 0.08, 1], **shape, **surface)


def _add_wrist(spec: Any, hand: HandSpec, grasp_rotation: Floats, contact: Contact, rgba: tuple[float, ...]) -> None:
    mj = mujoco()
    wrist = spec.worldbody.add_body(name="wrist", quat=quaternion_from_rotation(grasp_rotation), gravcomp=1.0)
    wrist.mass, wrist.inertia, wrist.explicitinertial = 0.1, [1e-4] * 3, True
    for index, name in enumerate((*_SLIDES, *_HINGES)):
        turn = index // 3
        # A slide's axis is the world's, seen from the turned body; a hinge's is the body's own.
        axis = np.eye(3)[index % 3] if turn else grasp_rotation.T[:, index % 3]
        kind = mj.mjtJoint.mjJNT_HINGE if turn else mj.mjtJoint.mjJNT_SLIDE
        wrist.add_joint(name=name, type=kind, axis=axis, armature=_INERTIA[turn])
    add_hand(spec, wrist, hand, contact, rgba)
    for index, name in enumerate((*_SLIDES, *_HINGES)):
        limit = _FORCE[index // 3]
        servo = {"trntype": mj.mjtTrn.mjTRN_JOINT, "forcerange": (-limit, limit), "forcelimited": True}
        spec.add_actuator(name=name, target=name, **servo).set_to_position(kp=_STIFFNESS[index // 3], dampratio=1.0)
