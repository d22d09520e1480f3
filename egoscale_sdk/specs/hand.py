"""A hand: its joint space, its kinematics, which finger frames follow which human keypoints, its bodies."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from egoscale_sdk.specs.base import (
    Name,
    NotNegative,
    PoseSpec,
    Positive,
    Provenance,
    Side,
    Strict,
    Vec3,
    VersionedId,
    check_distinct,
    unknown,
)
from egoscale_sdk.specs.joints import JointSpec, JointUnit, check_couplings
from egoscale_sdk.specs.tree import KinematicTree

FingerRole = Literal["thumb", "index", "middle", "ring", "pinky"]
MAX_WRIST_OFFSET_M = 1.0


class ColumnSpec(Strict):
    """One column of a hand vector: a name without side prefix, and its unit."""

    name: Name
    unit: JointUnit


class HandSpaceSpec(Strict):
    """The ordered columns of one hand; embodiments that share it share the policy's hand adapters."""

    id: VersionedId
    columns: tuple[ColumnSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        check_distinct(f"hand space {self.id}: column", [column.name for column in self.columns])
        return self

    @property
    def dim(self) -> int:
        """Number of columns of one hand."""
        return len(self.columns)


class FrameTarget(Strict):
    """A robot frame and the human keypoints (canonical 0..20) whose mean it follows."""

    frame: Name
    keypoints: tuple[int, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _canonical(self) -> Self:
        if not all(0 <= index <= 20 for index in self.keypoints):
            raise ValueError(f"frame {self.frame!r}: keypoints are 0..20, got {self.keypoints}")
        return self


class FingerSpec(Strict):
    """One finger: its frames from the palm outwards, the last one being the tip."""

    role: FingerRole
    frames: tuple[FrameTarget, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _outwards(self) -> Self:
        for inner, outer in pairwise(self.frames):
            if inner.frame == outer.frame or min(inner.keypoints) >= min(outer.keypoints):
                raise ValueError(
                    f"finger {self.role!r} goes from the palm outwards, but {outer.frame!r} {outer.keypoints} "
                    f"comes after {inner.frame!r} {inner.keypoints}"
                )
        return self


class ApertureSpec(Strict):
    """Opening of a gripper in closed form: ``width_m = constant_m + linear*q + cosine_m*cos q + sine_m*sin q``."""

    joint: Name
    constant_m: float = 0.0
    linear: float = 0.0
    cosine_m: float = 0.0
    sine_m: float = 0.0


class BodySpec(Strict):
    """A simulation body of a link, from our own figures: a capsule between two points, or a box."""

    link: Name
    kind: Literal["capsule", "box"]
    from_m: Vec3 | None = None
    to_m: Vec3 | None = None
    radius_m: Positive | None = None
    center_m: Vec3 | None = None
    half_extent_m: tuple[Positive, Positive, Positive] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        capsule = (self.from_m, self.to_m, self.radius_m)
        box = (self.center_m, self.half_extent_m)
        wanted, other = (capsule, box) if self.kind == "capsule" else (box, capsule)
        if any(value is None for value in wanted) or any(value is not None for value in other):
            raise ValueError(f"a {self.kind} of link {self.link!r} needs exactly its own figures")
        return self


class JointDynamics(Strict):
    """What a simulation needs beside kinematics: position gain, damping, reflected inertia of one joint."""

    joint: Name
    kp: Positive
    damping: NotNegative = 0.0
    armature: NotNegative = 0.0


class HandSpec(Strict):
    """One hand.

    ``joints`` are in the order of the hand space (mimic joints follow and are in no vector); a hand of
    ``representation = "keypoints"`` is a human one: it has no joints, and its columns are the 21 canonical
    keypoints in the wrist frame, x y z each, in metres. ``T_root_wrist`` is the canonical wrist frame in the
    hand's root link. ``mirror_signs`` maps right to left: ``q_left = signs * q_right``.
    """

    side: Side
    hand_space: HandSpaceSpec
    representation: Literal["joints", "keypoints"] = "joints"
    urdf: str | None = None
    tree: KinematicTree | None = None
    root: Name = "wrist"
    T_root_wrist: PoseSpec = PoseSpec()
    joints: tuple[JointSpec, ...] = ()
    mirror_signs: tuple[float, ...] = ()
    open_pose: tuple[float, ...] = ()
    fingers: tuple[FingerSpec, ...] = ()
    aperture: ApertureSpec | None = None
    bodies: tuple[BodySpec, ...] = ()
    dynamics: tuple[JointDynamics, ...] = ()
    mass_kg: Positive | None = None
    provenance: tuple[Provenance, ...] = ()

    @property
    def actuated(self) -> tuple[JointSpec, ...]:
        """The joints of the hand vector, in its order."""
        return tuple(joint for joint in self.joints if joint.mimic is None)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.representation == "keypoints":
            if self.joints or self.hand_space.dim != 63:
                raise ValueError("a keypoint hand has no joints and 63 columns")
            return self
        units = [joint.unit for joint in self.actuated]
        if units != [column.unit for column in self.hand_space.columns]:
            raise ValueError(f"{self.side} hand: actuated joints and hand space {self.hand_space.id} disagree")
        for label in ("mirror_signs", "open_pose"):
            values = getattr(self, label)
            if values and len(values) != len(units):
                raise ValueError(f"{self.side} hand: {label} has {len(values)} values for {len(units)} joints")
        if not set(self.mirror_signs) <= {-1.0, 1.0}:
            raise ValueError(f"{self.side} hand: mirror_signs are 1 or -1, got {self.mirror_signs}")
        for joint, value in zip(self.actuated, self.open_pose, strict=False):
            if joint.clamp(value) != value:
                raise ValueError(f"open_pose of joint {joint.name!r} is {value}, beyond {joint.lower}..{joint.upper}")
        if max(map(abs, self.T_root_wrist.xyz_m)) > MAX_WRIST_OFFSET_M:
            raise ValueError(f"T_root_wrist lies {self.T_root_wrist.xyz_m} m from the root: looks like millimetres")
        self._check_names()
        return self

    def _check_names(self) -> None:
        check_couplings(self.joints)
        check_distinct("finger", [finger.role for finger in self.fingers])
        check_distinct("dynamics of joint", [item.joint for item in self.dynamics])
        driven, known = {joint.name for joint in self.actuated}, {joint.name for joint in self.joints}
        aperture = [self.aperture.joint] if self.aperture else []
        for label, names, allowed in (
            ("aperture", aperture, driven),
            ("dynamics", [item.joint for item in self.dynamics], known),
        ):
            for name in names:
                if name not in allowed:
                    raise unknown(f"{label}: {name!r} is no such joint of this hand", name, allowed)
        if self.tree is not None:
            frames = [target.frame for finger in self.fingers for target in finger.frames]
            links = [self.root, *frames, *(body.link for body in self.bodies)]
            self.tree.check_names(self.joints, links, str(self.urdf))
