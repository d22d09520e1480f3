"""Loading one plugin in stages, each of which may fail without hurting any other plugin."""

from __future__ import annotations

import importlib
import re
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from types import ModuleType
from typing import Any, Literal, TypeVar

import pluggy
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic import ValidationError

import egoscale_sdk
from egoscale_sdk.errors import EgoscaleError, PluginError, did_you_mean
from egoscale_sdk.host import hookspecs
from egoscale_sdk.host.discovery import SDK_DISTRIBUTION, PluginSource
from egoscale_sdk.host.entries import (
    ActionSpaceEntry,
    DriverEntry,
    EmbodimentEntry,
    ImporterEntry,
    RetargeterEntry,
    SensorEntry,
)
from egoscale_sdk.ids import parse_id
from egoscale_sdk.specs import Strict

Stage = Literal["metadata", "import", "register", "hooks", "contribute"]
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("egoscale_"))
# A module of nothing but the hooks: pluggy looks at every name in it, once for every plugin.
_SPECIFICATIONS = ModuleType("hooks")
vars(_SPECIFICATIONS).update({name: getattr(hookspecs, name) for name in HOOKS})
_TARGET = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?")
_NAMESPACE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_Entry = TypeVar("_Entry", bound=Strict)


class Refused(Exception):
    """Why a stage refuses a plugin; becomes part of a `PluginFailure`, never seen by itself."""


