"""The instruction of a window: a caption of its episode that covers its row, or the task label."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numpy.typing import NDArray

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.interfaces import LanguageSpan

_REMEMBERED = 4096


class Prompts:
    """Looks up instructions; captions of the kind ``task`` come first, then others, then the episode's task label."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._known = lru_cache(maxsize=_REMEMBERED)(self._captions)

    def __call__(self, episodes: NDArray[Any], rows: NDArray[Any]) -> list[str]:
        """Return the instruction at each row, counted in its episode."""
        return [self._prompt(episode, row) for episode, row in zip(episodes.tolist(), rows.tolist(), strict=True)]

    def _prompt(self, episode: int, row: int) -> str:
        spans, fallback = self._known(episode)
        return next((span.text for span in spans if span.start <= row < span.stop), fallback)

    def _captions(self, episode: int) -> tuple[list[LanguageSpan], str]:
        index = self._dataset.index
        code = int(index.codes("task")[episode])
        spans = sorted(self._dataset.language(episode), key=lambda span: span.kind != "task")
        return spans, index.texts("task")[code] if code >= 0 else ""
