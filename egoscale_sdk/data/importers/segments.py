"""What a worker does for an import: some episodes of a source in, one segment out that a commit may publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from egoscale_sdk.data.importers.findings import Findings
from egoscale_sdk.data.records import Addition
from egoscale_sdk.data.writer import SegmentWriter
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import Episode
from egoscale_sdk.specs import DatasetDeclaration

Readers = Sequence[tuple[str, Callable[[], Episode]]]


@dataclass
class Written:
    """A segment that nobody sees yet.

    Attributes:
        addition: What a commit must record; None if no episode was good.
        keys: Of its episodes.
        rows: Of all of them.
        image_bytes: Of all of them.
        failed: Complaint by key, for episodes that were left out.
        findings: What was found in the good ones.
    """

    addition: Addition | None = None
    keys: tuple[str, ...] = ()
    rows: int = 0
    image_bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)


@dataclass
class WriteSegment:
    """Reads episodes and writes them as one segment of the dataset ``where``; a worker is given it once.

    ``stopped`` is what was finished of a task that Ctrl-C broke off in this process.
    """

    where: str
    declaration: DatasetDeclaration
    stopped: Written | None = None

    def __call__(self, readers: Readers) -> Written:
        """Write what can be read; an episode that cannot is named and left out."""
        written = Written()
        with SegmentWriter(self.where, self.declaration) as writer:
            try:
                for key, read in readers:
                    self._add(key, read, writer, written)
            except KeyboardInterrupt:
                self.stopped = _finished(writer, written)
                raise
            return _finished(writer, written)

    def _add(self, key: str, read: Callable[[], Episode], writer: SegmentWriter, written: Written) -> None:
        try:
            episode = read()
            writer.add(episode)
        except DataError as error:
            written.failed[key] = str(error)
            return
        written.findings.look(episode, self.declaration)
        written.image_bytes += image_bytes(episode)


def image_bytes(episode: Episode) -> int:
    """Size of an episode's pictures."""
    return sum(len(jpeg) for stream in episode.images.values() for jpeg in stream.jpegs)


def _finished(writer: SegmentWriter, written: Written) -> Written:
    written.keys, written.rows = writer.keys, writer.rows
    written.addition = writer.finish() if writer.keys else None
    return written
