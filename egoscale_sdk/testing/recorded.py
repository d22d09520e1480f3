"""A small dataset of the embodiment under test: a made-up motion, recorded as a driver would."""

from __future__ import annotations

import shutil
import weakref
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data import Dataset, declare
from egoscale_sdk.geometry import make_pose, rotation_from_rpy, vec9_from_pose
from egoscale_sdk.host.discovery import GIVEN_IN_CODE
from egoscale_sdk.interfaces import Episode, LanguageSpan
from egoscale_sdk.specs import HandSpec, Provider
from egoscale_sdk.testing.gestures import clip
from egoscale_sdk.testing.subject import Subject

FPS = 50.0
ROWS = 40
_LAG = 3
"""Rows by which the measured state follows the command."""
_SHARE = 0.7
"""Share of each joint's range that the motion fills."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Recorded:
    """A dataset in a temporary folder that lasts as long as this object, and what was written into it."""

    path: Path
    episode: Episode

    def open(self) -> Dataset:
        """Open the dataset anew."""
        return Dataset.open(self.path)


@lru_cache(maxsize=2)
def recorded(subject: Subject) -> Recorded:
    """Record a dataset of a subject, once for all checks.

    Raises:
        EgoscaleError: the declaration or the episode is refused.
    """
    spec = subject.spec
    declaration = declare(spec, provider(subject), fps=FPS, licence="CC0-1.0")
    action = motion(subject)
    lag = np.maximum(np.arange(ROWS) - _LAG, 0)
    episode = Episode(
        key="kit/0",
        time_ns=np.arange(ROWS, dtype=np.int64) * round(1e9 / FPS),
        action=action,
        valid=np.ones((ROWS, len(subject.layout.groups)), np.uint8),
        state=action[lag] if declaration.has_state else None,
        language=[LanguageSpan("wave", 0, ROWS)],
        labels={"task": "wave"},
    )
    folder = Path(mkdtemp(prefix="egoscale-kit-"))
    made = Recorded(folder / "kit.zarr", episode)
    weakref.finalize(made, shutil.rmtree, folder, ignore_errors=True)
    Dataset.create(made.path, declaration).append([episode])
    return made


def provider(subject: Subject) -> Provider:
    """Return the distribution that a dataset of the subject names; a likely one where the plugin is given in code."""
    source = subject.source
    if source.distribution == GIVEN_IN_CODE:
        return Provider(distribution=f"egoscale-{subject.namespace}", version="0")
    return Provider(distribution=source.distribution, version=source.version)


def motion(subject: Subject) -> Floats:
    """Return absolute rows ``(ROWS, D)``: wrists that travel and turn, hands that move within their limits."""
    rows = np.zeros((ROWS, subject.layout.dim), np.float32)
    wave = _Waves()
    for hand in subject.spec.hands:
        pose = make_pose(rotation_from_rpy(0.8 * wave(3)), 0.2 * wave(3))
        rows[:, subject.layout.blocks[f"{hand.side}_wrist"]] = vec9_from_pose(pose)
        values = _joints(hand, wave) if hand.actuated else clip("random", hand.side)[:ROWS].reshape(ROWS, -1)
        rows[:, subject.layout.blocks[f"{hand.side}_hand"]] = values
    return rows


class _Waves:
    """Smooth columns between -1 and 1, ``(ROWS, n)``, no two alike; the same in every run."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)

    def __call__(self, columns: int) -> NDArray[np.float64]:
        time = np.arange(ROWS)[:, None] / ROWS
        waves: NDArray[np.float64] = np.sin(
            2 * np.pi * (self._random.uniform(0.4, 1.5, columns) * time + self._random.uniform(0, 1, columns))
        )
        return waves


def _joints(hand: HandSpec, wave: _Waves) -> NDArray[np.float64]:
    lower = np.array([-np.pi if joint.lower is None else joint.lower for joint in hand.actuated])
    upper = np.array([np.pi if joint.upper is None else joint.upper for joint in hand.actuated])
    values: NDArray[np.float64] = (lower + upper) / 2 + _SHARE * (upper - lower) / 2 * wave(len(lower))
    return values
