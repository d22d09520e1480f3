"""A conformance check: a plain function with an id, a level, what it needs, and one clause of ``docs/contract.md``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from egoscale_sdk.errors import EgoscaleError

if TYPE_CHECKING:
    from egoscale_sdk.testing.subject import Subject

Level = Literal["must", "should"]
LEVELS: tuple[Level, Level] = ("must", "should")

FAMILIES = {
    "PLG": "plugin and distribution",
    "SPEC": "spec",
    "KIN": "kinematics",
    "ACT": "action space",
    "RET": "retargeting",
    "SEN": "sensors",
    "DRV": "drivers",
    "DATA": "datasets",
    "SIM": "simulation",
}

Need = Literal[
    "plugin",
    "spec",
    "joints",
    "forward_kinematics",
    "wrist_from_arms",
    "both_hands",
    "retargeter",
    "fingers",
    "aperture",
    "bodies",
    "wires",
    "recordings",
    "drivers",
    "sensors",
]


class Violation(EgoscaleError):
    """An embodiment breaks a clause of the contract; the message names joint or link, value and unit."""


class NotApplicable(Exception):
    """A clause that has nothing to say about this embodiment, for a reason that `Check.needs` cannot express."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        id: Family and number, e.g. ``KIN001``; it never changes its meaning.
        level: ``must`` (a violation fails the kit) or ``should`` (it is reported).
        title: The clause of the contract, one sentence.
        needs: What the embodiment must have for the clause to apply.
        mend: What to do about a violation.
        run: Takes a `Subject`; returns the figures that were measured; raises `Violation`, or `NotApplicable`.
    """

    id: str
    level: Level
    title: str
    needs: frozenset[Need]
    mend: str
    run: Callable[[Subject], str]

    @property
    def family(self) -> str:
        """The letters of the id."""
        return self.id.rstrip("0123456789")


def check(
    id: str, level: Level, *, needs: Iterable[Need] = (), mend: str
) -> Callable[[Callable[[Subject], str]], Check]:
    """Make a `Check` of a function; the first line of its docstring is the clause."""

    def make(function: Callable[[Subject], str]) -> Check:
        title = (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
        implied: set[Need] = set() if id.startswith("PLG") or id == "SPEC001" else {"spec"}
        return Check(id, level, title, frozenset(implied | set(needs)), mend, function)

    return make
