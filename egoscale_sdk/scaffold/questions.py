"""The file in which the questions of a new plugin stay open until a person has answered them."""

from __future__ import annotations

from collections.abc import Sequence

from egoscale_sdk.scaffold.toml_text import comment, lines_text

_NOTE = (
    "What nobody can read out of a URDF. Something stands in at each field that is named, and `egoscale plugin check` "
    "fails (SPEC015) while a question stands here: fill in the field, then delete the question."
)


def questions_toml(stem: str, questions: Sequence[str]) -> str:
    """Return the text of ``open_questions.toml``: the questions about one embodiment, one a line."""
    return comment(_NOTE) + lines_text(stem, questions)
