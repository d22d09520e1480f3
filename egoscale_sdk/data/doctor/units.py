"""Millimetres for metres and degrees for radians."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from egoscale_sdk.data.doctor.base import Array, Case, Check, Of, Places
from egoscale_sdk.data.validation import Finding, Severity
from egoscale_sdk.specs import EmbodimentSpec, Side

FAR_M = 30.0
"""A wrist this far from its fixed frame, in the median, is not in metres."""
SPEED_M_S, SPEED_RAD_S = 15.0, 60.0
"""No wrist moves and no finger joint turns so fast."""
OFTEN = 0.005
DEGREES = 180 / np.pi


class Units(Check):
    """Compares places with a room, and joints with their limits, in both units; and finds impossible speeds."""

    def __init__(self) -> None:
        self._places = Places()
        self._sizes: dict[str, list[float]] = defaultdict(list)
        self._rows: dict[str, int] = defaultdict(int)

    def look(self, case: Case) -> None:
        """Judge every group of one episode."""
        for of in case.measured:
            for side in case.layout.sides:
                self._wrist(case, f"{side}_wrist", of)
                if case.dataset.declaration.spec.hand(side).representation == "joints":
                    self._joints(case, side, of)

    def findings(self) -> Iterator[Finding]:
        """One finding per group and kind."""
        for what, count in self._places.counts.items():
            kind, _, place = what.partition(" ")
            if kind == "jump" and count <= max(2, OFTEN * self._rows[place]):
                continue
            severity, code, message, hint = _TEXTS[kind]
            size = float(np.median(self._sizes[what]))
            where, keys, group = self._places.where(what), self._places.keys(what), place.split()[0]
            yield Finding(code, severity, where, message.format(place, size), count, hint, keys, group)

    def _wrist(self, case: Case, group: str, of: Of) -> None:
        known, place = case.known(group, of), f"{group} {of}"
        wrist = case.block(group, of)[:, :3]
        if known.sum() < 2:
            return
        distance = float(np.median(np.linalg.norm(wrist[known], axis=1)))
        if distance > FAR_M:
            self._note(f"millimetres {place}", case.ref.key, int(known.sum()), distance)
            return
        steps = known[1:] & known[:-1] & case.steady
        speed = np.linalg.norm(np.diff(wrist, axis=0), axis=1) / np.maximum(np.diff(case.time_s), 1e-6)
        self._jumps(place, case.ref.key, speed[steps], SPEED_M_S)

    def _joints(self, case: Case, side: Side, of: Of) -> None:
        group = f"{side}_hand"
        known, place = case.known(group, of), f"{group} {of}"
        values, limits = case.block(group, of), _limits(case.dataset.declaration.spec, side)
        if known.sum() < 2 or not len(limits):
            return
        radians = np.array(
            [column.unit == "rad" for column in case.dataset.declaration.spec.hand(side).hand_space.columns]
        )
        if _fits(values[known][:, radians] / DEGREES, limits[radians]) and not _fits(
            values[known][:, radians], limits[radians], slack=2.0
        ):
            self._note(f"degrees {place}", case.ref.key, int(known.sum()), float(np.abs(values[known]).max()))
            return
        if of == "action" and case.dataset.declaration.native.action_source == "commanded":
            return  # a command may leap from open to closed; what the joint then does is in the state
        steps = known[1:] & known[:-1] & case.steady
        speed = (np.abs(np.diff(values, axis=0)) * radians).max(1, initial=0) / np.maximum(np.diff(case.time_s), 1e-6)
        self._jumps(place, case.ref.key, speed[steps], SPEED_RAD_S)

    def _jumps(self, place: str, key: str, speed: Array, most: float) -> None:
        self._rows[place] += len(speed)
        fast = speed[speed > most]
        self._note(f"jump {place}", key, len(fast), float(fast.max(initial=0)))

    def _note(self, what: str, key: str, count: int, size: float) -> None:
        self._places.add(what, key, count)
        if count:
            self._sizes[what] = [*self._sizes[what][:999], size]


_TEXTS: dict[str, tuple[Severity, str, str, str]] = {
    "millimetres": (
        "error",
        "units_m",
        "the {0} is {1:.4g} m from its fixed frame (median): these look like millimetres",
        "divide them by 1000 in the importer, and import again",
    ),
    "degrees": (
        "error",
        "units_rad",
        "the {0} reaches {1:.4g} rad, beyond every limit: these look like degrees",
        "multiply by pi/180 in the importer, and import again",
    ),
    "jump": (
        "warning",
        "jumps",
        "the {0} moves at up to {1:.4g} per second between rows: a tracker that jumps, or wrong time stamps",
        "give such rows another map_id, or mark them invalid, in the importer, and import again",
    ),
}


def _limits(spec: EmbodimentSpec, side: Side) -> Array:
    joints = spec.hand(side).actuated
    return np.array([(-np.inf if j.lower is None else j.lower, np.inf if j.upper is None else j.upper) for j in joints])


def _fits(values: Array, limits: Array, slack: float = 0.1) -> bool:
    """Whether nearly all values ``(N, J)`` are within their limits, widened by a share of their range."""
    if not np.isfinite(limits).all() or not values.size:
        return False
    margin = slack * (limits[:, 1] - limits[:, 0])
    inside = (values >= limits[:, 0] - margin) & (values <= limits[:, 1] + margin)
    return bool(inside.mean() > 0.98) and bool(inside.all(1).mean() > 0.9)
