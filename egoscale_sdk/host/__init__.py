"""The plugin host: finds the plugin that owns a namespace and collects what it contributes.

A plugin module needs `hookimpl` and the entries; everybody else needs `PluginHost` or `default_host`.
"""

from egoscale_sdk.host.entries import (
    DEFAULT_EMBODIMENT,
    ActionSpaceEntry,
    CheckEntry,
    DriverEntry,
    EmbodimentEntry,
    ImporterEntry,
    RetargeterEntry,
    SensorEntry,
)
from egoscale_sdk.host.hookspecs import hookimpl, hookspec

__all__ = [
    "DEFAULT_EMBODIMENT",
    "ActionSpaceEntry",
    "CheckEntry",
    "DriverEntry",
    "EmbodimentEntry",
    "ImporterEntry",
    "RetargeterEntry",
    "SensorEntry",
    "hookimpl",
    "hookspec",
]
