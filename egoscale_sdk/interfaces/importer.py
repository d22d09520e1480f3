"""Importers: from other people's recordings to episodes of ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.specs import DatasetDeclaration, EmbodimentSpec, Provider


@dataclass(frozen=True)
class ImageStream:
    """JPEG images of one camera within an episode, each with its own time stamp.

    ``jpegs`` may be a list or any sequence that is read in order, such as one kept in a file.
    """

    jpegs: Sequence[bytes]
    time_ns: NDArray[np.int64]  # (N,)
    calibration: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LanguageSpan:
    """A caption over rows ``[start, stop)`` of an episode; ``kind`` is task, subtask or narration."""

    text: str
    start: int
    stop: int
    kind: str = "task"


@dataclass(frozen=True)
class Episode:
    """One recorded episode, in rows of the dataset's layout.

    Attributes:
        key: Unique name of the source episode; importing it twice stores it once.
        time_ns: ``(T,)`` int64, strictly increasing, monotonic within the episode.
        action: ``(T, D)`` absolute rows of the native action set; NaN-free, invalid groups hold 0.
        state: ``(T, D)`` absolute measured rows in the same layout, or None (people have no proprioception).
        valid: ``(T, G)`` uint8 per group of the layout: 1 where the action's group is known.
        state_valid: ``(T, G)`` uint8 the same for the state, or None.
        conf: ``(T, G)`` float in [0, 1].
        raw: Further absolute arrays ``(T, ...)`` float32, e.g. ``keypoints (T, 2, 21, 3)``, ``camera_pose (T, 4, 4)``.
        map_id: ``(T,)`` int32; a change marks a SLAM reset or jump that no window may cross.
        images: Per camera.
        language: Captions.
        labels: task, scene, objects, category, operator, split, aligned_group, success, quality as far as known.
    """

    key: str
    time_ns: NDArray[np.int64]
    action: NDArray[np.float32]
    valid: NDArray[np.uint8]
    state: NDArray[np.float32] | None = None
    state_valid: NDArray[np.uint8] | None = None
    conf: NDArray[np.float32] | None = None
    raw: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    map_id: NDArray[np.int32] | None = None
    images: dict[str, ImageStream] = field(default_factory=dict)
    language: list[LanguageSpan] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)


class Recording(ABC):
    """An opened source: what it declares, how many episodes it has, and those episodes one by one."""

    @property
    @abstractmethod
    def declaration(self) -> DatasetDeclaration:
        """The declaration of the dataset that this recording becomes (a fresh uid)."""

    @property
    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """Keys of all episodes, in order; cheap, so that what is already imported can be skipped."""

    @abstractmethod
    def read(self, key: str) -> Episode:
        """Read one episode.

        Raises:
            DataError: missing, truncated, in wrong units, or on contradictory clocks; names file and field.
        """

    def reader(self, key: str) -> Callable[[], Episode]:
        """Return what reads one episode, to be sent to another process; small, whatever the source's size.

        By default it takes the whole recording along: override it where that is large or cannot be pickled.
        """
        return partial(self.read, key)

    def episodes(self) -> Iterator[Episode]:
        """Read every episode in order."""
        return (self.read(key) for key in self.keys)


class Importer(ABC):
    """Opens one kind of recording; ``options`` is a pydantic model whose fields become command-line flags."""

    name: str
    options: type[Any]

    @abstractmethod
    def embodiment_for(self, source: str, installed: Sequence[EmbodimentSpec]) -> str:
        """Return the id of the embodiment that this source certainly is of; never guess.

        Args:
            source: What is to be imported.
            installed: Specs of every installed embodiment, whose ``recordings`` may tell.

        Raises:
            DataError: the source cannot be read at all, or must be named with ``--embodiment``; lists candidates.
        """

    @abstractmethod
    def open(self, source: str, spec: EmbodimentSpec, provider: Provider, options: Any) -> Recording:
        """Open a source for import as ``spec``, which ``provider`` brought; reads headers only.

        Raises:
            DataError, MissingExtraError: the source or the reader's package is missing or unfit.
        """
