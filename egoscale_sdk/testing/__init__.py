"""The conformance kit: what every embodiment plugin must hold, as checks that run.

With pytest, a vendor subclasses `EmbodimentSuite`; without it, ``egoscale plugin check`` or `check_plugin` runs the
same checks. Their clauses are written in ``docs/contract.md``.
"""

from typing import TYPE_CHECKING, Any

from egoscale_sdk.testing.check import Check, NotApplicable, Violation

if TYPE_CHECKING:
    from egoscale_sdk.testing.run import CheckResult, Report, check_plugin
    from egoscale_sdk.testing.suite import EmbodimentSuite

__all__ = ["Check", "CheckResult", "EmbodimentSuite", "NotApplicable", "Report", "Violation", "check_plugin"]

_LAZY = {"EmbodimentSuite": "suite", "CheckResult": "run", "Report": "run", "check_plugin": "run"}


def __getattr__(name: str) -> Any:
    """Import what needs torch, or pytest, when it is asked for."""
    from importlib import import_module

    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
