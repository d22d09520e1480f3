"""What can be told about each plugin, loaded or refused."""

from __future__ import annotations

from egoscale_sdk.host.loading import LoadedPlugin, PluginFailure, Stage
from egoscale_sdk.specs import Strict


class FailureInfo(Strict):
    """At which stage a plugin was refused and why; ``traceback`` is empty where no exception was raised."""

    stage: Stage
    problem: str
    traceback: str = ""


class PluginInfo(Strict):
    """One plugin as ``egoscale plugin list`` shows it; a refused one contributes nothing."""

    namespace: str
    distribution: str
    version: str
    module: str
    hooks: tuple[str, ...] = ()
    embodiments: tuple[str, ...] = ()
    retargeters: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    action_spaces: tuple[str, ...] = ()
    importers: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    failure: FailureInfo | None = None


def info_of(plugin: LoadedPlugin | PluginFailure) -> PluginInfo:
    """Describe a plugin that has been loaded or refused."""
    source = plugin.source
    module = source.plugin if isinstance(source.plugin, str) else type(source.plugin).__name__
    basics = PluginInfo(
        namespace=source.namespace, distribution=source.distribution, version=source.version, module=module
    )
    if isinstance(plugin, PluginFailure):
        failure = FailureInfo(stage=plugin.stage, problem=plugin.problem, traceback=plugin.trace)
        return basics.model_copy(update={"failure": failure})
    return basics.model_copy(
        update={
            "hooks": plugin.hooks,
            "embodiments": tuple(entry.id for entry in plugin.embodiments),
            "retargeters": tuple(entry.id for entry in plugin.retargeters),
            "sensors": tuple(entry.id for entry in plugin.sensors),
            "action_spaces": tuple(entry.id for entry in plugin.action_spaces),
            "importers": tuple(entry.name for entry in plugin.importers),
            "drivers": tuple(entry.name for entry in plugin.drivers),
        }
    )
