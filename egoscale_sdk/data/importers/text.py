"""What other people's readers complain of, as part of one line of ours."""

from __future__ import annotations

_LENGTH = 200


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line, shortened."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= _LENGTH else f"{words[:_LENGTH]} ..."
