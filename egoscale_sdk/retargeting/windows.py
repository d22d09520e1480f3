"""Long clips in overlapping windows on a grid that the first frame fixes, so that no batch changes a result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egoscale_sdk.interfaces import Motion

WINDOW, OVERLAP = 1024, 64
HOP = WINDOW - OVERLAP
SHORTEST = 32  # a window at the end of a clip is rounded up to a multiple of this
BATCH_FRAMES = 1 << 17  # frames solved together: what bounds the memory
MOST_PADDED = 0.75  # a window is no shorter than this share of the longest of its lot


@dataclass(frozen=True)
class Window:
    """Frames ``start .. start + length`` of one motion; those beyond its end are padding, which changes no result."""

    motion: int
    start: int
    length: int


def lots(lengths: Sequence[int]) -> Iterator[list[Window]]:
    """Yield the windows of motions of different lengths in lots of one length; each motion's in order.

    Whole windows come first, then the ends of motions from long to short, padded to the longest of their lot.
    """
    whole: list[Window] = []
    ends: list[Window] = []
    for motion, frames in enumerate(lengths):
        for start in range(0, max(1, frames - OVERLAP), HOP) if frames else ():
            rest = -(-(frames - start) // SHORTEST) * SHORTEST
            (whole if rest >= WINDOW else ends).append(Window(motion, start, min(WINDOW, rest)))
    ends.sort(key=lambda window: -window.length)
    lot: list[Window] = []
    for window in whole + ends:
        longest = lot[0].length if lot else 0
        if lot and (window.length < MOST_PADDED * longest or (len(lot) + 1) * longest > BATCH_FRAMES):
            yield lot
            lot = []
        lot.append(replace(window, length=lot[0].length) if lot else window)
    if lot:
        yield lot


def gather(motions: Sequence[Motion], windows: Sequence[Window], margin: int = 0) -> tuple[Tensor, Tensor]:
    """Read windows, so many frames more on either side, side by side and frame-major.

    Keypoints ``(T W, 21, 3)``, confidence ``(T W, 21)``; padding is 0.
    """
    shape = (windows[0].length + 2 * margin, len(windows))
    keypoints, seen = torch.zeros(0), torch.zeros(0)
    for number, window in enumerate(windows):
        first = max(window.start - margin, 0)
        points, sure = motions[window.motion].read(slice(first, window.start + window.length + margin))
        if number == 0:
            keypoints, seen = points.new_zeros(*shape, 21, 3), sure.new_zeros(*shape, 21)
        own = slice(first - window.start + margin, first - window.start + margin + len(points))
        keypoints[own, number], seen[own, number] = points, sure
    return keypoints.flatten(0, 1), seen.flatten(0, 1)


def narrowed(values: Tensor, windows: int, margin: int) -> Tensor:
    """Drop the margin from values ``(*v, T W)`` of W windows."""
    return values[..., margin * windows : values.shape[-1] - margin * windows]


def blend(out: Tensor, values: Tensor, window: Window) -> None:
    """Put ``(T, v)`` of a window into its motion's ``out (frames, v)``; where windows overlap, one fades into the next.

    The fade takes the middle half of the overlap: nearer to a window's end its frames know one side only.
    """
    own = out[window.start : window.start + window.length]
    share = fade(window, len(own)).to(values)[:, None]
    own.copy_((1 - share) * own + share * values[: len(own)] if window.start else values[: len(own)])


def choose(out: Tensor, values: Tensor, window: Window) -> None:
    """Put ``(T)`` of a window into its motion's ``out (frames)``; in the overlap, the window that counts more."""
    own = out[window.start : window.start + window.length]
    later = fade(window, len(own)) > 0.5
    own.copy_(torch.where(later, values[: len(own)], own))


def fade(window: Window, frames: int) -> Tensor:
    """How much a window counts beside the one before it, ``(frames,)``."""
    if window.start == 0:
        return torch.ones(frames)
    return ((torch.arange(frames) - OVERLAP / 4) / (OVERLAP / 2)).clamp(0, 1)
