"""Lists in the README of a new plugin, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from egoscale_sdk.scaffold.draft import HandDraft
from egoscale_sdk.scaffold.guess import Guess


def hand_rows(drafts: Sequence[HandDraft], folder: str) -> str:
    """Return a row of the table of files for each hand."""
    hands = sorted((draft.hand for draft in drafts), key=lambda hand: hand.side)
    what = "limits, fingers, wrist frame, shapes; kinematics"
    return "\n".join(
        f"| `{folder}/{hand.side}.toml`, `{hand.side}.urdf` | the {hand.side} hand: {what} |" for hand in hands
    )


def guess_table(guesses: Sequence[Guess]) -> str:
    """Return what was inferred, with the evidence; empty if nothing was."""
    if not guesses:
        return ""
    rows = [_row(guess.what + ("" if guess.sure else " (unsure)"), guess.value, guess.evidence) for guess in guesses]
    lines = [
        "What the file does not say was guessed from its geometry and its names:",
        "",
        _row("what", "is", "because"),
    ]
    return "\n".join([*lines, "|---|---|---|", *rows, ""])


def question_list(questions: Sequence[str], file: str) -> str:
    """Return what a person must answer before the check can pass, and in which file that is noted; empty if nothing."""
    if not questions:
        return ""
    lines = [f"{number}. {question}" for number, question in enumerate(questions, start=1)]
    then = f"Fill in the field, then delete the question in `{file}`: until then `egoscale plugin check` fails."
    return "\n".join(["Still to be answered by a person:", "", *lines, "", then, ""])


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
