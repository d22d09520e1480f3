"""Pictures for reports: hands as skeletons, training curves, film strips. Needs the extra ``viewer``."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import require_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[Any]
FINGER_COLOURS = ("#d1495b", "#edae49", "#66a182", "#2e86ab", "#7b5ea7")
INK, ROBOT = "#30343b", "#8a94a6"


@dataclass(frozen=True)
class Skeleton:
    """A hand as line segments in the canonical wrist axes.

    Attributes:
        title: What it is.
        segments: ``(S, 2, 3)`` metres.
        colours: One per segment.
    """

    title: str
    segments: Floats
    colours: tuple[str, ...]


def hands_figure(rows: Sequence[Sequence[Skeleton]]) -> str:
    """Draw skeletons in a grid, all in one scale, and return the picture as a PNG data URI."""
    plt = pyplot()
    columns = max(len(row) for row in rows)
    figure = plt.figure(figsize=(2.6 * columns, 2.8 * len(rows)))
    for i, row in enumerate(rows):
        for k, skeleton in enumerate(row):
            axes = figure.add_subplot(len(rows), columns, i * columns + k + 1, projection="3d")
            _draw(axes, skeleton)
    figure.subplots_adjust(0, 0, 1, 0.95, 0, 0.05)
    return data_uri(figure)


def curves_figure(curves: dict[str, tuple[Floats, Floats]], ylabel: str) -> str:
    """Draw named curves ``(x, y)`` over the training step on a logarithmic axis; returns a PNG data URI."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    for (name, (x, y)), colour in zip(curves.items(), (INK, *FINGER_COLOURS) * 4, strict=False):
        axes.plot(x, y, label=name, color=colour, linewidth=1.4)
    axes.set(xlabel="training step", ylabel=ylabel, yscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return data_uri(figure)


def motion_figure(time_s: Floats, action: Floats, state: Floats | None, names: Sequence[str], unit: str) -> str:
    """Draw columns ``(T, C)`` of an action over seconds, beside the state if there is one; returns a PNG data URI."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    for column, (name, colour) in enumerate(zip(names, (*FINGER_COLOURS, INK) * 4, strict=False)):
        axes.plot(time_s, action[:, column], label=name, color=colour, linewidth=1.4)
        if state is not None:
            axes.plot(time_s, state[:, column], color=colour, linewidth=1, linestyle=":")
    axes.set(xlabel="seconds" if state is None else "seconds; dotted: state", ylabel=unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return data_uri(figure)


def film_strip(frames: Sequence[Floats], height_px: int = 120) -> str:
    """Lay RGB frames ``(h, w, 3)`` uint8 side by side, enlarged to a height; returns a PNG data URI."""
    plt = pyplot()
    gap = np.full((frames[0].shape[0], 1, 3), 255, np.uint8)
    strip = np.concatenate([part for frame in frames for part in (frame, gap)][:-1], axis=1)
    zoom = max(1, round(height_px / strip.shape[0]))
    strip = strip.repeat(zoom, axis=0).repeat(zoom, axis=1)
    buffer = io.BytesIO()
    plt.imsave(buffer, strip, format="png")
    return _uri(buffer)


def _draw(axes: Any, skeleton: Skeleton) -> None:
    for segment, colour in zip(skeleton.segments, skeleton.colours, strict=True):
        # a right hand's thumb is on the right, its palm towards the viewer, fingers up
        axes.plot(segment[:, 1], -segment[:, 0], segment[:, 2], color=colour, linewidth=3, solid_capstyle="round")
    axes.set(xlim=(-0.11, 0.11), ylim=(-0.11, 0.11), zlim=(-0.03, 0.19))
    axes.set_box_aspect((1, 1, 1), zoom=1.3)
    axes.view_init(elev=18, azim=-118)
    axes.set_axis_off()
    axes.set_title(skeleton.title, fontsize=9, color=INK, y=0.98)


def pyplot() -> Any:
    """Return matplotlib.pyplot without a display; raises `MissingExtraError` where it is not installed."""
    require_extra("matplotlib", "viewer", "a picture")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def data_uri(figure: Figure) -> str:
    """Close a figure and return it as a PNG data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    pyplot().close(figure)
    return _uri(buffer)


def _uri(buffer: io.BytesIO) -> str:
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
