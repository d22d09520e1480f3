"""Every check of the kit, family by family."""

from __future__ import annotations

from egoscale_sdk.testing.check import FAMILIES, Check
from egoscale_sdk.testing.checks import act, data, drv, kin, plg, ret, sen, sim, spec

_MODULES = {
    "PLG": plg,
    "SPEC": spec,
    "KIN": kin,
    "ACT": act,
    "RET": ret,
    "SEN": sen,
    "DRV": drv,
    "DATA": data,
    "SIM": sim,
}


def all_checks() -> list[Check]:
    """Return every check, in the order of the families and of their numbers."""
    found = [value for family in FAMILIES for value in vars(_MODULES[family]).values() if isinstance(value, Check)]
    return sorted(found, key=lambda check: (list(FAMILIES).index(check.family), check.id))
