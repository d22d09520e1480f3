"""A good embodiment, and one mutant per *must* check: the same embodiment with one fault.

They test the kit itself: a check that passes the good one and not its mutant can tell them apart.
"""

from egoscale_sdk.testing.fakes.good import GOOD_ID, NAMESPACE, good, with_hands, with_spec
from egoscale_sdk.testing.fakes.mutants import mutants

__all__ = ["GOOD_ID", "NAMESPACE", "good", "mutants", "with_hands", "with_spec"]
