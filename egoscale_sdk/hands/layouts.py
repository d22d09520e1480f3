"""Index maps from the joint orders of hand trackers to the canonical 21 keypoints.

Every layout is data: the source's joints in its own order, and which of them is each canonical keypoint. Names of
joints are the source's own, and not always what they say: ARKit's ThumbKnuckle is the carpometacarpal joint; Aria's
"proximal" and HoloLens's "Knuckle" are the metacarpophalangeal joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.errors import DataError, did_you_mean
from egoscale_sdk.geometry import Floats
from egoscale_sdk.hands.wrist import KEYPOINTS

CMC = KEYPOINTS.index("thumb_cmc")
# Thumb CMC from the wrist = 0.40 thumb MCP + 0.10 index MCP - 0.10 pinky MCP, each from the wrist: fitted over a
# HoloLens 2 and a MediaPipe recording, on average 7 and 8 mm from those trackers' own joint. There is no cross
# product in it, so it serves both sides.
_CMC_WEIGHTS = {2: 0.40, 5: 0.10, 17: -0.10}


@dataclass(frozen=True)
class Layout:
    """The joints of one source.

    Attributes:
        name: Name on the command line.
        joints: Joints of one hand in the source's order, without side.
        canonical: The source's joint for each canonical keypoint; None (thumb CMC only) where it has none.
        left_handed: The source's axes are left-handed (Unity: x right, y up, z forward), so z is negated.
    """

    name: str
    joints: tuple[str, ...]
    canonical: tuple[str | None, ...]
    left_handed: bool = False

    def __post_init__(self) -> None:
        if len(self.canonical) != len(KEYPOINTS) or None in self.canonical[:CMC] + self.canonical[CMC + 1 :]:
            raise ValueError(f"layout {self.name!r} must name 21 joints; only the thumb CMC may be None")

    @property
    def estimated(self) -> NDArray[np.bool_]:
        """``(21,)`` bool, True where the source has no such joint."""
        return np.array([joint is None for joint in self.canonical])

    def index(self, joints: Sequence[str] | None = None) -> list[int]:
        """Row of each canonical keypoint among ``joints`` (default: the layout's own); -1 where it has none.

        Raises:
            DataError: a joint that is needed is not among ``joints``.
        """
        joints = self.joints if joints is None else joints
        missing = [joint for joint in self.canonical if joint is not None and joint not in joints]
        if missing:
            hint = did_you_mean(missing[0], joints)
            raise DataError(f"hand layout {self.name!r} lacks {', '.join(missing)}", allowed=joints, hint=hint)
        return [-1 if joint is None else joints.index(joint) for joint in self.canonical]


def to_canonical(
    points: ArrayLike, layout: str | Layout, joints: Sequence[str] | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Reorder a source's joints to the canonical 21, and its axes to right-handed ones.

    Args:
        points: ``(*b, N, 3)``; NaN and units pass through.
        layout: A layout or its name.
        joints: Names of the N points where a file has its own order or more joints; default: the layout's order.

    Returns:
        Keypoints ``(*b, 21, 3)`` and ``estimated (21,)`` bool, True for keypoints that the source does not track.

    Raises:
        DataError: the layout is unknown, a joint is missing, or N does not fit.
    """
    layout = layout_named(layout) if isinstance(layout, str) else layout
    source, count = np.asarray(points), len(layout.joints if joints is None else joints)
    if source.ndim < 2 or source.shape[-2:] != (count, 3):
        raise DataError(f"hand layout {layout.name!r} has points of shape (..., {count}, 3), got {source.shape}")
    keypoints = source[..., layout.index(joints), :].astype(np.result_type(source, np.float32))
    if layout.left_handed:
        keypoints[..., 2] *= -1
    if layout.canonical[CMC] is None:
        keypoints[..., CMC, :] = _estimated_cmc(keypoints)
    return keypoints, layout.estimated


def layout_named(name: str) -> Layout:
    """Find a layout by its name, or by the name of another tool that uses the same order.

    Raises:
        DataError: there is no such layout; lists those there are.
    """
    if name not in LAYOUTS:
        raise DataError(f"unknown hand layout {name!r}", allowed=LAYOUTS, hint=did_you_mean(name, LAYOUTS))
    return LAYOUTS[name]


def _estimated_cmc(keypoints: Floats) -> Floats:
    wrist = keypoints[..., 0, :]
    estimate = wrist.copy()
    for index, weight in _CMC_WEIGHTS.items():
        estimate += weight * (keypoints[..., index, :] - wrist)
    return estimate


def _names(form: str, fingers: str, parts: str) -> tuple[str, ...]:
    """Names of joints, finger by finger: ``form`` with {f} and {j} filled in."""
    return tuple(form.format(f=finger, j=part) for finger in fingers.split() for part in parts.split())


def _mano() -> Layout:
    """MANO's 16 joints (ring after pinky, thumb last), then tips, thumb first, as HaMeR appends them."""
    tips = _names("{f}_{j}", "thumb index middle ring pinky", "tip")
    joints = ("wrist", *_names("{f}{j}", "index middle pinky ring thumb", "1 2 3"), *tips)
    return Layout("mano", joints, ("wrist", *_names("{f}{j}", "thumb index middle ring pinky", "1 2 3 _tip")))


def _aria() -> Layout:
    """Aria MPS, Aria Gen 2 on the device, and HOT3D: tips first, no thumb CMC, a palm centre."""
    fingers, parts = "index middle ring pinky", "proximal intermediate distal"
    tips = _names("{f}_{j}", f"thumb {fingers}", "tip")
    joints = (*tips, "wrist", "thumb_intermediate", "thumb_distal", *_names("{f}_{j}", fingers, parts), "palm_center")
    thumb = (None, "thumb_intermediate", "thumb_distal", "thumb_tip")
    return Layout("aria", joints, ("wrist", *thumb, *_names("{f}_{j}", fingers, f"{parts} tip")))


def _arkit() -> Layout:
    """ARKit and EgoDex, 25 joints; a file adds the side as a prefix."""
    form, fingers, parts = "{f}Finger{j}", "Index Middle Ring Little", "Knuckle IntermediateBase IntermediateTip Tip"
    wrist_thumb = ("Hand", *_names("{f}{j}", "Thumb", parts))
    joints = (*wrist_thumb, *_names(form, fingers, f"Metacarpal {parts}"))
    return Layout("arkit", joints, (*wrist_thumb, *_names(form, fingers, parts)))


def _openxr() -> Layout:
    """XR_EXT_hand_tracking, 26 joints."""
    fingers, parts = "index middle ring little", "proximal intermediate distal tip"
    wrist_thumb = ("wrist", *_names("{f}_{j}", "thumb", "metacarpal proximal distal tip"))
    joints = ("palm", *wrist_thumb, *_names("{f}_{j}", fingers, f"metacarpal {parts}"))
    return Layout("openxr", joints, (*wrist_thumb, *_names("{f}_{j}", fingers, parts)))


def _webxr() -> Layout:
    """WebXR hand input, 25 joints: OpenXR without the palm."""
    fingers, parts = "index middle ring pinky", "phalanx-proximal phalanx-intermediate phalanx-distal tip"
    wrist_thumb = ("wrist", *_names("{f}-{j}", "thumb", "metacarpal phalanx-proximal phalanx-distal tip"))
    joints = (*wrist_thumb, *_names("{f}-finger-{j}", fingers, f"metacarpal {parts}"))
    return Layout("webxr", joints, (*wrist_thumb, *_names("{f}-finger-{j}", fingers, parts)))


def _manus() -> Layout:
    """Manus raw skeleton, 25 nodes; node ids are opaque, so name each node ``Chain/Joint`` from its NodeInfo."""
    fingers, parts = "Index Middle Ring Pinky", "Proximal Intermediate Distal Tip"
    wrist_thumb = ("Hand", *_names("{f}/{j}", "Thumb", "Metacarpal Proximal Intermediate Tip"))
    joints = (*wrist_thumb, *_names("{f}/{j}", fingers, f"Metacarpal {parts}"))
    return Layout("manus", joints, (*wrist_thumb, *_names("{f}/{j}", fingers, parts)))


def _hololens() -> Layout:
    """HoloLens 2 through Unity, 26 joints in the column order of its tracking CSV, left-handed axes.

    The columns without a suffix are the right hand, those with ``.1`` the left.
    """
    fingers, parts = "Index Middle Ring Pinky", "Knuckle MiddleJoint DistalJoint Tip"
    wrist_thumb = ("Wrist", *_names("{f}{j}", "Thumb", "MetacarpalJoint ProximalJoint DistalJoint Tip"))
    columns = "DistalJoint Knuckle Metacarpal MiddleJoint Tip"
    joints = (*_names("{f}{j}", "Index Middle", columns), "Palm", *_names("{f}{j}", "Pinky Ring", columns))
    thumb = _names("{f}{j}", "Thumb", "DistalJoint MetacarpalJoint ProximalJoint Tip")
    canonical = (*wrist_thumb, *_names("{f}{j}", fingers, parts))
    return Layout("hololens", (*joints, *thumb, "Wrist"), canonical, left_handed=True)


_CANONICAL = Layout("mediapipe", KEYPOINTS, KEYPOINTS)
_ALIASES = {"openpose": "mediapipe", "hamer": "mediapipe", "freihand": "mediapipe", "hot3d": "aria", "egodex": "arkit"}
_ALL = (_CANONICAL, _mano(), _aria(), _arkit(), _openxr(), _webxr(), _manus(), _hololens())
LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in _ALL}
LAYOUTS |= {alias: LAYOUTS[name] for alias, name in _ALIASES.items()}
