"""Clocks of a session: every device's stamps on the master clock, by what is given or by events that both saw."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.mocap_session import ClockSpec, Session
from egoscale_sdk.data.importers.people import nanoseconds
from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats

Events = dict[str, dict[str, float]]
_AGREE_S = 0.02
_MAX_DRIFT = 1e-3
_DRIFT_BASE_S = 10.0
_ALLOWED = "under 1000 ppm"


@dataclass(frozen=True)
class Clock:
    """``t_master = master_s + rate * (t - own_s)``."""

    own_s: float = 0.0
    master_s: float = 0.0
    rate: float = 1.0

    def to_master(self, time_s: Floats, where: str) -> NDArray[np.int64]:
        """Whole nanoseconds of the master clock for stamps of this one.

        Raises:
            DataError: a stamp is no time in seconds.
        """
        return nanoseconds(self.master_s + self.rate * (time_s - self.own_s), where)


def session_clocks(session: Session) -> dict[str, Clock]:
    """Return every clock of a session by its name.

    Raises:
        DataError: the table of events is missing or malformed, or its events disagree.
    """
    spec = session.spec
    events = {} if spec.sync is None else read_events(session.path(spec.sync, "sync"))
    clocks = {spec.master: Clock()}
    return clocks | {clock.name: _clock(clock, events, spec.master, session) for clock in spec.clocks}


def read_events(path: Path) -> Events:
    """Read a CSV of ``event,clock,time_s``: when each clock saw each event.

    Raises:
        DataError: a column is missing, a stamp is no number, or a clock saw an event twice.
    """
    events: Events = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for number, row in enumerate(rows, 2):
            seen = events.setdefault(row["clock"], {})
            if row["event"] in seen:
                raise DataError(f"clock {row['clock']!r} saw event {row['event']!r} twice", where=f"{path}:{number}")
            seen[row["event"]] = float(row["time_s"])
    except (KeyError, TypeError, ValueError, OSError, csv.Error) as error:
        raise DataError(f"is no table of event,clock,time_s: {one_line(error)}", where=str(path)) from None
    return events


def fit_clock(own_s: Floats, master_s: Floats, where: str) -> Clock:
    """Fit a clock to events that it and the master saw, robustly: offset, and drift if they span 10 s or more.

    The median slope of all pairs of events finds outliers (over 20 ms), which are left out; the rest is fitted by
    least squares.

    Raises:
        DataError: there is no event, a stamp is not finite, or most events disagree.
    """
    if len(own_s) == 0:
        raise DataError("has no event that the master clock saw too", where=where)
    if not (np.isfinite(own_s).all() and np.isfinite(master_s).all()):
        raise DataError("an event's stamp is not finite", where=where)
    own0, master0 = float(own_s.mean()), float(master_s.mean())
    x, y = own_s - own0, master_s - master0
    slope = _median_slope(x, y)
    residual = y - slope * x
    good = np.abs(residual - np.median(residual)) <= _AGREE_S
    if good.sum() * 2 <= len(good) and len(good) > 1:
        spread = float(np.abs(residual - np.median(residual)).max())
        raise DataError(f"sync events disagree by up to {1e3 * spread:.1f} ms", where=where)
    if np.ptp(x[good]) >= _DRIFT_BASE_S:
        slope = float(np.polyfit(x[good], y[good], 1)[0])
    if abs(slope - 1) > _MAX_DRIFT:
        what = f"drifts by {1e6 * (slope - 1):.0f} ppm against the master: are its stamps in seconds?"
        raise DataError(what, where=where, allowed=[_ALLOWED])
    shift = float((y[good] - slope * x[good]).mean())
    return Clock(own0, master0 + shift, slope)


def _clock(spec: ClockSpec, events: Events, master: str, session: Session) -> Clock:
    if not spec.sync:
        return Clock(0.0, spec.offset_s, 1 + spec.drift_ppm * 1e-6)
    own, other = events.get(spec.name, {}), events.get(master, {})
    shared = [event for event in own if event in other]
    where = f"{session.folder / (session.spec.sync or '')}: clock {spec.name!r}"
    return fit_clock(np.array([own[e] for e in shared]), np.array([other[e] for e in shared]), where)


def _median_slope(x: Floats, y: Floats) -> float:
    """Median slope over all pairs of events that are 10 s apart; 1 where there are none."""
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] - x[first]
    usable = np.abs(apart) >= _DRIFT_BASE_S
    if not usable.any():
        return 1.0
    return float(np.median((y[second] - y[first])[usable] / apart[usable]))
