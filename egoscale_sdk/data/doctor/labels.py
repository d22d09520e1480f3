"""What is written about episodes: missing instructions, the same episode twice, splits that leak."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from egoscale_sdk.data.doctor.base import Case, Check, Places
from egoscale_sdk.data.validation import Finding

KEPT_APART = ("operator", "aligned_group")


class Language(Check):
    """Counts episodes without any instruction: neither a caption nor a task."""

    def __init__(self) -> None:
        self._places = Places()
        self._total = 0

    def look(self, case: Case) -> None:
        """Look for a text."""
        self._total += 1
        texts = [case.ref.task, *(span.text for span in case.dataset.language(case.ref))]
        self._places.add("none", case.ref.key, not any(text.strip() for text in texts))

    def findings(self) -> Iterator[Finding]:
        """One finding for all."""
        count = self._places.episodes("none")
        if count:
            yield Finding(
                "language_missing",
                "warning",
                self._places.where("none"),
                f"{count} of {self._total} episodes have no instruction; a policy is trained on empty words there",
                count,
                "import again with --task TEXT, or bring captions",
                self._places.keys("none"),
            )


class Duplicates(Check):
    """Finds episodes that hold the very same rows under different keys."""

    def __init__(self) -> None:
        self._first: dict[bytes, str] = {}
        self._pairs: list[tuple[str, str]] = []
        self._count = 0

    def look(self, case: Case) -> None:
        """Compare a digest of the rows with those of all episodes before."""
        rows = case.rows
        if not np.ptp(rows.action, axis=0).any():
            return  # where nothing moves, or nothing is known, equal rows mean nothing
        mark = hashlib.blake2b(rows.action.tobytes() + rows.valid.tobytes(), digest_size=12)
        if rows.state is not None:  # commands that only open and close are alike in many episodes
            mark.update(rows.state.tobytes())
        first = self._first.setdefault(mark.digest(), case.ref.key)
        if first != case.ref.key:
            self._count += 1
            self._pairs = [*self._pairs, (first, case.ref.key)][:3]

    def findings(self) -> Iterator[Finding]:
        """One finding for all pairs."""
        if self._count:
            pairs = ", ".join(f"{later!r} is {first!r}" for first, later in self._pairs)
            yield Finding(
                "duplicate_episodes",
                "warning",
                f"episodes {pairs}" + (f" and {self._count - 3} more" if self._count > 3 else ""),
                f"{self._count} episodes hold the rows of another one: they count twice, and one may be held out",
                self._count,
                "leave one copy out and import again; see that both are in one split: egoscale dataset split --again",
                tuple(later for _, later in self._pairs),
            )


class SplitLeaks(Check):
    """Finds operators and aligned groups with episodes in several splits."""

    def __init__(self) -> None:
        self._splits: dict[str, dict[str, set[str]]] = {label: defaultdict(set) for label in KEPT_APART}

    def look(self, case: Case) -> None:
        """Note the split of an operator and of a group."""
        labels = case.ref.labels
        for label in KEPT_APART:
            if "split" in labels and labels.get(label) is not None:
                self._splits[label][str(labels[label])].add(str(labels["split"]))

    def findings(self) -> Iterator[Finding]:
        """One finding per label."""
        for label, values in self._splits.items():
            parted = sorted(value for value, splits in values.items() if len(splits) > 1)
            if parted:
                shown = ", ".join(parted[:3]) + (" ..." if len(parted) > 3 else "")
                yield Finding(
                    "split_leak",
                    "warning",
                    f"label {label}: {shown}",
                    f"{len(parted)} of {len(values)} {label}s are in more than one split: held-out scores flatter",
                    len(parted),
                    f"egoscale dataset split DATASET --again --by {label}",
                )
