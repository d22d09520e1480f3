"""Long clips in overlapping windows on a grid that the first frame fixes, so that no batch changes a result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WINDOW, OVERLAP = 1024, 64
HOP = WINDOW - OVERLAP
SHORTEST = 32  # a window at the end of a clip is rounded up to a multiple of this
BATCH_FRAMES = 1 << 17  # frames solved together: what bounds the memory


@dataclass(frozen=True)
class Window:
    """Frames ``start .. start + length`` of one clip; those beyond its end are padding."""

    clip: int
    start: int
    length: int


def batches(clips: int, frames: int) -> Iterator[list[Window]]:
    """Yield the windows of clips of equal length in lots of one length: each clip's in order, its last ones last."""
    starts = range(0, max(1, frames - OVERLAP), HOP)
    lengths = [min(WINDOW, -(-(frames - start) // SHORTEST) * SHORTEST) for start in starts]
    for length in sorted(set(lengths), reverse=True):
        own = [start for start, its in zip(starts, lengths, strict=True) if its == length]
        windows = [Window(clip, start, length) for clip in range(clips) for start in own]
        size = max(1, BATCH_FRAMES // length)
        for first in range(0, len(windows), size):
            yield windows[first : first + size]


def gather(values: Tensor, windows: Sequence[Window]) -> Tensor:
    """Cut windows out of ``(clips, frames, *v)``, side by side and frame-major: ``(T W, *v)``; padding is 0."""
    length = windows[0].length
    parts = values.new_zeros(length, len(windows), *values.shape[2:])
    for number, window in enumerate(windows):
        part = values[window.clip, window.start : window.start + length]
        parts[: len(part), number] = part
    return parts.flatten(0, 1)


def blend(out: Tensor, values: Tensor, window: Window) -> None:
    """Put ``(T, v)`` of a window into ``out (clips, frames, v)``; where windows overlap, one fades into the next.

    The fade takes the middle half of the overlap: nearer to a window's end its frames know one side only.
    """
    own = out[window.clip, window.start : window.start + window.length]
    share = fade(window, len(own)).to(values)[:, None]
    own.copy_((1 - share) * own + share * values[: len(own)] if window.start else values[: len(own)])


def choose(out: Tensor, values: Tensor, window: Window) -> None:
    """Put ``(T)`` of a window into ``out (clips, frames)``; in the overlap, the window that counts more."""
    own = out[window.clip, window.start : window.start + window.length]
    later = fade(window, len(own)) > 0.5
    own.copy_(torch.where(later, values[: len(own)], own))


def fade(window: Window, frames: int) -> Tensor:
    """How much a window counts beside the one before it, ``(frames,)``."""
    if window.start == 0:
        return torch.ones(frames)
    return ((torch.arange(frames) - OVERLAP / 4) / (OVERLAP / 2)).clamp(0, 1)
