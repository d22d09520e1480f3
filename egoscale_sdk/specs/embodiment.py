"""An embodiment: hands, arms, sensors, the meaning of its actions, its wires and its limits, all as data."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from egoscale_sdk.specs.base import (
    SIDES,
    Name,
    PoseSpec,
    Positive,
    Provenance,
    Side,
    Strict,
    VersionedId,
    check_distinct,
    unknown,
)
from egoscale_sdk.specs.hand import HandSpaceSpec, HandSpec
from egoscale_sdk.specs.joints import JointSpec
from egoscale_sdk.specs.sensors import CameraSpec, SensorSpec
from egoscale_sdk.specs.tree import KinematicTree
from egoscale_sdk.specs.wires import RecordingLayout, WireSpec, check_recording


class ArmSpec(Strict):
    """An arm from ``base`` to ``tip``; the hand's root sits at ``T_tip_root`` on the tip link.

    ``mount_calibrated`` is False where no published figure exists and ``calibration.toml`` must bring it.
    """

    side: Side
    urdf: str
    tree: KinematicTree | None = None
    base: Name
    tip: Name
    T_tip_root: PoseSpec = PoseSpec()
    mount_calibrated: bool = True
    joints: tuple[JointSpec, ...]
    provenance: tuple[Provenance, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if any(joint.mimic for joint in self.joints):
            raise ValueError(f"{self.side} arm: joints of an arm do not follow each other")
        if self.tree is not None:
            self.tree.check_names(self.joints, (self.base, self.tip), self.urdf)
        return self


class ActionSpec(Strict):
    """What an action means.

    Wrist: 9 numbers (xyz in metres, rot6d = first two rows of R), the pose of the canonical wrist frame relative
    to the *measured* wrist at the observation. ``wrist`` says where absolute wrist poses come from: ``commanded``
    (the pose itself is the command), ``arm_fk`` (from arm joints), ``none`` (masked). Hands: absolute targets.
    """

    space: str = "egoscale/wrist_hand@1"
    wrist: Literal["commanded", "arm_fk", "none"] = "commanded"
    rotation: Literal["rot6d_rows"] = "rot6d_rows"
    wrist_reference: Literal["measured_at_observation"] = "measured_at_observation"
    hand: Literal["absolute"] = "absolute"


class ControlSpec(Strict):
    """Rates and limits that the runtime keeps; joint limits are with the joints."""

    rate_hz: Positive
    wrist_speed_m_s: Positive = 1.0
    wrist_turn_rad_s: Positive = 3.0
    stale_after_s: Positive = 0.5


class EmbodimentSpec(Strict):
    """Everything that is known about one embodiment before it is connected.

    ``base_frame`` is the frame in which wrist poses are stored and commanded; it is fixed within an episode.
    """

    id: VersionedId
    title: str
    kind: Literal["human", "robot"]
    aliases: tuple[VersionedId, ...] = ()
    base_frame: Name = "world"
    hands: tuple[HandSpec, ...] = Field(min_length=1, max_length=2)
    arms: tuple[ArmSpec, ...] = ()
    sensors: tuple[SensorSpec, ...] = ()
    action: ActionSpec = ActionSpec()
    control: ControlSpec
    wires: tuple[WireSpec, ...] = ()
    recordings: tuple[RecordingLayout, ...] = ()
    provenance: tuple[Provenance, ...] = ()
    license: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        sides = [hand.side for hand in self.hands]
        for what, found in (("hands", sides), ("arms", [arm.side for arm in self.arms])):
            if found != [side for side in SIDES if side in found]:
                raise ValueError(f"{what} must be one left, one right, or left then right; got {found}")
        for what, names in (
            ("joint", [joint.name for joint in self.joints]),
            ("wire of device", [wire.device for wire in self.wires]),
            ("sensor", [sensor.name for sensor in self.sensors]),
        ):
            check_distinct(what, names)
        if self.action.wrist == "arm_fk" and not all((arm := self.arm(side)) and arm.tree for side in sides):
            raise ValueError("action.wrist = 'arm_fk' needs an arm with a URDF for every hand")
        self._check_wires()
        return self

    def _check_wires(self) -> None:
        joints = {f"{arm.side}_arm": tuple(joint.name for joint in arm.joints) for arm in self.arms}
        joints |= {f"{hand.side}_hand": tuple(joint.name for joint in hand.actuated) for hand in self.hands}
        for wire in self.wires:
            if wire.part not in joints:
                raise ValueError(f"wire of device {wire.device!r}: there is no {wire.part!r} with joints")
            check_distinct(f"wire of device {wire.device!r}: joint", [item.joint for item in wire.joints])
            for item in wire.joints:
                if item.joint not in joints[wire.part]:
                    problem = f"wire of device {wire.device!r}: {item.joint!r} is no joint of {wire.part!r}"
                    raise unknown(problem, item.joint, joints[wire.part])
        for layout in self.recordings:
            check_recording(layout, {wire.device: wire for wire in self.wires}, joints)

    @property
    def joints(self) -> tuple[JointSpec, ...]:
        """The joint vector ``q``: left arm, right arm, left hand, right hand, as far as they exist."""
        arms = (joint for arm in self.arms for joint in arm.joints)
        hands = (joint for hand in self.hands for joint in hand.actuated)
        return (*arms, *hands)

    @property
    def cameras(self) -> tuple[CameraSpec, ...]:
        """The cameras among the sensors."""
        return tuple(sensor for sensor in self.sensors if isinstance(sensor, CameraSpec))

    @property
    def hand_spaces(self) -> dict[Side, HandSpaceSpec]:
        """Hand space of each present side."""
        return {hand.side: hand.hand_space for hand in self.hands}

    def hand(self, side: Side) -> HandSpec:
        """Return the hand of one side; raises KeyError if there is none."""
        return {hand.side: hand for hand in self.hands}[side]

    def arm(self, side: Side) -> ArmSpec | None:
        """Return the arm of one side, or None."""
        return next((arm for arm in self.arms if arm.side == side), None)
