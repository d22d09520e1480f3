"""What stands on a device's wire, and in other people's recordings: order, sign, scale and unit of every value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from egoscale_sdk.specs.base import Name, Positive, Strict

Part = Literal["left_wrist", "right_wrist", "left_hand", "right_hand", "left_arm", "right_arm", "ignored"]
WRIST_ENCODINGS = {"xyz_rot6d": 9, "xyz_wxyz": 7, "xyz_xyzw": 7}


class WireJoint(Strict):
    """One value on a wire: ``q = offset + sign * scale * native``."""

    joint: Name
    sign: Literal[-1, 1] = 1
    scale: Positive = 1.0
    offset: float = 0.0
    native_unit: str = "rad"
    native_lower: float | None = None
    native_upper: float | None = None


class WireSpec(Strict):
    """The order and scaling of one device's values; ``part`` says which joints they are.

    Between the wire and a joint vector of the part, for ``names`` in the spec's order::

        q[..., wire.columns(names)] = wire.decode(native)
        native = wire.encode(q[..., wire.columns(names)])
    """

    device: Name
    part: Part
    rate_hz: Positive | None = None
    joints: tuple[WireJoint, ...]

    def decode(self, native: ArrayLike) -> NDArray[np.float64]:
        """Return joint values (rad or m) of native values, both ``(*b, n)`` in the order of the wire."""
        offset, factor = self._figures(native)
        return offset + factor * np.asarray(native, np.float64)

    def encode(self, q: ArrayLike) -> NDArray[np.float64]:
        """Return native values of joint values (rad or m), both ``(*b, n)`` in the order of the wire."""
        offset, factor = self._figures(q)
        return (np.asarray(q, np.float64) - offset) / factor

    def columns(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Return where the wire's joints stand among ``names``, ``(n,)``; raises ValueError for one that does not."""
        return np.array([names.index(joint.joint) for joint in self.joints], np.intp)

    @property
    def native_range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest native values, ``(n,)`` each, infinite where they are not given."""
        lower = [-np.inf if joint.native_lower is None else joint.native_lower for joint in self.joints]
        upper = [np.inf if joint.native_upper is None else joint.native_upper for joint in self.joints]
        return np.array(lower), np.array(upper)

    def _figures(self, values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if np.shape(values)[-1:] != (len(self.joints),):
            raise ValueError(f"device {self.device!r} has {len(self.joints)} values, got shape {np.shape(values)}")
        offset = np.array([joint.offset for joint in self.joints])
        return offset, np.array([joint.sign * joint.scale for joint in self.joints])


class RecordingBlock(Strict):
    """Columns ``[start, stop)`` of a recorded vector and what they are.

    ``encoding``: ``joints`` (rad or m in spec order), ``xyz_rot6d``, ``xyz_wxyz``, ``xyz_xyzw`` for wrists, or the
    name of a device in ``wires``.
    """

    start: int = Field(ge=0)
    stop: int = Field(gt=0)
    part: Part
    encoding: str = "joints"

    @model_validator(mode="after")
    def _has_columns(self) -> Self:
        if self.stop <= self.start:
            raise ValueError(f"columns [{self.start}, {self.stop}) of {self.part!r} are none")
        return self


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


def check_recording(layout: RecordingLayout, wires: dict[str, WireSpec], joints: dict[str, tuple[str, ...]]) -> None:
    """Refuse blocks of an unknown encoding, of another part than their encoding's, or of the wrong width.

    Args:
        layout: The recording's layout.
        wires: The embodiment's wires by device.
        joints: Names of the driven joints of every arm and hand, e.g. under ``left_arm``.

    Raises:
        ValueError: names the recording, the columns and what would fit.
    """
    for block in (*layout.state, *layout.action):
        where = f"recording {layout.robot_type!r}, columns [{block.start}, {block.stop})"
        if block.part == "ignored":
            continue
        wrist = block.part.endswith("_wrist")
        fitting: dict[str, int] = WRIST_ENCODINGS if wrist else {"joints": len(joints.get(block.part, ()))}
        if not wrist:
            fitting = fitting | {name: len(wire.joints) for name, wire in wires.items() if wire.part == block.part}
        if block.encoding not in fitting:
            raise ValueError(f"{where}: encoding {block.encoding!r} of {block.part!r} is not one of {sorted(fitting)}")
        if block.stop - block.start != fitting[block.encoding]:
            raise ValueError(f"{where}: {block.encoding!r} of {block.part!r} has {fitting[block.encoding]} values")
