"""A hand: its joint space, its kinematics, which finger frames follow which human keypoints, its bodies."""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

from pydantic import Field, model_validator

from egoscale_sdk.ids import parse_id
from egoscale_sdk.specs.base import Name, PoseSpec, Provenance, Side, Strict, Vec3
from egoscale_sdk.specs.joints import JointSpec, JointUnit
from egoscale_sdk.specs.tree import KinematicTree

FingerRole = Literal["thumb", "index", "middle", "ring", "pinky"]


class ColumnSpec(Strict):
    """One column of a hand vector: a name without side prefix, and its unit."""

    name: Name
    unit: JointUnit


class HandSpaceSpec(Strict):
    """The ordered columns of one hand; embodiments that share it share the policy's hand adapters."""

    id: str
    columns: tuple[ColumnSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _valid(self) -> Self:
        parse_id(self.id, versioned=True)
        name, count = Counter(column.name for column in self.columns).most_common(1)[0]
        if count > 1:
            raise ValueError(f"hand space {self.id}: column {name!r} occurs {count} times")
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
    radius_m: float | None = None
    center_m: Vec3 | None = None
    half_extent_m: Vec3 | None = None

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
    kp: float
    damping: float = 0.0
    armature: float = 0.0


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
    mass_kg: float | None = None
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
        if self.tree is not None:
            self._check_names(self.tree)
        return self

    def _check_names(self, tree: KinematicTree) -> None:
        joints = {joint.name for joint in tree.joints}
        links = set(tree.links)
        for joint in self.joints:
            if joint.name not in joints:
                raise ValueError(f"joint {joint.name!r} is not in {self.urdf}")
        frames = [target.frame for finger in self.fingers for target in finger.frames]
        for frame in [self.root, *frames, *(body.link for body in self.bodies)]:
            if frame not in links:
                raise ValueError(f"frame {frame!r} is not a link of {self.urdf}")
