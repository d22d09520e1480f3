"""Time: rates that are not as declared, gaps, and cameras that do not cover what they should have seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from egoscale_sdk.data.doctor.base import Case, Check, Places
from egoscale_sdk.data.validation import Finding

RATE_OFF = 0.05
UNCOVERED_S = 0.5
BLIND = 0.2
_UNITS = {1e3: "milliseconds", 1e6: "microseconds", 1e9: "seconds"}


class Rate(Check):
    """Compares the median period of every episode with the declared rate."""

    def __init__(self) -> None:
        self._places = Places()
        self._rates: list[float] = []
        self._fps = 0.0

    def look(self, case: Case) -> None:
        """Measure one rate."""
        self._fps = case.fps
        if len(case.time_s) > 2:
            rate = 1 / float(np.median(np.diff(case.time_s)))
            if abs(rate / case.fps - 1) > RATE_OFF:
                self._places.add("rate", case.ref.key)
                self._rates = [*self._rates[:999], rate]

    def findings(self) -> Iterator[Finding]:
        """One finding for all episodes."""
        if self._rates:
            rate = float(np.median(self._rates))
            unit = next((name for factor, name in _UNITS.items() if abs(rate / self._fps / factor - 1) < 0.2), None)
            hint = (
                f"time stamps look like {unit} instead of nanoseconds" if unit else "declare the rate of the recording"
            )
            yield Finding(
                "rate",
                "error" if unit else "warning",
                self._places.where("rate"),
                f"rows come at {rate:.4g} Hz, declared are {self._fps:g} Hz",
                self._places.episodes("rate"),
                f"{hint}; import it again",
                self._places.keys("rate"),
            )


class Gaps(Check):
    """Counts the places where rows are missing: more than half a second and more than four periods."""

    def __init__(self) -> None:
        self._places = Places()
        self._longest = 0.0

    def look(self, case: Case) -> None:
        """Count them in one episode; a new map is no gap."""
        gaps = ~case.steady & (np.diff(case.rows.map_id) == 0)
        self._places.add("gap", case.ref.key, int(gaps.sum()))
        self._longest = max(self._longest, float(np.diff(case.time_s)[gaps].max(initial=0)))

    def findings(self) -> Iterator[Finding]:
        """One finding for all episodes."""
        if self._places.counts["gap"]:
            yield Finding(
                "gaps",
                "warning",
                self._places.where("gap"),
                f"rows are missing for up to {self._longest:.1f} s; no window is read across such a gap",
                self._places.counts["gap"],
                "cut the recording there, or record again without losing samples",
                self._places.keys("gap"),
            )


class CameraTime(Check):
    """Finds cameras that begin late, end early (as a clock that drifts does) or that many rows do not see."""

    def __init__(self) -> None:
        self._places = Places()
        self._worst: dict[str, float] = defaultdict(float)

    def look(self, case: Case) -> None:
        """Compare the rows that see an image with all rows."""
        segment = case.dataset.segment(case.ref.segment)
        for camera in case.dataset.declaration.cameras:
            seen = segment.array(f"cams/{camera.name}/row").read(case.ref.start, case.ref.start + case.ref.length) >= 0
            if not seen.any():
                self._places.add(f"absent {camera.name}", case.ref.key)
                continue
            at = np.flatnonzero(seen)
            late, early = float(case.time_s[at[0]]), float(case.time_s[-1] - case.time_s[at[-1]])
            if max(late, early) > UNCOVERED_S:
                self._places.add(f"span {camera.name}", case.ref.key)
                self._worst[f"span {camera.name}"] = max(self._worst[f"span {camera.name}"], late, early)
            elif 1 - seen.mean() > BLIND:
                self._places.add(f"blind {camera.name}", case.ref.key)
                self._worst[f"blind {camera.name}"] = max(self._worst[f"blind {camera.name}"], 1 - float(seen.mean()))

    def findings(self) -> Iterator[Finding]:
        """One finding per camera and kind."""
        texts = {
            "absent": ("camera_absent", "camera {0!r} has no image", "train without it (--set policy.cameras=...)"),
            "span": ("camera_clock", "camera {0!r} begins late or ends early by up to {1:.1f} s", _CLOCK),
            "blind": ("camera_gaps", "up to {1:.0%} of the rows see no image of camera {0!r}", _CLOCK),
        }
        for what, count in self._places.counts.items():
            kind, _, camera = what.partition(" ")
            code, text, hint = texts[kind]
            message = text.format(camera, self._worst[what])
            where, keys = self._places.where(what), self._places.keys(what)
            yield Finding(code, "warning", where, message, count, hint, keys, camera)


_CLOCK = "compare the camera's clock with that of the rows: its offset or rate is off; correct it and import again"
