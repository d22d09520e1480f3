"""A report as one HTML file that needs nothing else: headings, text, tables, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#30343b;max-width:980px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem}h2{margin-top:2.2rem;border-bottom:1px solid #dde1e8;padding-bottom:.2rem}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.3rem .8rem;border-bottom:1px solid #e5e8ee;text-align:left}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}pre{background:#f4f6f9;padding:.7rem 1rem;overflow:auto}
img{max-width:100%}figure{margin:1rem 0}figcaption{color:#667;font-size:.9rem}
"""


@dataclass
class Report:
    """Collects sections in order; `write` makes the page. Every text is escaped; ``style`` is CSS of our own."""

    title: str
    parts: list[str] = field(default_factory=list)
    style: str = ""

    def heading(self, text: str) -> None:
        """Start a section."""
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str, kind: str = "") -> None:
        """Add a paragraph; ``kind`` is its CSS class."""
        self.parts.append(f"<p{_class(kind)}>{escape(text)}</p>")

    def code(self, text: str) -> None:
        """Add commands or output as they are."""
        self.parts.append(f"<pre>{escape(text)}</pre>")

    def picture(self, data_uri: str, caption: str) -> None:
        """Add a picture given as a data URI."""
        self.parts.append(
            f'<figure><img src="{escape(data_uri)}" alt="{escape(caption)}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

    def folded(self, summary: str, text: str) -> None:
        """Add output that is shown when its summary is clicked."""
        self.parts.append(f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]], kinds: Sequence[str] = ()) -> None:
        """Add a table; numbers stand on the right. ``kinds`` are the rows' CSS classes."""
        head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
        pairs = zip(kinds or [""] * len(rows), rows, strict=True)
        body = "".join(f"<tr{_class(kind)}>{''.join(map(_cell, row))}</tr>" for kind, row in pairs)
        self.parts.append(f"<table><tr>{head}</tr>{body}</table>")

    def write(self, path: Path) -> None:
        """Write the page."""
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(self.title)}</title>'
            f"<style>{_STYLE}{self.style}</style><h1>{escape(self.title)}</h1>{''.join(self.parts)}</html>"
        )
        path.write_text(page, encoding="utf-8")


def _class(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""


def _cell(value: object) -> str:
    kind = ' class="n"' if isinstance(value, int | float) else ""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"<td{kind}>{escape(text)}</td>"
