"""Two digests of an embodiment: what its actions mean, and which limits keep it safe."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from egoscale_sdk.specs.embodiment import ArmSpec, EmbodimentSpec
from egoscale_sdk.specs.hand import HandSpec

_LIMITS = ("lower_rad", "upper_rad", "lower_m", "upper_m", "velocity_rad_s", "velocity_m_s")
_MORE_LIMITS = ("acceleration_rad_s2", "acceleration_m_s2", "effort_nm", "effort_n")


def canonical_json(value: Any) -> str:
    """Serialise with sorted keys, no spaces and shortest round-trip floats; -0.0 is written as 0.0."""
    return json.dumps(_positive_zero(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of `canonical_json`, as ``sha256:<64 hex digits>``."""
    return "sha256:" + hashlib.sha256(canonical_json(value).encode()).hexdigest()


def action_meaning(spec: EmbodimentSpec) -> dict[str, Any]:
    """What an action *means*: joints, order, units, frames, representation, kinematics, wrist frame."""
    return {
        "action": spec.action.model_dump(mode="json"),
        "base_frame": spec.base_frame,
        "hands": {hand.side: _hand_meaning(hand) for hand in spec.hands},
        "arms": {arm.side: _arm_meaning(arm) for arm in spec.arms},
    }


def action_fingerprint(spec: EmbodimentSpec) -> str:
    """Digest of `action_meaning`; two specs that differ in it must not drive each other's policies."""
    return digest(action_meaning(spec))


def safety_limits(spec: EmbodimentSpec) -> dict[str, Any]:
    """Limits and rates; where two specs differ in them, the narrower wins."""
    keep = (*_LIMITS, *_MORE_LIMITS)
    return {
        "control": spec.control.model_dump(mode="json"),
        "joints": {joint.name: {key: getattr(joint, key) for key in keep} for joint in spec.joints},
    }


def safety_digest(spec: EmbodimentSpec) -> str:
    """Digest of `safety_limits`."""
    return digest(safety_limits(spec))


def _hand_meaning(hand: HandSpec) -> dict[str, Any]:
    return {
        "space": hand.hand_space.model_dump(mode="json"),
        "representation": hand.representation,
        "root": hand.root,
        "T_root_wrist": hand.T_root_wrist.model_dump(mode="json"),
        "joints": [_joint_meaning(joint.model_dump(mode="json")) for joint in hand.joints],
        "tree": hand.tree.model_dump(mode="json") if hand.tree else None,
    }


def _arm_meaning(arm: ArmSpec) -> dict[str, Any]:
    return {
        "base": arm.base,
        "tip": arm.tip,
        "joints": [_joint_meaning(joint.model_dump(mode="json")) for joint in arm.joints],
        "tree": arm.tree.model_dump(mode="json") if arm.tree else None,
    }


def _joint_meaning(joint: dict[str, Any]) -> dict[str, Any]:
    return {key: joint[key] for key in ("name", "kind", "mimic")}


def _positive_zero(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _positive_zero(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_positive_zero(item) for item in value]
    return 0.0 if isinstance(value, float) and value == 0 else value
