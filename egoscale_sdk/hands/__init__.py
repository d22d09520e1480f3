"""Human hands: the canonical 21 keypoints, the wrist frame, source layouts, checks, rows and chunks."""

from egoscale_sdk.hands.action_space import WristHandSpace
from egoscale_sdk.hands.checks import check_chirality, check_hand_scale, plausible_hands
from egoscale_sdk.hands.layouts import LAYOUTS, Layout, layout_named, to_canonical
from egoscale_sdk.hands.rows import HandRows, hand_rows, keypoints_from_rows
from egoscale_sdk.hands.wrist import (
    BONES,
    FINGERS,
    KEYPOINT_COLUMNS,
    KEYPOINTS,
    keypoints_in_wrist,
    wrist_frame,
)

__all__ = [
    "BONES",
    "FINGERS",
    "KEYPOINTS",
    "KEYPOINT_COLUMNS",
    "LAYOUTS",
    "HandRows",
    "Layout",
    "WristHandSpace",
    "check_chirality",
    "check_hand_scale",
    "hand_rows",
    "keypoints_from_rows",
    "keypoints_in_wrist",
    "layout_named",
    "plausible_hands",
    "to_canonical",
    "wrist_frame",
]
