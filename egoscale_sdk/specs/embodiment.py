"""An embodiment: hands, arms, sensors, the meaning of its actions, its wires and its limits, all as data."""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

from pydantic import Field, model_validator

from egoscale_sdk.ids import parse_id
from egoscale_sdk.specs.base import Name, PoseSpec, Provenance, Side, Strict
from egoscale_sdk.specs.hand import HandSpaceSpec, HandSpec
from egoscale_sdk.specs.joints import JointSpec
from egoscale_sdk.specs.sensors import CameraSpec, SensorSpec
from egoscale_sdk.specs.tree import KinematicTree

Part = Literal["left_wrist", "right_wrist", "left_hand", "right_hand", "left_arm", "right_arm", "ignored"]


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

    rate_hz: float = Field(gt=0)
    wrist_speed_m_s: float = Field(gt=0, default=1.0)
    wrist_turn_rad_s: float = Field(gt=0, default=3.0)
    stale_after_s: float = Field(gt=0, default=0.5)


class WireJoint(Strict):
    """One value on a wire: ``q = offset + sign * scale * native``."""

    joint: Name
    sign: Literal[-1, 1] = 1
    scale: float = 1.0
    offset: float = 0.0
    native_unit: str = "rad"
    native_lower: float | None = None
    native_upper: float | None = None


class WireSpec(Strict):
    """The order and scaling of one device's values; ``part`` says which joints they are."""

    device: Name
    part: Part
    rate_hz: float | None = None
    joints: tuple[WireJoint, ...]


class RecordingBlock(Strict):
    """Columns ``[start, stop)`` of a recorded vector and what they are.

    ``encoding``: ``joints`` (rad or m in spec order), ``xyz_rot6d``, ``xyz_wxyz``, ``xyz_xyzw`` for wrists, or the
    name of a device in ``wires``.
    """

    start: int = Field(ge=0)
    stop: int = Field(gt=0)
    part: Part
    encoding: str = "joints"


class RecordingLayout(Strict):
    """How other people's recordings of this embodiment are laid out, so that a generic importer can read them.

    ``robot_type`` must match the recording exactly. ``lead_s``: how far commands lead the state in time.
    """

    format: Literal["lerobot"] = "lerobot"
    robot_type: str
    state_key: str = "observation.state"
    action_key: str = "action"
    state: tuple[RecordingBlock, ...]
    action: tuple[RecordingBlock, ...]
    cameras: dict[str, Name] = {}
    action_source: Literal["commanded", "observed"] = "commanded"
    lead_s: float = 0.0
    assumptions: tuple[str, ...] = ()


class EmbodimentSpec(Strict):
    """Everything that is known about one embodiment before it is connected.

    ``base_frame`` is the frame in which wrist poses are stored and commanded; it is fixed within an episode.
    """

    id: str
    title: str
    kind: Literal["human", "robot"]
    aliases: tuple[str, ...] = ()
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
        for text in (self.id, *self.aliases):
            parse_id(text, versioned=True)
        sides = [hand.side for hand in self.hands]
        if sides != sorted(set(sides)):
            raise ValueError(f"hands must be one left, one right, or left then right; got {sides}")
        names = Counter(joint.name for joint in self.joints)
        if names and names.most_common(1)[0][1] > 1:
            raise ValueError(f"joint {names.most_common(1)[0][0]!r} occurs more than once")
        if self.action.wrist == "arm_fk" and {arm.side for arm in self.arms} != set(sides):
            raise ValueError("action.wrist = 'arm_fk' needs an arm for every hand")
        devices = {wire.device for wire in self.wires}
        for layout in self.recordings:
            for block in (*layout.state, *layout.action):
                if block.encoding not in {"joints", "xyz_rot6d", "xyz_wxyz", "xyz_xyzw", *devices}:
                    raise ValueError(f"recording {layout.robot_type!r}: unknown encoding {block.encoding!r}")
        return self

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
