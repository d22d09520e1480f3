"""Hands as line drawings in SVG: sharp at any size, animated if there are several moments; needs no other package."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from egoscale_sdk.viewer.figures import INK, Skeleton

CELL_PX, TITLE_PX, SPAN_M = 210, 22, 0.24
# Seen from the palm's side and a little from above, as `figures` draws: a right hand's thumb is on the right.
_ACROSS, _UP = np.array([0.469, 0.883, 0.0]), np.array([-0.273, 0.145, 0.951])
_MIDDLE_M = 0.08  # up from the wrist


def drawn_hands(moments: Sequence[Sequence[Skeleton]], fps: float = 15.0) -> str:
    """Draw skeletons side by side and return an SVG data URI.

    Args:
        moments: One row of skeletons a moment; if there are several they follow each other for ever.
        fps: Moments per second.
    """
    width, height = CELL_PX * len(moments[0]), CELL_PX + TITLE_PX
    cells = [_cell(column, list(shown), fps) for column, shown in enumerate(zip(*moments, strict=True))]
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"{''.join(cells)}</svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def _cell(column: int, shown: list[Skeleton], fps: float) -> str:
    lines = [
        f'<g transform="translate({CELL_PX * column} {TITLE_PX})" fill="none" stroke-width="4" stroke-linecap="round">',
        f'<text x="{CELL_PX / 2}" y="-6" text-anchor="middle" font-family="sans-serif" font-size="13" fill="{INK}">'
        f"{escape(shown[0].title)}</text>",
    ]
    for colour in dict.fromkeys(shown[0].colours):
        paths = [_path(skeleton, colour) for skeleton in shown]
        moving = f'<animate attributeName="d" dur="{len(paths) / fps:.3f}s" calcMode="discrete" '
        moving += f'repeatCount="indefinite" values="{";".join(paths)}"/>'
        lines.append(f'<path d="{paths[0]}" stroke="{colour}">{moving if len(paths) > 1 else ""}</path>')
    return "".join([*lines, "</g>"])


def _path(skeleton: Skeleton, colour: str) -> str:
    own = skeleton.segments[[c == colour for c in skeleton.colours]]  # (S, 2, 3)
    x = CELL_PX * (0.5 + own @ _ACROSS / SPAN_M)
    y = CELL_PX * (0.5 - (own @ _UP - _MIDDLE_M) / SPAN_M)
    return "".join(f"M{a:.0f} {b:.0f}L{c:.0f} {d:.0f}" for (a, c), (b, d) in zip(x, y, strict=True))
