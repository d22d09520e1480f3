"""Sensors: known before they are opened, stamped, of the declared shape, and never in anybody's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np

from egoscale_sdk.interfaces import Sample, Sensor
from egoscale_sdk.specs import CameraSpec
from egoscale_sdk.testing.bench import demand
from egoscale_sdk.testing.check import NotApplicable, Violation, check
from egoscale_sdk.testing.io_watch import watched
from egoscale_sdk.testing.subject import Subject

_SAMPLES = 5
_OTHER_CLOCK = 5  # times too fast or too slow: a stamp in another unit, however busy the computer is
_HANGS_S = 10.0  # nobody waits so long for an answer that comes; a busy computer is only slow


@check("SEN001", "must", needs={"sensors"}, mend="move what opens files, sockets or threads from __init__ to open()")
def constructing_touches_nothing(subject: Subject) -> str:
    """Constructing a sensor does no input or output, and its spec is known before it is opened."""
    for name, make in _sensors(subject).items():
        make()  # imports what it needs; that reads files, and is not what is asked
        sensor, touched = watched(make)
        demand(not touched, f"sensor {name!r}: constructing it does {touched[:1]}")
        declared = next(spec for spec in subject.spec.sensors if spec.name == name)
        demand(getattr(sensor, "spec", None) == declared, f"sensor {name!r}: its spec is not the one it was made for")
    return f"{len(subject.sensors)} sensors"


@check("SEN002", "must", needs={"sensors"}, mend="deliver what the spec says, or correct the spec")
def samples_are_as_declared(subject: Subject) -> str:
    """Samples have the shape that the spec says: RGB uint8 of a camera, finite floats of a tactile sensor."""
    return _on_every_sensor(subject, _fits)


@check("SEN003", "must", needs={"sensors"}, mend="stamp each sample when it was taken, on a monotonic clock, in ns")
def stamps_increase(subject: Subject) -> str:
    """Time stamps are whole nanoseconds that increase with each new sample, as often as the spec says."""
    return _on_every_sensor(subject, _goes_on)


@check("SEN004", "must", needs={"sensors"}, mend="let close() return at once where there is nothing to close")
def closing_is_always_allowed(subject: Subject) -> str:
    """A sensor may be closed at any time, any number of times, and opened again."""
    for name, make in _sensors(subject).items():
        sensor = make()
        with _closed_at_last(sensor):
            for what, act in (
                ("close() before open()", sensor.close),
                ("open()", sensor.open),
                ("close()", sensor.close),
                ("a second close()", sensor.close),
                ("open() after close()", sensor.open),
                ("read() after opening again", sensor.read),
            ):
                try:
                    act()
                except Exception as error:
                    raise Violation(f"sensor {name!r}: {what} raised {type(error).__name__}: {error}") from error
    return "closed 4 times, opened twice"


@check("SEN005", "must", needs={"sensors"}, mend="raise an error in read() while the sensor is not open")
def a_closed_sensor_refuses_to_read(subject: Subject) -> str:
    """Reading a sensor that is not open raises an error; it neither blocks nor returns something old."""
    for name, make in _sensors(subject).items():
        sensor = make()
        _refuses(sensor, f"sensor {name!r}: read() before open()")
        with _closed_at_last(sensor):
            sensor.open()
            sensor.read()
        _refuses(sensor, f"sensor {name!r}: read() after close()")
    return "refused before opening and after closing"


@check("SEN006", "must", needs={"sensors"}, mend="return a copy of the buffer that the sensor writes into")
def samples_are_not_shared(subject: Subject) -> str:
    """A sample does not change when the next ones are taken."""
    return _on_every_sensor(subject, _keeps)


def _sensors(subject: Subject) -> dict[str, Callable[[], Sensor]]:
    if not subject.sensors:
        raise NotApplicable("the plugin's sensor entries serve no sensor of this spec")
    return subject.sensors


def _on_every_sensor(subject: Subject, judge: Callable[[Sensor, str], str]) -> str:
    notes = []
    for name, make in _sensors(subject).items():
        sensor = make()
        with _closed_at_last(sensor):
            sensor.open()
            notes.append(f"{name}: {judge(sensor, f'sensor {name!r}')}")
    return "; ".join(notes)


@contextmanager
def _closed_at_last(sensor: Sensor) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(Exception):  # what went wrong first is what counts
            sensor.close()
        raise
    sensor.close()


def _fits(sensor: Sensor, name: str) -> str:
    spec = sensor.spec
    shape = (spec.height_px, spec.width_px, 3) if isinstance(spec, CameraSpec) else spec.shape
    for _ in range(_SAMPLES):
        data = np.asarray(sensor.read().data)
        found = f"{name}: a sample is {data.dtype} {data.shape}"
        demand(data.shape == shape, f"{found}, not {shape} as its spec says")
        if isinstance(spec, CameraSpec):
            demand(data.dtype == np.uint8, f"{found}, not uint8")
        else:
            demand(data.dtype.kind == "f", f"{found}, not floats in {spec.unit}")
            demand(bool(np.isfinite(data).all()), f"{name}: a sample is not finite")
    return f"{data.dtype} {data.shape}"


def _goes_on(sensor: Sensor, name: str) -> str:
    period_ns, began_ns = 1e9 / sensor.spec.rate_hz, time.monotonic_ns()
    before = first = _stamp(sensor.read(), name)
    for _ in range(_SAMPLES):
        now = _stamp(sensor.read(), name)
        if 0 <= now - before < period_ns / 2:  # the sample before, or a sensor that runs by the clock
            time.sleep(2e-9 * period_ns)
            now = _stamp(sensor.read(), name)
        demand(now >= before, f"{name}: time went back by {before - now} ns")
        demand(now > before, f"{name}: the stamp stays at {now} ns for more than two periods")
        before = now
    found = f"{1e-9 * (now - first):.3g} s in {_SAMPLES} samples at {sensor.spec.rate_hz:g} Hz"
    due_ns = _SAMPLES * period_ns
    longest_ns = max(due_ns, time.monotonic_ns() - began_ns)  # a sensor that runs by the clock cannot be hurried
    is_right = due_ns / _OTHER_CLOCK < now - first < longest_ns * _OTHER_CLOCK
    demand(is_right, f"{name}: {found}: the stamps are not nanoseconds, or the rate is not the spec's")
    return found


def _stamp(sample: Sample, name: str) -> int:
    whole = isinstance(sample.time_ns, int | np.int64)
    demand(whole, f"{name}: a stamp is a {type(sample.time_ns).__name__}, not whole nanoseconds")
    return int(sample.time_ns)


def _keeps(sensor: Sensor, name: str) -> str:
    kept = sensor.read().data
    seen = np.array(kept, copy=True)
    before = sensor.read().time_ns
    for _ in range(_SAMPLES):
        if sensor.read().time_ns == before:
            time.sleep(2 / sensor.spec.rate_hz)
    changed = int(np.count_nonzero(np.asarray(kept) != seen))
    demand(not changed, f"{name}: {changed} values of a sample changed when the next ones were taken")
    return f"unchanged after {_SAMPLES} more"


def _refuses(sensor: Sensor, what: str) -> None:
    """Demand that ``read`` raises; in a thread, for one that blocks would never end."""
    answers: list[bool] = []

    def read() -> None:
        try:
            sensor.read()
        except Exception:  # of whatever kind: a vendor's own library may have raised it
            answers.append(True)
        else:
            answers.append(False)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(_HANGS_S)
    demand(bool(answers), f"{what} blocks for more than {_HANGS_S:g} s")
    demand(answers[0], f"{what} was not refused")
