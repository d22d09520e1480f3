"""The good embodiment, and how to give it a fault."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import egoscale_sdk
from egoscale_sdk.host import PluginHost
from egoscale_sdk.host.discovery import SDK_DISTRIBUTION, PluginSource
from egoscale_sdk.specs import EmbodimentSpec, HandSpec, load_embodiment
from egoscale_sdk.testing.subject import Subject

NAMESPACE = "fake"
GOOD_ID = "fake/hand@1"
PLUGIN = "egoscale_sdk.testing.fakes.plugin"
SOURCE = PluginSource(NAMESPACE, SDK_DISTRIBUTION, egoscale_sdk.__version__, PLUGIN, ("egoscale-sdk>=0.1,<0.2",))
"""The plugin as an installed distribution of its own would declare it."""


def good(**replaced: Any) -> Subject:
    """Return the good embodiment as a subject, some of its parts replaced by faulty ones (see `Subject`)."""
    return Subject(PluginHost({NAMESPACE: PLUGIN}), NAMESPACE, GOOD_ID, **{"source": SOURCE} | replaced)


def with_spec(**changes: Any) -> Subject:
    """Return a subject whose spec has some fields changed without validation, so that it may be wrong."""
    return good(spec=good_spec().model_copy(update=changes))


def with_hands(change: Callable[[HandSpec], dict[str, Any]]) -> Subject:
    """Return a subject both of whose hands have some fields changed without validation."""
    return with_spec(hands=tuple(hand.model_copy(update=change(hand)) for hand in good_spec().hands))


@cache
def good_spec() -> EmbodimentSpec:
    """Return the spec of the good embodiment."""
    return load_embodiment("egoscale_sdk.testing.fakes:hand/embodiment.toml")
