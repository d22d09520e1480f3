"""A copy of a dataset with images at training size, or shards of another size; everything else stays what it was."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.declare import in_words, written_by
from egoscale_sdk.data.images import Size
from egoscale_sdk.data.maintenance.joined import (
    Form,
    Piece,
    derived_of,
    discard,
    join_derived,
    join_segments,
    pieces_of,
)
from egoscale_sdk.data.maintenance.merge import SAME, publish_copies
from egoscale_sdk.data.records import Addition
from egoscale_sdk.data.store import open_store
from egoscale_sdk.engine import Engine, LocalEngine
from egoscale_sdk.errors import DataError, DeclarationError, did_you_mean
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import DatasetDeclaration


@dataclass(frozen=True)
class Recoding:
    """How a copy is written: sizes ``(height, width)`` by camera, JPEG quality, bytes of a shard (None: as usual)."""

    sizes: Mapping[str, Size] = field(default_factory=dict)
    quality: int = 80
    shard_bytes: int | None = None


@dataclass(frozen=True)
class Rechunked:
    """What a copying did: episodes and segments copied now, segments that were there already."""

    episodes: int
    segments: int
    present: int


def rechunk(
    dataset: Dataset,
    out: str | Path,
    recoding: Recoding,
    engine: Engine | None = None,
    progress: Progress = silent,
) -> Rechunked:
    """Copy a dataset segment by segment, each a task and a commit, action sets included.

    A copy that was interrupted is gone on with; episodes recorded since then are added. Calibrations still refer to
    the native pictures, as a camera that is not native says.

    Raises:
        DataError: there is no such camera, or ``out`` is the dataset itself.
        DeclarationError: ``out`` holds something else.
    """
    _check(dataset, out, recoding)
    declaration = _declaration(dataset, recoding)
    target = Dataset.open(out) if Dataset.exists(out) else Dataset.create(out, declaration)
    for name in SAME:
        there, wanted = getattr(target.declaration, name), getattr(declaration, name)
        if there != wanted:
            what = f"holds {name} {in_words(there)}, the copy would have {in_words(wanted)}"
            raise DeclarationError(what, where=target.where, hint="choose another --out")
    tasks, total = _tasks(dataset, target.keys()), len(dataset.segments)
    present, segments, episodes = total - len(tasks), 0, 0
    work = _Copy(dataset.where, dataset.version, target.where, recoding)
    with closing((engine or LocalEngine()).map(work, tasks)) as results:
        for _, (additions, keys) in results:
            try:
                episodes += publish_copies(target, [(additions[0], keys)], additions[1:], declaration)
            except BaseException:
                discard(target, additions)
                raise
            segments += 1
            progress(present + segments, total, f"{episodes} episodes")
    return Rechunked(episodes, segments, present)


@dataclass(frozen=True)
class _Copy:
    """Writes one segment, and what is derived from it, into the target; nobody sees it before it is committed."""

    source: str
    version: int
    target: str
    recoding: Recoding

    def __call__(self, path: str) -> tuple[list[Addition], tuple[str, ...]]:
        """Return what is to be committed, the segment first, and the keys of its episodes."""
        dataset, recoding = Dataset.open(self.source, self.version), self.recoding
        pieces: list[Piece] = pieces_of(dataset, [path])
        form = Form(recoding.shard_bytes, recoding.sizes, recoding.quality, open_store(self.target))
        written = [join_segments(dataset, pieces, form)]
        for item in sorted(derived_of(dataset).get(path, ())):
            written.append(join_derived(dataset, item.split("/")[1], pieces, written[0].entry, form))
        return written, tuple(episode.key for episode in pieces[0].episodes)


def _tasks(dataset: Dataset, present: frozenset[str]) -> list[str]:
    """Segments with an episode that the target lacks."""
    keys: dict[str, list[str]] = defaultdict(list)
    for episode in dataset.episodes:
        keys[episode.segment].append(episode.key)
    return [path for path, own in keys.items() if not present.issuperset(own)]


def _declaration(dataset: Dataset, recoding: Recoding) -> DatasetDeclaration:
    cameras = [
        camera.model_copy(update=dict(zip(("height_px", "width_px"), size, strict=True)) | {"native": False})
        if (size := recoding.sizes.get(camera.name)) and size != (camera.height_px, camera.width_px)
        else camera
        for camera in dataset.declaration.cameras
    ]
    fresh = {"uid": uuid.uuid4().hex, "cameras": tuple(cameras), "written_by": written_by()}
    return dataset.declaration.model_copy(update=fresh)


def _check(dataset: Dataset, out: str | Path, recoding: Recoding) -> None:
    cameras: Sequence[str] = [camera.name for camera in dataset.declaration.cameras]
    for name in recoding.sizes:
        if name not in cameras:
            hint = did_you_mean(name, cameras)
            raise DataError(f"has no camera {name!r}", where=dataset.where, allowed=cameras, hint=hint)
    if open_store(out).where == dataset.where:
        raise DataError("is the dataset that is copied", where=str(out), hint="choose another --out")
