"""The plugin host: from an id to the spec, or to the object, that the owning plugin brings."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from egoscale_sdk.errors import EgoscaleError, PluginError, UnknownIdError
from egoscale_sdk.host.entries import (
    CheckEntry,
    DriverEntry,
    EmbodimentEntry,
    ImporterEntry,
)
from egoscale_sdk.host.factories import build
from egoscale_sdk.host.info import PluginInfo, info_of
from egoscale_sdk.host.loading import LoadedPlugin
from egoscale_sdk.host.lookup import find_embodiment, find_entry, find_named, list_named
from egoscale_sdk.host.registry import Registry
from egoscale_sdk.host.selection import select_retargeter
from egoscale_sdk.ids import parse_id
from egoscale_sdk.interfaces import ActionSpace, Driver, Embodiment, Importer, Retargeter, Sensor
from egoscale_sdk.specs import (
    CameraSpec,
    EmbodimentSpec,
    HandSpec,
    Provider,
    RowLayout,
    TactileSpec,
    load_embodiment,
)


class PluginHost:
    """Finds plugins and makes what they contribute; a value, of which any number may exist.

    A plugin is imported when an id of its namespace is asked for; whoever lists or searches imports all of them. A
    broken plugin never hurts another one.

    Args:
        plugins: Plugin objects by namespace, in place of the installed ones (tests, notebooks). The SDK's own
            plugin is there in either case.
    """

    def __init__(self, plugins: Mapping[str, object] | None = None) -> None:
        self.registry = Registry(plugins)
        self._specs: dict[str, EmbodimentSpec] = {}

    def load(self, namespace: str) -> LoadedPlugin:
        """Load the plugin of a namespace.

        Raises:
            UnknownIdError, PluginError: nobody owns it, or its owner is broken.
        """
        return self.registry.load(namespace)

    def provider(self, namespace: str) -> Provider:
        """Return the distribution that owns a namespace, from metadata only."""
        source = self.registry.source(namespace)
        return Provider(distribution=source.distribution, version=source.version)

    def plugins(self) -> list[PluginInfo]:
        """Load every plugin and describe it, or why it was refused."""
        return [info_of(plugin) for plugin in self.registry.everything()]

    def plugin(self, namespace: str) -> list[PluginInfo]:
        """Describe the plugin of one namespace, importing no other; several claimants are all described.

        Raises:
            UnknownIdError: no plugin claims the namespace.
        """
        return [info_of(plugin) for plugin in self.registry.results(namespace)]

    def embodiments(self) -> list[EmbodimentEntry]:
        """Return the entries of every working plugin, ordered by id."""
        entries = [entry for plugin in self.registry.working() for entry in plugin.embodiments]
        return sorted(entries, key=lambda entry: parse_id(entry.id, versioned=True))

    def spec(self, id: str, *, provider: Provider | None = None) -> EmbodimentSpec:
        """Return an embodiment's spec.

        Args:
            id: ``namespace/name@N``, or without ``@N`` for the highest installed generation; or an alias of one.
            provider: The distribution that data says it came from, for the message if it is not installed.

        Raises:
            UnknownIdError: nobody provides it; says what is close, or which package to install.
            PluginError: the plugin or its spec is broken.
        """
        return self._spec(*find_embodiment(self.registry, id, self._spec, provider))

    def embodiment(self, id: str) -> Embodiment:
        """Return the body with an id, brought to life by its plugin's factory.

        Raises:
            UnknownIdError, PluginError: as `spec`; or the factory failed.
        """
        plugin, entry = find_embodiment(self.registry, id, self._spec)
        label = f"embodiment {entry.id}"
        return build(plugin.source, label, entry.factory, Embodiment, self._spec(plugin, entry))

    def retargeter(
        self, hand: HandSpec, name: str | None = None, *, source: EmbodimentSpec | None = None
    ) -> Retargeter:
        """Return the retargeter for a hand.

        Args:
            hand: The hand to be moved, a side included.
            name: The id of a retargeter of any plugin; None lets the SDK and the hand's owner decide.
            source: Who moved, for plugins that decide by it.

        Raises:
            UnknownIdError: none fits, or the named one does not exist.
            PluginError: several fit and nobody decides (lists them), or a factory failed.
        """
        plugin, entry = select_retargeter(self.registry, hand, name, source)
        return build(plugin.source, f"retargeter {entry.id}", entry.factory, Retargeter, hand)

    def action_space(self, id: str, layout: RowLayout) -> ActionSpace:
        """Return an action space over the columns of ``layout``."""
        plugin, entry = find_entry(self.registry, id, "action space", lambda plugin: plugin.action_spaces)
        return build(plugin.source, f"action space {entry.id}", entry.factory, ActionSpace, layout)

    def sensor(self, id: str, spec: CameraSpec | TactileSpec, **settings: Any) -> Sensor:
        """Return a sensor for ``spec``, not yet opened."""
        plugin, entry = find_entry(self.registry, id, "sensor", lambda plugin: plugin.sensors)
        return build(plugin.source, f"sensor {entry.id}", entry.factory, Sensor, spec, **settings)

    def importers(self) -> list[ImporterEntry]:
        """Return the importers of every working plugin, ordered by name."""
        return list_named(self.registry, lambda plugin: plugin.importers)

    def importer(self, name: str) -> Importer:
        """Return the importer with a command-line name, or ``namespace/name`` where plugins share one.

        Raises:
            UnknownIdError, PluginError: there is none, several plugins have one, or its factory failed.
        """
        plugin, entry = find_named(self.registry, name, "importer", lambda plugin: plugin.importers)
        return build(plugin.source, f"importer {entry.name}", entry.factory, Importer)

    def drivers(self) -> list[DriverEntry]:
        """Return the drivers of every working plugin, ordered by name."""
        return list_named(self.registry, lambda plugin: plugin.drivers)

    def driver_entry(self, name: str) -> DriverEntry:
        """Return what is said of a driver, by its command-line name; nothing is made.

        Raises:
            UnknownIdError, PluginError: there is none, or the plugin of the given namespace is broken.
        """
        return find_named(self.registry, name, "driver", lambda plugin: plugin.drivers)[1]

    def driver(self, name: str, spec: EmbodimentSpec, **settings: Any) -> Driver:
        """Return a driver for ``spec`` by its command-line name, not yet connected.

        Raises:
            UnknownIdError, PluginError: there is none, it cannot drive this embodiment, or its factory failed.
        """
        plugin, entry = find_named(self.registry, name, "driver", lambda plugin: plugin.drivers)
        if not any(fnmatchcase(spec.id, pattern) for pattern in entry.embodiments):
            raise UnknownIdError(
                f"driver {entry.name!r} cannot drive {spec.id}", where=str(plugin.source), allowed=entry.embodiments
            )
        return build(plugin.source, f"driver {entry.name}", entry.factory, Driver, spec, **settings)

    def upgrade(self, declared: EmbodimentSpec, current: EmbodimentSpec) -> EmbodimentSpec | None:
        """Ask the owner of ``current`` how rows that were recorded under ``declared`` are to be read today."""
        plugin = self.registry.load(parse_id(current.id).namespace)
        upgraded = plugin.decide("egoscale_upgrade_declaration", declared=declared, current=current)
        if upgraded is not None and not isinstance(upgraded, EmbodimentSpec):
            raise PluginError(
                f"hook egoscale_upgrade_declaration must return an EmbodimentSpec or None, got {upgraded!r:.100}",
                where=str(plugin.source),
            )
        return upgraded

    def conformance_checks(self, spec: EmbodimentSpec) -> list[CheckEntry]:
        """Return the checks that the owner of ``spec`` adds to the conformance kit."""
        plugin = self.registry.load(parse_id(spec.id).namespace)
        checks = [check for result in plugin.decide("egoscale_conformance_checks", spec=spec) for check in result]
        wrong = next((check for check in checks if not isinstance(check, CheckEntry)), None)
        if wrong is not None:
            raise PluginError(
                f"hook egoscale_conformance_checks must return CheckEntry objects, got {wrong!r:.100}",
                where=str(plugin.source),
            )
        return checks

    def _spec(self, plugin: LoadedPlugin, entry: EmbodimentEntry) -> EmbodimentSpec:
        """Read the spec that an entry names, once."""
        if entry.id not in self._specs:
            try:
                spec = load_embodiment(entry.spec)
            except EgoscaleError as error:
                raise PluginError(f"embodiment {entry.id}: {error}", where=str(plugin.source)) from error
            if spec.id != entry.id:
                raise PluginError(
                    f"embodiment {entry.id}: {entry.spec} says it is {spec.id!r}", where=str(plugin.source)
                )
            self._specs[entry.id] = spec
        return self._specs[entry.id]


@lru_cache(maxsize=1)
def default_host() -> PluginHost:
    """Return the host over the installed plugins that commands share within one process."""
    return PluginHost()
