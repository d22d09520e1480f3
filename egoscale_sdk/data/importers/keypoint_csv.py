"""Hand keypoints as CSV: our exchange form, and the tracking files of HoloLens 2 as they are."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.keypoint_table import EpisodeFacts, KeypointTable
from egoscale_sdk.data.importers.people import nanoseconds
from egoscale_sdk.data.importers.text import one_line
from egoscale_sdk.errors import DataError
from egoscale_sdk.geometry import Floats
from egoscale_sdk.hands import layout_named
from egoscale_sdk.specs import SIDES

_SUFFIX = {"left": ".1", "right": ""}  # of HoloLens columns: fingers curl to the palm only if read this way
_CLOCK = "%Y-%m-%d %H:%M:%S.%f"
_MAX_FIELD = 2**17


def read_csv(path: Path, layout: str | None) -> KeypointTable:
    """Read a CSV of keypoints; its header tells which of the two forms it has.

    Raises:
        DataError: truncated, a column is missing, a cell is no number, or the layout must be named.
    """
    header, rows = _table(path)
    looks_hololens = {"Wrist", "Wrist.1", "Time"} <= set(header)
    if layout is None:
        hint = "this header is HoloLens's: add --layout hololens" if looks_hololens else "add --layout NAME"
        raise DataError("a CSV does not say in which order its joints are", where=str(path), hint=hint)
    if looks_hololens:
        return _read_hololens(path, header, rows, layout)
    return _read_exchange(path, header, rows, layout)


def _read_hololens(path: Path, header: list[str], rows: list[list[str]], layout: str) -> KeypointTable:
    """Cells are ``(x/ y/ z)``, an absent hand is ``0``; stamps are of the wall clock, in milliseconds."""
    joints = layout_named(layout).joints
    columns = [[_column(header, joint + _SUFFIX[side], path) for joint in joints] for side in SIDES]
    points = np.array([[[_cell(row[c], f"{path}:{n}") for c in hand] for hand in columns] for n, row in _lines(rows)])
    clock = header.index("Time")
    stamps = [_stamp(row[clock], f"{path}:{n}") for n, row in _lines(rows)]
    time_ns = np.array([round((stamp - stamps[0]).total_seconds() * 1e3) * 1_000_000 for stamp in stamps], np.int64)
    return KeypointTable(str(path), points.reshape(len(rows), 2, len(joints), 3), EpisodeFacts(), time_ns)


def _read_exchange(path: Path, header: list[str], rows: list[list[str]], layout: str) -> KeypointTable:
    """Columns ``time_ns`` or ``time_s``, ``<side>_<joint>_<axis>``, ``<side>_confidence``; an empty cell is absent."""
    joints = layout_named(layout).joints
    present = [side for side in SIDES if any(name.startswith(f"{side}_") for name in header)]
    if not present:
        raise DataError("has no columns of a hand", where=str(path), allowed=[f"left_{joints[0]}_x", "..."])
    points = np.full((len(rows), 2, len(joints), 3), np.nan)
    conf = np.ones((len(rows), 2))
    for hand, side in enumerate(SIDES):
        if side in present:
            names = [f"{side}_{joint}_{axis}" for joint in joints for axis in "xyz"]
            points[:, hand] = _numbers(path, header, rows, names).reshape(len(rows), len(joints), 3)
        if f"{side}_confidence" in header:
            conf[:, hand] = _numbers(path, header, rows, [f"{side}_confidence"])[:, 0]
    return KeypointTable(str(path), points, EpisodeFacts(), _exchange_times(path, header, rows), conf=conf)


def _exchange_times(path: Path, header: list[str], rows: list[list[str]]) -> NDArray[np.int64] | None:
    if "time_ns" in header:
        where = header.index("time_ns")
        try:
            return np.array([int(row[where]) for row in rows], np.int64)
        except (ValueError, OverflowError):
            raise DataError("is not whole nanoseconds", where=f"{path}:time_ns") from None
    if "time_s" in header:
        return nanoseconds(_numbers(path, header, rows, ["time_s"])[:, 0], f"{path}:time_s")
    return None


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    csv.field_size_limit(_MAX_FIELD)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"is no readable CSV: {one_line(error)}", where=str(path)) from None
    if not rows:
        raise DataError("has no rows", where=str(path))
    for number, row in _lines(rows):
        if len(row) != len(header):
            what = f"has {len(row)} cells, the header has {len(header)}; the file may be truncated"
            raise DataError(what, where=f"{path}:{number}")
    return header, rows


def _lines(rows: list[list[str]]) -> list[tuple[int, list[str]]]:
    """Rows with their line numbers, the header being line 1."""
    return list(enumerate(rows, 2))


def _column(header: Sequence[str], name: str, path: Path) -> int:
    if name not in header:
        raise DataError(f"column {name!r} is missing", where=str(path), allowed=header[:12])
    return header.index(name)


def _numbers(path: Path, header: list[str], rows: list[list[str]], names: list[str]) -> Floats:
    columns = [_column(header, name, path) for name in names]
    try:
        return np.array([[float(row[c]) if row[c].strip() else np.nan for c in columns] for row in rows])
    except ValueError as error:
        raise DataError(str(error), where=f"{path}:{names[0]}") from None


def _cell(text: str, where: str) -> tuple[float, float, float]:
    """Read ``(x/ y/ z)``; a bare 0 is an absent hand."""
    if text.strip() == "0":
        return 0.0, 0.0, 0.0
    try:
        x, y, z = (float(part) for part in text.strip().removeprefix("(").removesuffix(")").split("/"))
    except ValueError:
        raise DataError(f"cell {text[:40]!r} is not (x/ y/ z)", where=where) from None
    return x, y, z


def _stamp(text: str, where: str) -> datetime:
    try:
        return datetime.strptime(text, _CLOCK)
    except ValueError:
        raise DataError(f"time {text[:40]!r} is not YYYY-MM-DD HH:MM:SS.mmm", where=where) from None
