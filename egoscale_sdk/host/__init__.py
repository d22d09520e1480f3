"""The plugin host: finds the plugin that owns a namespace and collects what it contributes.

A plugin module needs `hookimpl` and the entries; everybody else needs `PluginHost` or `default_host`.
"""

from egoscale_sdk.host.declarations import Resolution, resolve_declaration, resolve_spec
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
from egoscale_sdk.host.info import FailureInfo, PluginInfo
from egoscale_sdk.host.plugin_host import PluginHost, default_host

__all__ = [
    "DEFAULT_EMBODIMENT",
    "ActionSpaceEntry",
    "CheckEntry",
    "DriverEntry",
    "EmbodimentEntry",
    "FailureInfo",
    "ImporterEntry",
    "PluginHost",
    "PluginInfo",
    "Resolution",
    "RetargeterEntry",
    "SensorEntry",
    "default_host",
    "hookimpl",
    "hookspec",
    "resolve_declaration",
    "resolve_spec",
]
