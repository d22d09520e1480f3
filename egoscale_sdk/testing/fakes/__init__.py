"""A good embodiment, and one mutant per *must* check: the same embodiment with one fault.

They test the kit itself: a check that passes the good one and not its mutant can tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable

from egoscale_sdk.testing.fakes.good import GOOD_ID, NAMESPACE, good, with_hands, with_spec
from egoscale_sdk.testing.subject import Subject

__all__ = ["GOOD_ID", "NAMESPACE", "good", "mutants", "with_hands", "with_spec"]


def mutants() -> dict[str, Callable[[], Subject]]:
    """Return what makes each mutant, by the id of its check."""
    from egoscale_sdk.testing.fakes.catalogue import catalogue  # needs torch, which importing the fake plugin must not

    return catalogue()
