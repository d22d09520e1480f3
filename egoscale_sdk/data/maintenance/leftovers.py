"""What killed writers left behind, and what only given-up versions held."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.records import Change
from egoscale_sdk.progress import Progress, silent

HOURS = 24.0


@dataclass(frozen=True)
class Leftover:
    """Something on the disk that no version of the dataset holds; ``path`` is relative to the dataset."""

    path: str
    bytes: int
    hours: float


def leftovers(dataset: Dataset, older_than_hours: float = 0.0, *, newest_only: bool = False) -> list[Leftover]:
    """Find unfinished writings, and objects that no version which can be opened holds.

    What changed within ``older_than_hours`` is passed over: its writer may be at work. With ``newest_only`` versions
    before the newest do not count, as after `forget_versions`.
    """
    held = frozenset(dataset.paths) if newest_only else dataset.held_paths()
    found = (_measured(dataset.path, path) for path in _folders(dataset.path) if path not in held)
    return [item for item in found if item.hours >= older_than_hours]


def collect_leftovers(dataset: Dataset, older_than_hours: float = HOURS, progress: Progress = silent) -> list[Leftover]:
    """Remove the `leftovers` and return them; an object that was committed in the meantime stays."""
    found = leftovers(dataset, older_than_hours)
    held = Dataset.open(dataset.path).held_paths()
    removed = []
    for number, item in enumerate(found, 1):
        if item.path not in held:
            target = dataset.path / item.path
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
            removed.append(item)
        progress(number, len(found), item.path)
    return removed


def forget_versions(dataset: Dataset) -> int:
    """Give up all versions but the newest, so that what only they held can be collected.

    Nothing is committed where no older version holds anything of its own.

    Returns:
        The first version that can still be opened.
    """

    def change() -> Change | None:
        same = dataset.held_paths() == frozenset(dataset.paths)
        return None if same else Change(oldest=dataset.version + 1)

    dataset.commit(change)
    return dataset.oldest


def _folders(root: Path) -> Iterator[str]:
    """Relative paths of everything that could be an object or a writer's work."""
    places = [root / "segments", root / "cache" / "staging", *(root / "derived").glob("*")]
    for place in places:
        if place.is_dir():
            for item in sorted(place.iterdir()):
                if item.name != "zarr.json":
                    yield str(item.relative_to(root))
    yield from (file.name for file in sorted(root.glob(".zarr.json.*")))


def _measured(root: Path, path: str) -> Leftover:
    size, newest = 0, 0.0
    for file in _tree(root / path):
        try:
            status = file.lstat()
        except FileNotFoundError:  # its writer is at work
            newest = time.time()
            continue
        size += status.st_size if not file.is_dir() else 0
        newest = max(newest, status.st_mtime)
    return Leftover(path, size, max(0.0, (time.time() - newest) / 3600))


def _tree(path: Path) -> Iterator[Path]:
    yield path
    for folder, names, files in os.walk(path):
        yield from (Path(folder) / name for name in (*names, *files))
