"""Images that are black, stand still while the hands move, or are of another size than declared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from egoscale_sdk.data.doctor.base import Array, Case, Check, Places
from egoscale_sdk.data.images import decode, jpeg_size
from egoscale_sdk.data.segment import Segment
from egoscale_sdk.data.validation import Finding, Severity
from egoscale_sdk.errors import DataError

LOOKS = 6
"""Images that are decoded of every camera and episode."""
DARK, FLAT = 12.0, 3.0
FROZEN_S, MOVED_M = 1.0, 0.03
ANOTHER_SHAPE = 0.02


class Pictures(Check):
    """Decodes a few images of every camera and episode, and compares neighbours byte by byte."""

    def __init__(self) -> None:
        self._places = Places()
        self._looked: dict[str, int] = defaultdict(int)
        self._notes: dict[str, str] = {}
        self._dark: set[str] = set()

    def look(self, case: Case) -> None:
        """Look at every camera."""
        self._dark.clear()
        for camera in case.dataset.declaration.cameras:
            size = (camera.height_px, camera.width_px)
            rows = np.unique(np.linspace(0, case.ref.length - 1, LOOKS).astype(int)).tolist()
            images = [data for row in rows if (data := case.dataset.jpeg(case.ref, camera.name, row)) is not None]
            self._looked[camera.name] += bool(images)
            for data in images:
                self._image(case.ref.key, camera.name, data, size)
            if camera.native:  # of resized pictures the calibration is that of the native ones
                self._calibration(case, camera.name, size)
            if camera.name not in self._dark:  # black pictures are the same, too
                self._places.add(f"frozen {camera.name}", case.ref.key, _frozen_rows(case, camera.name))

    def findings(self) -> Iterator[Finding]:
        """One finding per camera and kind."""
        for what, count in self._places.counts.items():
            kind, _, camera = what.partition(" ")
            severity, code, message, hint = _TEXTS[kind]
            text = message.format(camera, self._notes.get(what, ""))
            where, keys = self._places.where(what), self._places.keys(what)
            yield Finding(code, severity, where, text, count, hint, keys, camera)

    def _image(self, key: str, camera: str, data: bytes, size: tuple[int, int]) -> None:
        try:
            actual = jpeg_size(data)
            pixels = decode(data).astype(np.float32)
        except DataError as error:
            self._notes[f"damaged {camera}"] = error.what
            self._places.add(f"damaged {camera}", key)
            return
        if actual != size:
            self._notes[f"size {camera}"] = f"{actual[0]}x{actual[1]}, declared is {size[0]}x{size[1]}"
            self._places.add(f"size {camera}", key)
        if pixels.mean() < DARK and pixels.std() < DARK:
            self._dark.add(camera)
            self._places.add(f"black {camera}", key)
        elif pixels.std() < FLAT:
            self._places.add(f"flat {camera}", key)

    def _calibration(self, case: Case, camera: str, size: tuple[int, int]) -> None:
        height, width = (case.dataset.calibration(case.ref, camera).get(name) for name in ("height_px", "width_px"))
        if not isinstance(height, int | float) or not isinstance(width, int | float) or min(height, width) <= 0:
            return
        if abs((height / width) / (size[0] / size[1]) - 1) > ANOTHER_SHAPE:  # of another size it can be scaled
            self._notes[f"calibration {camera}"] = f"{height:g}x{width:g}, stored is {size[0]}x{size[1]}"
            self._places.add(f"calibration {camera}", case.ref.key)


_TEXTS: dict[str, tuple[Severity, str, str, str]] = {
    "damaged": ("error", "image_damaged", "images of camera {0!r} cannot be decoded: {1}", "import it again"),
    "size": (
        "error",
        "camera_size",
        "images of camera {0!r} are {1}",
        "declare the size that is stored, or import again with --image-size",
    ),
    "calibration": (
        "warning",
        "camera_calibration",
        "the calibration of camera {0!r} is for pictures of another shape: {1}",
        "scale the intrinsics with the pictures in the importer, and import again",
    ),
    "black": ("warning", "image_black", "images of camera {0!r} are black", "look at the recording; leave it out"),
    "flat": ("warning", "image_flat", "images of camera {0!r} show one colour", "look at the recording; leave it out"),
    "frozen": (
        "warning",
        "image_frozen",
        "images of camera {0!r} stay exactly the same while hands move",
        "the camera stopped: cut the recording there, or leave the camera out, and import again",
    ),
}


def _frozen_rows(case: Case, camera: str) -> int:
    """Rows for which the picture stays the same for a second while a wrist travels."""
    segment = case.dataset.segment(case.ref.segment)
    row = segment.array(f"cams/{camera}/row").read(case.ref.start, case.ref.start + case.ref.length)
    shown = np.unique(row[row >= 0])
    if len(shown) < 2:
        return 0
    offsets = segment.array(f"cams/{camera}/offsets").read(int(shown[0]), int(shown[-1]) + 2).astype(np.int64)
    places = shown - shown[0]
    lengths = offsets[places + 1] - offsets[places]
    changed = [True]
    for earlier, later, maybe in zip(places[:-1], places[1:], lengths[1:] == lengths[:-1], strict=True):
        changed.append(
            not (maybe and _equal(segment, camera, offsets[[earlier, earlier + 1, later, later + 1]].tolist()))
        )
    picture = np.cumsum(changed)  # equal neighbours are one picture
    number = np.where(row >= 0, picture[np.searchsorted(shown, np.maximum(row, shown[0]))], 0)
    return sum(_stuck(case, int(n), number) for n in np.unique(number[number > 0]))


def _equal(segment: Segment, camera: str, bounds: list[int]) -> bool:
    data = segment.array(f"cams/{camera}/data")
    return bool(np.array_equal(data.read(bounds[0], bounds[1]), data.read(bounds[2], bounds[3])))


def _stuck(case: Case, picture: int, number: Array) -> int:
    rows = np.flatnonzero(number == picture)
    if case.time_s[rows[-1]] - case.time_s[rows[0]] < FROZEN_S:
        return 0
    for group in (group for group in case.layout.groups if group.endswith("wrist")):
        own = rows[case.known(group)[rows]]
        if len(own) and np.ptp(case.block(group)[own, :3], axis=0).max() > MOVED_M:
            return len(rows)
    return 0
