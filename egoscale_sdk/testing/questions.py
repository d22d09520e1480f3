"""The questions that ``plugin new`` left to a person, in ``open_questions.toml``: ``"acme/hand" = ["...", "..."]``."""

from __future__ import annotations

from egoscale_sdk.ids import parse_id
from egoscale_sdk.testing.beside_spec import place_beside_spec, read_beside_spec
from egoscale_sdk.testing.check import Violation
from egoscale_sdk.testing.subject import Subject

OPEN_QUESTIONS = "open_questions.toml"


def open_questions(subject: Subject) -> tuple[str, ...]:
    """Return the questions about an embodiment, of whatever generation, that nobody has answered yet.

    Raises:
        Violation: the file is not TOML, or has something other than a list of questions.
    """
    place = place_beside_spec(subject, OPEN_QUESTIONS)
    written = read_beside_spec(place) or {}
    stem = parse_id(subject.spec.id).stem
    questions = written.get(stem, [])
    if not isinstance(questions, list) or not all(isinstance(question, str) for question in questions):
        raise Violation(f'{place}: {stem} is no list of questions: "{stem}" = ["...", "..."]')
    return tuple(questions)
