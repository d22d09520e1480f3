"""One pass over a dataset, with every check looking at each episode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.doctor.base import Case, Check
from egoscale_sdk.data.doctor.clocks import CameraTime, Gaps, Rate
from egoscale_sdk.data.doctor.columns import Columns
from egoscale_sdk.data.doctor.frozen import Frozen
from egoscale_sdk.data.doctor.labels import Duplicates, Language, SplitLeaks
from egoscale_sdk.data.doctor.meaning import LooksRelative, NextState
from egoscale_sdk.data.doctor.order import JointOrder, WristSides
from egoscale_sdk.data.doctor.pictures import Pictures
from egoscale_sdk.data.doctor.sides import HumanHands
from egoscale_sdk.data.doctor.units import Units
from egoscale_sdk.data.validation import Finding
from egoscale_sdk.progress import Progress, silent

CHECKS: tuple[type[Check], ...] = (
    Columns,
    LooksRelative,
    NextState,
    Rate,
    Gaps,
    CameraTime,
    Frozen,
    HumanHands,
    JointOrder,
    WristSides,
    Units,
    Language,
    Duplicates,
    SplitLeaks,
    Pictures,
)


def examine(
    dataset: Dataset, checks: Sequence[type[Check]] = CHECKS, progress: Progress = silent, damaged: Iterable[str] = ()
) -> list[Finding]:
    """Look at every episode once, with all checks.

    Args:
        dataset: What to examine.
        checks: Which checks look.
        progress: Told after each episode.
        damaged: Segments that are passed over, because they cannot be read.

    Returns:
        What was found, errors first.

    Raises:
        DataError: a segment cannot be read.
    """
    looking = [check() for check in checks]
    passed = set(damaged)
    for episode in dataset.episodes:
        if episode.segment not in passed:
            case = Case(dataset, episode, dataset.rows(episode))
            for check in looking:
                check.look(case)
        progress(episode.index + 1, len(dataset.episodes), episode.key)
    found = [finding for check in looking for finding in check.findings()]
    return sorted(found, key=lambda finding: finding.severity != "error")
