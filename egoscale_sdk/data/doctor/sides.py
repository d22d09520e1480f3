"""Left taken for right, and fingers or joints in another order, judged by how they move."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from egoscale_sdk.data.doctor.base import Array, Case, Check, Places
from egoscale_sdk.data.validation import Finding
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import inverse_pose, pose_from_vec9, transform_points
from egoscale_sdk.hands import check_chirality, plausible_hands
from egoscale_sdk.specs import Side

CAMERA_POSE = "camera_pose"
KNUCKLES = (5, 9, 13, 17)
MOSTLY = 0.8


class HumanHands(Check):
    """People's hands: which way the fingers bend, the order of the knuckles, and which wrist is on which side.

    The fingers of a hand that is taken for the other one bend backwards. Seen from the head's camera the left wrist
    is mostly left of the right one.
    """

    def __init__(self) -> None:
        self._places = Places()
        self._judged: dict[str, int] = defaultdict(int)

    def look(self, case: Case) -> None:
        """Judge both hands of an episode."""
        for side in case.layout.sides:
            group = f"{side}_hand"
            if case.dataset.declaration.spec.hand(side).representation == "keypoints":
                hands = case.block(group)[case.known(group)].reshape(-1, 21, 3)
                hands = hands[plausible_hands(hands)]
                if len(hands):
                    self._judged[group] += 1
                    backwards, out_of_order = _backwards(hands, side), _out_of_order(hands)
                    self._places.add(f"backwards {group}", case.ref.key, 0 if _reversed(hands) else backwards)
                    self._places.add(f"order {group}", case.ref.key, backwards if _reversed(hands) else out_of_order)
        if len(case.layout.sides) == 2 and CAMERA_POSE in case.rows.raw:
            self._look_from_camera(case)

    def findings(self) -> Iterator[Finding]:
        """One finding per hand and kind, where most episodes show it."""
        for what, count in self._places.counts.items():
            kind, _, group = what.partition(" ")
            if self._places.episodes(what) > self._judged[group] / 2:
                code, message, hint = _TEXTS[kind]
                where, keys = self._places.where(what), self._places.keys(what)
                yield Finding(code, "error", where, message.format(group), count, hint, keys, group)

    def _look_from_camera(self, case: Case) -> None:
        pose = case.rows.raw[CAMERA_POSE].reshape(-1, 4, 4).astype(np.float64)
        good = (
            case.known("left_wrist") & case.known("right_wrist") & (np.abs(np.linalg.det(pose[:, :3, :3]) - 1) < 1e-2)
        )
        if good.sum() < 30:
            return
        camera = inverse_pose(pose[good])
        left, right = (
            transform_points(camera, pose_from_vec9(case.block(f"{side}_wrist")[good])[:, None, :3, 3])[:, 0, 0]
            for side in ("left", "right")
        )
        crossed = left > right  # x of a camera points right
        self._judged["wrists"] += 1
        self._places.add("crossed wrists", case.ref.key, int(crossed.sum()) if crossed.mean() > MOSTLY else 0)


_TEXTS = {
    "backwards": (
        "swapped_hands",
        "the fingers of the {0} bend backwards: it is the other hand, or the axes are left-handed",
        "import it again with the sides exchanged (--side), or negate one axis",
    ),
    "order": (
        "finger_order",
        "the knuckles of the {0} do not lie side by side from index to little finger",
        "import it again with the tracker's --layout; egoscale import keypoints --help lists them",
    ),
    "crossed": (
        "swapped_hands",
        "seen from the camera the left wrist is right of the right one: the hands are exchanged",
        "exchange left and right in the importer, and import again",
    ),
}


def _backwards(hands: Array, side: Side) -> int:
    try:
        check_chirality(hands, side)
    except DataError:
        return len(hands)
    return 0


def _reversed(hands: Array) -> bool:
    """Whether the thumb begins at the little finger: from there on the order is reversed, not the side."""
    thumb = np.linalg.norm(hands[:, KNUCKLES] - hands[:, 2:3], axis=-1)
    return bool((thumb[:, 0] > thumb[:, -1]).mean() > MOSTLY)


def _out_of_order(hands: Array) -> int:
    """Frames whose knuckles are not in one order along the palm, if that is most of them, else 0."""
    across = hands[:, KNUCKLES[0]] - hands[:, KNUCKLES[-1]]
    along = np.einsum("tkd,td->tk", hands[:, KNUCKLES], across)
    wrong = (np.diff(along, axis=1) >= 0).any(1)
    tip_far = np.linalg.norm(hands[:, 8:21:4], axis=-1) < np.linalg.norm(hands[:, 5:18:4], axis=-1) * 0.6
    wrong |= tip_far.all(1)  # where every tip is at the palm, tips and knuckles were exchanged
    return int(wrong.sum()) if wrong.mean() > MOSTLY else 0
