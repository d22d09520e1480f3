"""What all importers share: files found under a source, keys that stay the same, options, a recording of files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import Episode, LanguageSpan, Recording
from egoscale_sdk.specs import DatasetDeclaration, EmbodimentSpec, Strict

T = TypeVar("T")
HUMAN = "human/hands"
Pixels = Annotated[int, Field(gt=0, le=8192)]
_HEAD_BYTES = 2**16


class ImportOptions(Strict):
    """Flags that every importer has."""

    image_size: tuple[Pixels, Pixels] | None = Field(
        default=None, description="Height and width to store images at; native if unset."
    )
    licence: str = Field(default="", description="Licence of the recording, kept in the declaration.")


class HumanOptions(ImportOptions):
    """Flags of importers of people."""

    task: str = Field(default="", description="Instruction of the episodes that carry none of their own.")


class FileRecording(Recording):
    """A recording whose episodes are read by one function each."""

    def __init__(self, declaration: DatasetDeclaration, readers: Mapping[str, Callable[[], Episode]]) -> None:
        self._declaration, self._readers = declaration, dict(readers)

    @property
    def declaration(self) -> DatasetDeclaration:
        """The declaration of the dataset that this recording becomes."""
        return self._declaration

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all episodes, in order."""
        return tuple(self._readers)

    def read(self, key: str) -> Episode:
        """Read one episode; see `Recording`."""
        return self._readers[key]()

    def reader(self, key: str) -> Callable[[], Episode]:
        """Return the function that reads one episode; it knows of no other."""
        return self._readers[key]


def existing(source: str | Path) -> Path:
    """Return the source as a path.

    Raises:
        DataError: there is nothing at that path.
    """
    path = Path(source)
    if not path.exists():
        raise DataError("no such file or folder", where=str(source))
    return path


def files_of(source: str | Path, suffixes: Iterable[str]) -> list[Path]:
    """Return the source if it is a file, else every file below it with one of ``suffixes``, sorted.

    Raises:
        DataError: there is nothing at that path, or no such file in the folder.
    """
    path, wanted = existing(source), tuple(suffixes)
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in wanted and file.is_file())
    if not found:
        raise DataError(f"folder has no {' or '.join(wanted)} file", where=str(source))
    return found


def first_readable(files: Sequence[Path], read: Callable[[Path], T]) -> T:
    """Read the first file that can be read, so that one bad episode does not hide the others.

    Raises:
        DataError: none can be read; the complaint about the first.
    """
    complaints: list[DataError] = []
    for file in files:
        try:
            return read(file)
        except DataError as error:
            complaints.append(error)
    raise complaints[0]


def source_key(file: Path, name: str | None = None) -> str:
    """Name a file by its folder and its own name (or ``name``), and a digest of its size and first 64 KiB.

    The key stays the same when the source is moved, and differs between equally named files of other recordings.
    """
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    digest = hashlib.sha256(file.stat().st_size.to_bytes(8, "big") + head).hexdigest()
    return f"{name or f'{file.resolve().parent.name}/{file.stem}'}#{digest[:12]}"


def require_people(spec: EmbodimentSpec, importer: str) -> None:
    """Refuse an embodiment that is not two human hands given by keypoints.

    Raises:
        DataError: it is a robot, or has one hand only.
    """
    keypoints = [hand.side for hand in spec.hands if hand.representation == "keypoints"]
    if keypoints != ["left", "right"]:
        raise DataError(
            f"importer {importer!r} reads the hands of people; {spec.id} is not that",
            where="--embodiment",
            hint=f"leave it out ({HUMAN}), and make robot actions afterwards with: egoscale retarget",
        )


def task_span(text: str, rows: int, kind: str = "task") -> list[LanguageSpan]:
    """One caption over the whole episode; none for an empty text."""
    return [LanguageSpan(text, 0, rows, kind)] if text else []


def head_camera(spec: EmbodimentSpec) -> str:
    """Name of the camera that a person wears."""
    return next((camera.name for camera in spec.cameras if camera.mount == "head"), "head")
