"""Ids of the form ``namespace/name@N``: who owns a thing, what it is called, which generation it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from egoscale_sdk.errors import SpecError

_ID = re.compile(r"([a-z][a-z0-9_]{0,63})/([a-z][a-z0-9_]{0,63})(?:@([1-9][0-9]{0,5}))?")


@dataclass(frozen=True, order=True)
class Id:
    """An id; ``version`` is None where any installed generation will do (never in a file).

    ``version`` rises when a policy trained on the one before may not drive this one.
    """

    namespace: str
    name: str
    version: int | None = None

    def __str__(self) -> str:
        return self.stem if self.version is None else f"{self.stem}@{self.version}"

    @property
    def stem(self) -> str:
        """``namespace/name`` without the version."""
        return f"{self.namespace}/{self.name}"


def parse_id(text: str, *, versioned: bool = False) -> Id:
    """Parse ``namespace/name`` or ``namespace/name@N``.

    Raises:
        SpecError: the text has another form, or lacks ``@N`` although ``versioned`` asks for it.
    """
    match = _ID.fullmatch(text)
    if match is None or (versioned and match[3] is None):
        form = "namespace/name@N" if versioned else "namespace/name or namespace/name@N"
        raise SpecError(f"{text!r} is not an id", hint=f"write it as {form}, in lower case, e.g. acme/hand@1")
    return Id(match[1], match[2], int(match[3]) if match[3] else None)
