"""Actions that are not what they are declared to be: relative instead of absolute, or a copy of the state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from egoscale_sdk.data.doctor.base import Array, Case, Check, Places
from egoscale_sdk.data.validation import SAME, Finding
from egoscale_sdk.geometry import pose_from_vec9, rotation_angle

AHEAD_S = 0.15
"""How far ahead of the state a command is looked for."""
CLEARLY = 0.5
SMALL_M, SMALL_RAD = 0.03, 0.1
ABSOLUTE = "stored rows are absolute: add the state of the row (poses: T_state @ T_delta) in the importer, import again"


class LooksRelative(Check):
    """Compares, where there is a state, the action with where the state goes.

    An absolute action is near the state a moment later; a relative one is near it only after the present state was
    added. People's wrists, that have no state, are relative where they never leave the origin.
    """

    def __init__(self) -> None:
        self._errors: dict[str, Array] = defaultdict(lambda: np.zeros(2))
        self._near = Places()
        self._seen: dict[str, int] = defaultdict(int)

    def look(self, case: Case) -> None:
        """Sum squared differences under both readings."""
        for group in case.layout.groups:
            if case.rows.state is not None:
                self._errors[group] += _squares(case, group)
            elif group.endswith("wrist") and case.known(group).sum() > 2:
                self._seen[group] += 1
                self._near.add(group, case.ref.key, _at_origin(case, group))

    def findings(self) -> Iterator[Finding]:
        """One finding per group that fits better when it is read as relative."""
        for group, (absolute, relative) in self._errors.items():
            if relative < CLEARLY**2 * absolute:
                message = (
                    f"the action of {group} looks relative: added to the state it is "
                    f"{np.sqrt(absolute / max(relative, 1e-12)):.1f} times nearer to where the state goes"
                )
                yield Finding("looks_relative", "error", f"{group} of the action", message, hint=ABSOLUTE, group=group)
        for group, count in self._seen.items():
            if self._near.episodes(group) > count / 2:
                message = f"the {group} never leaves the origin: it looks like steps from row to row"
                hint = (
                    "stored poses are absolute in a fixed frame: chain the steps up in the importer, and import again"
                )
                keys = self._near.keys(group)
                where = self._near.where(group)
                yield Finding("looks_relative", "error", where, message, count, hint, keys, group)


class NextState(Check):
    """Finds commanded actions that are the state of the next row: nothing was commanded, the hand was watched."""

    def __init__(self) -> None:
        self._same: dict[str, int] = defaultdict(int)
        self._compared: dict[str, int] = defaultdict(int)
        self._places = Places()

    def look(self, case: Case) -> None:
        """Count moving rows whose action equals the next state."""
        declaration = case.dataset.declaration
        if case.rows.state is None or declaration.native.action_source != "commanded":
            return
        for group in case.layout.groups:
            rows = np.flatnonzero((case.known(group)[:-1] & case.known(group, "state")[1:]) & case.steady)
            action, after = case.block(group)[rows], case.block(group, "state")[rows + 1]
            going = (after != after[:1]).any(1)
            same = int(((np.abs(action - after) <= SAME).all(1) & going).sum())
            self._same[group] += same
            self._compared[group] += int(going.sum())
            self._places.add(group, case.ref.key, same)

    def findings(self) -> Iterator[Finding]:
        """One finding per group."""
        for group, compared in self._compared.items():
            if compared and self._same[group] > 0.95 * compared:
                yield Finding(
                    "action_is_next_state",
                    "warning",
                    self._places.where(group),
                    f"the action of {group} is the measured state of the next row: it is no command",
                    self._same[group],
                    "import it again with action_source = 'observed', or record the commanded targets",
                    self._places.keys(group),
                    group,
                )


def _squares(case: Case, group: str) -> Array:
    """Sums of squares of the action read as absolute, and as relative, against the state a moment later."""
    ahead = max(1, round(AHEAD_S * case.fps))
    if len(case.time_s) <= ahead:
        return np.zeros(2)
    columns = slice(0, 3) if group.endswith("wrist") else slice(None)
    action, state = case.block(group)[:-ahead, columns], case.block(group, "state")[:, columns]
    good = case.both(group)[:-ahead] & case.known(group, "state")[ahead:]
    good &= (case.rows.map_id[:-ahead] == case.rows.map_id[ahead:]) & (
        np.abs(case.time_s[ahead:] - case.time_s[:-ahead] - ahead / case.fps) < AHEAD_S
    )
    after = state[ahead:][good]
    absolute, relative = action[good] - after, state[:-ahead][good] + action[good] - after
    return np.array([(absolute**2).sum(), (relative**2).sum()])


def _at_origin(case: Case, group: str) -> int:
    """Rows of a wrist that moves, if all are next to the identity, else 0."""
    wrist = case.block(group)[case.known(group)]
    if np.ptp(wrist, axis=0).max() == 0:
        return 0
    poses = pose_from_vec9(wrist)
    turned = rotation_angle(np.broadcast_to(np.eye(3), poses[:, :3, :3].shape), poses[:, :3, :3])
    near = (np.linalg.norm(wrist[:, :3], axis=1) < SMALL_M) & (turned < SMALL_RAD)
    return len(wrist) if near.mean() > 0.98 else 0
