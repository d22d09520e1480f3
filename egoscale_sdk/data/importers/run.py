"""Importing: from a source to a dataset, a few episodes a commit, so that a bad one costs no good one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from egoscale_sdk.data.check import check_episode
from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.declare import in_words
from egoscale_sdk.data.importers.findings import Findings
from egoscale_sdk.data.importers.segments import Readers, WriteSegment, Written, image_bytes
from egoscale_sdk.engine import Engine, LocalEngine
from egoscale_sdk.errors import DataError, DeclarationError
from egoscale_sdk.interfaces import Episode, Recording
from egoscale_sdk.progress import Progress, Rate, silent
from egoscale_sdk.specs import DatasetDeclaration

COMMIT_EPISODES = 32
COMMIT_BYTES = 256 * 2**20


@dataclass
class ImportSummary:
    """What an import did.

    Attributes:
        imported: Episodes added.
        present: Episodes that the dataset had already.
        rows: Rows added.
        failed: Complaint by key, for episodes that were left out.
        findings: What a user should know of the data that came in.
    """

    imported: int = 0
    present: int = 0
    rows: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def import_recording(
    recording: Recording, destination: str | Path, *, engine: Engine | None = None, progress: Progress = silent
) -> ImportSummary:
    """Append every episode of a recording that the dataset at ``destination`` lacks; create it if there is none.

    A dataset appears with its first good episode. Some episodes are one task of the engine, one segment and one
    commit, in the order of the recording whoever reads them. When the import is stopped, killed included, what was
    committed stays, and doing it again imports only the rest; an episode that two imports bring at once is in the
    dataset once. Episodes that cannot be read are named in the summary.

    Raises:
        DeclarationError: the dataset is of another embodiment, or has other cameras or raw arrays.
        DataError: ``destination`` is something else than a dataset.
        EgoscaleError: see `Engine.map`.
    """
    engine = engine or LocalEngine()
    target = _Target(destination, recording.declaration)
    present = target.keys
    missing = [(key, recording.reader(key)) for key in recording.keys if key not in present]
    state = _Import(target, len(missing), ImportSummary(present=len(recording.keys) - len(missing)), progress)
    while missing and target.dataset is None:
        state.first(*missing.pop(0))
    if target.dataset is not None:
        work = WriteSegment(target.dataset.where, target.dataset.declaration)
        tasks = state.tasks(missing, engine.workers)
        try:
            with closing(engine.map(work, tasks, _task_name)) as results:
                for _, written in results:
                    state.commit(written)
        finally:  # Ctrl-C in this process: what was read is kept
            if work.stopped is not None:
                state.commit(work.stopped)
    state.summary.findings += state.findings.texts()
    return state.summary


class _Import:
    """An import under way: what was committed so far, and how large the next tasks are."""

    def __init__(self, target: _Target, total: int, summary: ImportSummary, progress: Progress) -> None:
        self._target, self._total, self._progress, self._rate = target, total, progress, Rate()
        self.summary, self.findings = summary, Findings()
        self._read = self._bytes = 0

    def first(self, key: str, read: Callable[[], Episode]) -> None:
        """Read one episode here; with it, if it is good, the dataset appears."""
        written = Written()
        try:
            episode = read()
            check_episode(episode, self._target.declaration)
        except DataError as error:
            written.failed[key] = str(error)
        else:
            dataset = self._target.create()
            written.findings.look(episode, dataset.declaration)
            written.rows, written.image_bytes = len(episode.time_ns), image_bytes(episode)
            self._count(written, dataset.append([episode]), 1)
        self._report(written)

    def tasks(self, missing: Readers, workers: int) -> Iterator[Readers]:
        """Cut what is missing into tasks as they are asked for: as many episodes as fill a segment, by those so far."""
        start = 0
        while start < len(missing):
            mean = self._bytes / self._read if self._read else inf
            filling = int(min(COMMIT_EPISODES, COMMIT_BYTES / mean if mean else COMMIT_EPISODES))
            size = max(1, min(filling, -(-(len(missing) - start) // workers)))
            yield missing[start : start + size]
            start += size

    def commit(self, written: Written) -> None:
        """Publish what a task has written, and count it."""
        assert self._target.dataset is not None
        if written.addition is not None:
            added = self._target.dataset.commit_segment(written.addition, written.keys)
            self._count(written, added, len(written.keys))
        self._report(written)

    def _count(self, written: Written, added: int, episodes: int) -> None:
        """Count a segment; episodes that another import brought meanwhile were there already."""
        self.summary.imported += added
        self.summary.present += episodes - added
        self.summary.rows += written.rows if added else 0
        self._read, self._bytes = self._read + episodes, self._bytes + written.image_bytes

    def _report(self, written: Written) -> None:
        self.findings.merge(written.findings)
        self.summary.failed |= written.failed
        done = self._read + len(self.summary.failed)
        self._progress(done, self._total, f"{self.summary.rows} rows, {self._rate(self.summary.rows)}/s")


class _Target:
    """The dataset to be filled: opened, or created with its first good episode."""

    def __init__(self, where: str | Path, declaration: DatasetDeclaration) -> None:
        self._where, self.declaration = where, declaration
        self.dataset: Dataset | None = None
        if Dataset.exists(where):
            self._open()

    @property
    def keys(self) -> frozenset[str]:
        """Keys that are there already."""
        return frozenset() if self.dataset is None else self.dataset.keys()

    def create(self) -> Dataset:
        """Create the dataset, or open it if another import was first."""
        try:
            self.dataset = Dataset.create(self._where, self.declaration)
        except DataError:
            if not Dataset.exists(self._where):
                raise
            self._open()
        assert self.dataset is not None
        return self.dataset

    def _open(self) -> None:
        self.dataset = Dataset.open(self._where)
        _check_same(self.dataset.declaration, self.declaration, self.dataset.where)
        self.declaration = self.dataset.declaration


def _check_same(there: DatasetDeclaration, new: DatasetDeclaration, where: str) -> None:
    fields = ("embodiment", "action_fingerprint", "base_frame", "has_state", "cameras", "raw")
    for name in fields:
        old, wanted = getattr(there, name), getattr(new, name)
        if old != wanted:
            raise DeclarationError(
                f"holds {in_words(old)}, the recording brings {in_words(wanted)}",
                where=f"{where}:{name}",
                hint="import it into a dataset of its own; a mixture of datasets trains together",
            )


def _task_name(readers: Readers) -> str:
    keys = [key for key, _ in readers]
    return keys[0] if len(keys) == 1 else f"{keys[0]} .. {keys[-1]}"
