"""The parallel gripper at any stroke."""

from __future__ import annotations

from egoscale_sdk.errors import SpecError
from egoscale_sdk.specs import EmbodimentSpec, load_embodiment

MAX_STROKE_M = 0.5


def parallel_gripper(stroke_m: float) -> EmbodimentSpec:
    """Return ``gripper/parallel`` for a gripper that opens to ``stroke_m`` metres; drivers and importers use it.

    An action means the same at every stroke, so id and action fingerprint stay; the limits, and with them the safety
    digest, are the gripper's own.

    Raises:
        SpecError: the stroke is not between 0 and 0.5 m (most likely given in millimetres).
    """
    if not 0 < stroke_m <= MAX_STROKE_M:
        raise SpecError(f"a stroke of {stroke_m} m is not between 0 and {MAX_STROKE_M}", hint="give it in metres")
    spec = load_embodiment("egoscale_embodiments:gripper_parallel/embodiment.toml")
    hand = spec.hand("right")
    limits = {"width": stroke_m, "centre": stroke_m / 2}
    joints = tuple(joint.model_copy(update={"upper_m": limits[joint.name]}) for joint in hand.joints)
    hand = hand.model_copy(update={"joints": joints, "open_pose": (stroke_m,)})
    wires = tuple(
        wire.model_copy(
            update={"joints": tuple(joint.model_copy(update={"native_upper": stroke_m}) for joint in wire.joints)}
        )
        for wire in spec.wires
    )
    return spec.model_copy(update={"hands": (hand,), "wires": wires})
