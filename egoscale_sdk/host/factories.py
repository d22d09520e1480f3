"""From a factory's name to an object, with errors that name the plugin whose factory it is."""

from __future__ import annotations

import importlib
import os
from typing import Any, TypeVar

from egoscale_sdk.errors import EgoscaleError, PluginError
from egoscale_sdk.host.discovery import PluginSource
from egoscale_sdk.host.loading import explain

_T = TypeVar("_T")


def strict() -> bool:
    """Return whether ``EGOSCALE_STRICT=1`` asks for failures to be raised as they are, at once."""
    return os.environ.get("EGOSCALE_STRICT", "") not in ("", "0")


def build(source: PluginSource, label: str, factory: str, interface: type[_T], *args: Any, **settings: Any) -> _T:
    """Import ``factory`` (``"module:attr"``), call it, and check that the result keeps ``interface``.

    Args:
        source: The plugin that contributed the factory.
        label: What is built, for messages, e.g. ``"embodiment acme/hand@1"``.
        factory: ``"module:attr"``.
        interface: The class that the result must be an instance of.
        *args: Passed to the factory.
        **settings: Passed to the factory.

    Raises:
        PluginError: the factory cannot be imported, raised, or returned something else.
        EgoscaleError: what the factory itself raised, such as a missing extra.
    """
    try:
        made = import_factory(factory)(*args, **settings)
    except EgoscaleError:
        raise
    except (Exception, SystemExit) as error:
        if strict():
            raise
        raise PluginError(
            f"{label}: factory '{factory}' failed: {explain(error)}",
            where=str(source),
            hint="set EGOSCALE_STRICT=1 for the traceback",
        ) from error
    if not isinstance(made, interface):
        kind = f"{type(made).__module__}.{type(made).__qualname__}"
        raise PluginError(
            f"{label}: factory '{factory}' made a {kind}, which is not a {interface.__name__}", where=str(source)
        )
    return made


def import_factory(factory: str) -> Any:
    """Import the attribute that ``"module:attr"`` names."""
    module, _, attribute = factory.partition(":")
    return getattr(importlib.import_module(module), attribute)