@dataclass(frozen=True)
class PluginFailure:
    """A plugin that was refused: at which stage, why, and the traceback where there is one."""

    source: PluginSource
    stage: Stage
    problem: str
    trace: str = ""

    def error(self) -> PluginError:
        """Return the error that is raised when the plugin's namespace is asked for."""
        return PluginError(
            f"stage {self.stage}: {self.problem}",
            where=str(self.source),
            hint=f"run: egoscale plugin info {self.source.namespace}",
        )


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin whose every stage passed, and what it contributes; ``hook`` calls this plugin and no other."""

    source: PluginSource
    hook: Any
    hooks: tuple[str, ...]
    embodiments: tuple[EmbodimentEntry, ...]
    retargeters: tuple[RetargeterEntry, ...]
    sensors: tuple[SensorEntry, ...]
    action_spaces: tuple[ActionSpaceEntry, ...]
    importers: tuple[ImporterEntry, ...]
    drivers: tuple[DriverEntry, ...]

    def decide(self, name: str, **arguments: Any) -> Any:
        """Call a decision or conformance hook of this plugin.

        Raises:
            PluginError: the hook raised; names the plugin, its distribution and the hook.
        """
        try:
            return getattr(self.hook, name)(**arguments)
        except EgoscaleError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(f"hook {name} raised {explain(error)}", where=str(self.source)) from error


def load_plugin(source: PluginSource) -> LoadedPlugin | PluginFailure:
    """Take a plugin through every stage.

    Each plugin has a pluggy manager of its own: a failure drops it whole, so nothing half-registered remains and no
    plugin's hook can disturb another's.
    """
    stage: Stage = "metadata"
    try:
        _check_metadata(source)
        stage = "import"
        plugin = _import_plugin(source.plugin)
        stage = "register"
        manager = _register(source, plugin)
        stage = "hooks"
        hooks = _check_hooks(manager, plugin)
        stage = "contribute"
        return _contributions(source, manager.hook, hooks)
    except (Exception, SystemExit) as error:
        trace = "" if isinstance(error, Refused) and error.__cause__ is None else traceback.format_exc()
        return PluginFailure(source, stage, explain(error), trace)


def explain(error: BaseException) -> str:
    """Say in one line what an exception is about."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return f"{error.title}.{field}: {first['msg']}, got {first['input']!r:.200}"
    text = " ".join(str(error).split())
    if isinstance(error, Refused | EgoscaleError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _check_metadata(source: PluginSource) -> None:
    if source.problem:
        raise Refused(source.problem)
    if not _NAMESPACE.fullmatch(source.namespace):
        raise Refused(f"the entry point's name {source.namespace!r} is no namespace (lower case, digits, '_')")
    if isinstance(source.plugin, str) and not _TARGET.fullmatch(source.plugin):
        raise Refused(f"the entry point's value {source.plugin!r} is neither 'module' nor 'module:attr'")
    for line in source.requires:
        _check_requirement(line)


def _check_requirement(line: str) -> None:
    """Refuse a plugin for another SDK before any of its code runs."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise Refused(f"malformed Requires-Dist {line!r}: {reason}") from None
    if canonicalize_name(requirement.name) != SDK_DISTRIBUTION:
        return
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return
    if not requirement.specifier.contains(egoscale_sdk.__version__, prereleases=True):
        raise Refused(
            f"requires {SDK_DISTRIBUTION} {requirement.specifier}, but {egoscale_sdk.__version__} is installed"
        )


def _import_plugin(plugin: str | object) -> object:
    if not isinstance(plugin, str):
        return plugin
    module, _, path = plugin.partition(":")
    return reduce(getattr, path.split(".") if path else [], importlib.import_module(module))


def _register(source: PluginSource, plugin: object) -> pluggy.PluginManager:
    """Register with a fresh manager, which compares every hook's arguments with its specification."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(_SPECIFICATIONS)
    manager.register(plugin, name=source.namespace)
    return manager


def _check_hooks(manager: pluggy.PluginManager, plugin: object) -> tuple[str, ...]:
    """Return the names of the plugin's hooks; refuse what looks like a hook and would silently never be called."""
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        optional = all(implementation.optionalhook for implementation in caller.get_hookimpls())
        if not caller.has_spec() and not optional:
            guess = did_you_mean(caller.name, HOOKS)
            raise Refused(f"unknown hook {caller.name!r}; {guess or 'hooks: ' + ', '.join(HOOKS)}")
    names = tuple(sorted(caller.name for caller in callers if caller.has_spec()))
    for name in HOOKS:
        if name not in names and callable(getattr(plugin, name, None)):
            raise Refused(f"{name} is not marked; write @hookimpl (from egoscale_sdk.host) above it")
    if not names:
        raise Refused(f"implements no hook; hooks: {', '.join(HOOKS)}")
    return names


def _contributions(source: PluginSource, hook: Any, hooks: tuple[str, ...]) -> LoadedPlugin:
    loaded = LoadedPlugin(
        source,
        hook,
        hooks,
        embodiments=_collect(hook.egoscale_embodiments, EmbodimentEntry),
        retargeters=_collect(hook.egoscale_retargeters, RetargeterEntry),
        sensors=_collect(hook.egoscale_sensors, SensorEntry),
        action_spaces=_collect(hook.egoscale_action_spaces, ActionSpaceEntry),
        importers=_collect(hook.egoscale_importers, ImporterEntry),
        drivers=_collect(hook.egoscale_drivers, DriverEntry),
    )
    for entries in (loaded.embodiments, loaded.retargeters, loaded.sensors, loaded.action_spaces):
        _check_ids(source.namespace, [entry.id for entry in entries])
    for named in (loaded.importers, loaded.drivers):
        _refuse_twice([entry.name for entry in named])
    return loaded


def _collect(caller: Callable[[], list[Iterable[Any]]], kind: type[_Entry]) -> tuple[_Entry, ...]:
    """Call one contribution hook of one plugin and check the kind of everything that it returns."""
    name = getattr(caller, "name", "hook")
    try:
        entries = [entry for result in caller() for entry in result]
    except (Exception, SystemExit) as error:
        raise Refused(f"hook {name} raised {explain(error)}") from error
    for entry in entries:
        if not isinstance(entry, kind):
            raise Refused(f"hook {name} must return {kind.__name__} objects, got {entry!r:.200}")
    return tuple(entries)


def _check_ids(namespace: str, ids: list[str]) -> None:
    for text in ids:
        if parse_id(text, versioned=True).namespace != namespace:
            raise Refused(f"contributes {text!r}, but it owns the namespace {namespace!r} only")
    _refuse_twice(ids)


def _refuse_twice(names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise Refused(f"contributes {repeated[0]!r} more than once")
