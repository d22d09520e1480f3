"""Specs: what is known about embodiments, actions and datasets, as frozen data."""

from egoscale_sdk.specs.base import SIDES, PoseSpec, Provenance, Side, Strict
from egoscale_sdk.specs.declaration import (
    FORMAT,
    ActionSetSpec,
    CameraStream,
    DatasetDeclaration,
    Provider,
    RetargetingRecord,
)
from egoscale_sdk.specs.digest import (
    action_fingerprint,
    action_meaning,
    canonical_json,
    digest,
    safety_digest,
    safety_limits,
)
from egoscale_sdk.specs.embodiment import (
    ActionSpec,
    ArmSpec,
    ControlSpec,
    EmbodimentSpec,
)
from egoscale_sdk.specs.hand import (
    ApertureSpec,
    BodySpec,
    ColumnSpec,
    FingerSpec,
    FrameTarget,
    HandSpaceSpec,
    HandSpec,
    JointDynamics,
)
from egoscale_sdk.specs.joints import JointSpec, MimicSpec
from egoscale_sdk.specs.layout import WRIST_DIM, RowLayout
from egoscale_sdk.specs.load import load_embodiment, parse_embodiment
from egoscale_sdk.specs.sensors import CameraSpec, TactileSpec
from egoscale_sdk.specs.tree import KinematicTree, TreeJoint
from egoscale_sdk.specs.urdf import parse_urdf
from egoscale_sdk.specs.wires import RecordingBlock, RecordingLayout, WireJoint, WireSpec

__all__ = [
    "FORMAT",
    "SIDES",
    "WRIST_DIM",
    "ActionSetSpec",
    "ActionSpec",
    "ApertureSpec",
    "ArmSpec",
    "BodySpec",
    "CameraSpec",
    "CameraStream",
    "ColumnSpec",
    "ControlSpec",
    "DatasetDeclaration",
    "EmbodimentSpec",
    "FingerSpec",
    "FrameTarget",
    "HandSpaceSpec",
    "HandSpec",
    "JointDynamics",
    "JointSpec",
    "KinematicTree",
    "MimicSpec",
    "PoseSpec",
    "Provenance",
    "Provider",
    "RecordingBlock",
    "RecordingLayout",
    "RetargetingRecord",
    "RowLayout",
    "Side",
    "Strict",
    "TactileSpec",
    "TreeJoint",
    "WireJoint",
    "WireSpec",
    "action_fingerprint",
    "action_meaning",
    "canonical_json",
    "digest",
    "load_embodiment",
    "parse_embodiment",
    "parse_urdf",
    "safety_digest",
    "safety_limits",
]
