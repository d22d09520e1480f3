"""Importing: from a source to a dataset, a few episodes a commit, so that a bad one costs no good one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from egoscale_sdk.data.check import check_episode
from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.importers.findings import Findings
from egoscale_sdk.errors import DataError, DeclarationError, EgoscaleError
from egoscale_sdk.interfaces import Episode, Recording
from egoscale_sdk.progress import Progress, silent
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


def import_recording(recording: Recording, destination: str | Path, *, progress: Progress = silent) -> ImportSummary:
    """Append every episode of a recording that the dataset at ``destination`` lacks; create it if there is none.

    A dataset appears with its first good episode. Episodes that cannot be read are named in the summary.

    Raises:
        DeclarationError: the dataset is of another embodiment, or has other cameras or raw arrays.
        DataError: ``destination`` is something else than a dataset.
    """
    target = _Target(Path(destination), recording.declaration)
    summary, findings = ImportSummary(), Findings()
    missing = [key for key in recording.keys if key not in target.keys]
    summary.present = len(recording.keys) - len(missing)
    batch: list[Episode] = []
    try:
        for done, (key, result) in enumerate(_read_all(recording, missing, target.declaration), 1):
            if isinstance(result, Episode):
                batch.append(result)
                findings.look(result, target.declaration)
            else:
                summary.failed[key] = str(result)
            if len(batch) >= COMMIT_EPISODES or _bytes(batch) >= COMMIT_BYTES:
                _commit(target, batch, summary)
            progress(done, len(missing), f"{summary.rows + sum(len(episode.time_ns) for episode in batch)} rows")
    finally:  # whatever stops the import, Ctrl-C included: what was read is kept
        _commit(target, batch, summary)
    summary.findings += findings.texts()
    return summary


class _Target:
    """The dataset to be filled: opened, or created with its first episodes."""

    def __init__(self, path: Path, declaration: DatasetDeclaration) -> None:
        self.path, self.declaration = path, declaration
        self._dataset = Dataset.open(path) if path.exists() else None
        if self._dataset is not None:
            _check_same(self._dataset.declaration, declaration, path)
            self.declaration = self._dataset.declaration
        self.keys = self._dataset.keys() if self._dataset is not None else frozenset()

    def append(self, episodes: list[Episode]) -> int:
        if self._dataset is None:
            self._dataset = Dataset.create(self.path, self.declaration)
        return self._dataset.append(episodes)


def _check_same(there: DatasetDeclaration, new: DatasetDeclaration, path: Path) -> None:
    fields = ("embodiment", "action_fingerprint", "base_frame", "has_state", "cameras", "raw")
    for name in fields:
        old, wanted = getattr(there, name), getattr(new, name)
        if old != wanted:
            raise DeclarationError(
                f"holds {_words(old)}, the recording brings {_words(wanted)}",
                where=f"{path}:{name}",
                hint="import it into a dataset of its own; a mixture of datasets trains together",
            )


def _read_all(
    recording: Recording, keys: list[str], declaration: DatasetDeclaration
) -> Iterator[tuple[str, Episode | EgoscaleError]]:
    for key in keys:
        try:
            episode = recording.read(key)
            check_episode(episode, declaration)
            yield key, episode
        except DataError as error:
            yield key, error


def _commit(target: _Target, batch: list[Episode], summary: ImportSummary) -> None:
    if batch:
        summary.imported += target.append(batch)
        summary.rows += sum(len(episode.time_ns) for episode in batch)
        batch.clear()


def _bytes(batch: list[Episode]) -> int:
    return sum(len(jpeg) for episode in batch for stream in episode.images.values() for jpeg in stream.jpegs)


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_words(item) for item in value) or "none"
    size = getattr(value, "height_px", None)
    return str(value) if size is None else f"{value.name} {size}x{value.width_px}"  # type: ignore[attr-defined]
