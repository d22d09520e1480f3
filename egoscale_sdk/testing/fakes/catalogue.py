"""All mutants, by the id of the check that must catch them."""

from __future__ import annotations

from collections.abc import Callable

from egoscale_sdk.testing.fakes import (
    mutants_act,
    mutants_data,
    mutants_drv,
    mutants_kin,
    mutants_plg,
    mutants_ret,
    mutants_sen,
    mutants_sim,
    mutants_spec,
)
from egoscale_sdk.testing.subject import Subject

Mutant = Callable[[], Subject]

_MODULES = (
    *(mutants_plg, mutants_spec, mutants_kin, mutants_act, mutants_ret),
    *(mutants_sen, mutants_drv, mutants_data, mutants_sim),
)


def catalogue() -> dict[str, Mutant]:
    """Return what makes each mutant, by the id of its check."""
    return {id: mutant for module in _MODULES for id, mutant in module.MUTANTS.items()}
