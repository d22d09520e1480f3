"""One fault each, for the checks of the family DRV."""

from __future__ import annotations

from collections.abc import Callable

from egoscale_sdk.testing.subject import Subject

MUTANTS: dict[str, Callable[[], Subject]] = {}
