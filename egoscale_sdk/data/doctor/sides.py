"""Left taken for right, and fingers or joints in another order, judged by how they move."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

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
MATCH, MISMATCH = 0.9, 0.5
MOTION = {"m": 0.01, "rad": 0.1, "1": 0.05}
"""Standard deviation of a column below which it tells nothing about order."""


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
                    self._places.add(f"backwards {group}", case.ref.key, _backwards(hands, side))
                    self._places.add(f"order {group}", case.ref.key, _out_of_order(hands))
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


def _out_of_order(hands: Array) -> int:
    """Frames whose knuckles are not in one order along the palm, if that is most of them, else 0."""
    across = hands[:, KNUCKLES[0]] - hands[:, KNUCKLES[-1]]
    along = np.einsum("tkd,td->tk", hands[:, KNUCKLES], across)
    wrong = (np.diff(along, axis=1) >= 0).any(1)
    tip_far = np.linalg.norm(hands[:, 8:21:4], axis=-1) < np.linalg.norm(hands[:, 5:18:4], axis=-1) * 0.6
    wrong |= tip_far.all(1)  # where every tip is at the palm, tips and knuckles were exchanged
    return int(wrong.sum()) if wrong.mean() > MOSTLY else 0


class JointOrder(Check):
    """A robot's joints: whether each command goes with the measurement of its own column.

    Correlations of commands with later measurements are taken over all hands. A column whose command goes with
    another column's measurement, and not with its own, is in the wrong place; one that goes against it has a sign.
    """

    def __init__(self) -> None:
        self._sums: Array | None = None
        self._case: Case | None = None

    def look(self, case: Case) -> None:
        """Add the products of this episode."""
        if case.rows.state is None or case.dataset.declaration.native.action_source != "commanded":
            return
        self._case = case
        hands = [group for group in case.layout.groups if group.endswith("hand")]
        good = np.logical_and.reduce([case.both(group) for group in hands])
        ahead = max(1, round(0.1 * case.fps))
        good = good[:-ahead] & good[ahead:]
        if good.sum() < 10:
            return
        action = np.concatenate([case.block(group) for group in hands], 1)[:-ahead][good]
        state = np.concatenate([case.block(group, "state") for group in hands], 1)[ahead:][good]
        both = np.concatenate([action, state, np.ones((len(action), 1))], 1)
        self._sums = both.T @ both + (0 if self._sums is None else self._sums)

    def findings(self) -> Iterator[Finding]:
        """One finding for columns in the wrong place, one for columns with another sign."""
        if self._case is None or self._sums is None:
            return
        layout = self._case.layout
        first = next(block.start for group, block in layout.blocks.items() if group.endswith("hand"))
        names, units = layout.names[first:], layout.units[first:]
        corr, spread = _correlation(self._sums, len(names))
        tells: Array = np.all((spread > np.array([MOTION[unit] for unit in (*units, *units)])).reshape(2, -1), axis=0)
        yield from _exchanged(corr, tells, names)
        turned = [names[i] for i in np.flatnonzero(tells & (corr.diagonal() < -MATCH))]
        if turned:
            message = f"command and measurement go against each other: {', '.join(turned[:6])}"
            hint = "correct the sign in the plugin's wire table or [[recordings]], and import again"
            group = turned[0].partition(".")[0]
            yield Finding("joint_sign", "error", "action against state", message, len(turned), hint, group=group)


def _exchanged(corr: Array, tells: Array, names: Sequence[str]) -> Iterator[Finding]:
    """Find columns that go with another column than their own."""
    own, best = corr.diagonal(), np.where(tells[None], corr, -1).argmax(1)
    wrong = [
        int(i)
        for i in np.flatnonzero(tells)
        if own[i] < MISMATCH and corr[i, best[i]] > MATCH and own[best[i]] < MISMATCH
    ]
    if len(wrong) > 1:
        pairs = ", ".join(f"{names[i]} moves {names[best[i]]}" for i in wrong[:4])
        crossed = any(names[i].split("_")[0] != names[best[i]].split("_")[0] for i in wrong)
        code, what = ("swapped_hands", "hands") if crossed else ("joint_order", "joints")
        message = f"{what} are exchanged between action and state, by their motion: {pairs}"
        hint = "correct the order of the columns in the importer or the plugin's [[recordings]], and import again"
        group = names[wrong[0]].partition(".")[0]
        yield Finding(code, "error", "action against state", message, len(wrong), hint, group=group)


def _correlation(sums: Array, width: int) -> tuple[Array, Array]:
    """Correlation ``(D, D)`` of actions with states and the standard deviation ``(2 D,)`` of all, from sums."""
    count = sums[-1, -1]
    mean = sums[-1, :-1] / count
    covariance = sums[:-1, :-1] / count - np.outer(mean, mean)
    spread = np.sqrt(np.maximum(covariance.diagonal(), 0))
    corr: Array = covariance / np.maximum(np.outer(spread, spread), 1e-12)
    return corr[:width, width:], spread
