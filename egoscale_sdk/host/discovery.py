"""Finding plugins without importing them: one entry-point loop of our own, so that one broken file hurts nobody.

The name of an entry point in the group ``egoscale.plugins`` is the namespace that the plugin owns; its value is the
plugin module, or an object in it. Name, distribution, version and requirements are read from metadata only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from packaging.utils import canonicalize_name

import egoscale_sdk

GROUP = "egoscale.plugins"
SDK_NAMESPACE = "egoscale"
SDK_DISTRIBUTION = "egoscale-sdk"
GIVEN_IN_CODE = "given in code"


@dataclass(frozen=True)
class PluginSource:
    """A plugin that is known by its metadata and has not been imported.

    Attributes:
        namespace: The namespace it claims.
        distribution: The installed distribution that claims it.
        version: The version of that distribution.
        plugin: ``"module"`` or ``"module:attr"``, or the plugin object itself (in tests and notebooks).
        requires: The distribution's ``Requires-Dist`` lines.
        problem: Why the metadata cannot be used, or an empty string.
    """

    namespace: str
    distribution: str
    version: str
    plugin: str | object
    requires: tuple[str, ...] = ()
    problem: str = ""

    def __str__(self) -> str:
        return f"plugin {self.namespace!r} ({self.distribution} {self.version})"


def sdk_source() -> PluginSource:
    """Return the SDK's own plugin, which needs no entry point."""
    return PluginSource(SDK_NAMESPACE, SDK_DISTRIBUTION, egoscale_sdk.__version__, "egoscale_sdk.builtin")


def sources_of(plugins: Mapping[str, object]) -> list[PluginSource]:
    """Wrap plugin objects that are given in place of installed ones."""
    return [PluginSource(namespace, GIVEN_IN_CODE, "0", plugin) for namespace, plugin in plugins.items()]


def allowed_namespaces() -> frozenset[str] | None:
    """Return the namespaces in ``EGOSCALE_PLUGINS``, or None if all are allowed; empty allows the SDK's own only."""
    value = os.environ.get("EGOSCALE_PLUGINS")
    return None if value is None else frozenset(name.strip() for name in value.split(",") if name.strip())


def installed_sources() -> list[PluginSource]:
    """Return the plugins of all installed distributions, in the order of their namespaces."""
    found: dict[str, list[PluginSource]] = {}
    for distribution in metadata.distributions():
        for source in _sources_in(distribution):
            # The same distribution twice on the path (a checkout before an installed copy) counts once, as for import.
            found.setdefault(canonicalize_name(source.distribution), []).append(source)
    first = [source for sources in found.values() for source in _of_first_copy(sources)]
    return sorted(first, key=lambda source: (source.namespace, source.distribution))


def _of_first_copy(sources: list[PluginSource]) -> Iterable[PluginSource]:
    seen: dict[str, PluginSource] = {}
    for source in sources:
        seen.setdefault(source.namespace, source)
    return seen.values()


def _sources_in(distribution: metadata.Distribution) -> Iterator[PluginSource]:
    """Yield the plugins of one distribution; metadata that cannot be read at all is none of ours."""
    try:
        text = distribution.read_text("entry_points.txt") or ""
    except (OSError, UnicodeDecodeError):
        return
    if GROUP not in text:
        return
    name, version = _name_and_version(distribution)
    try:
        points = [point for point in distribution.entry_points if point.group == GROUP]
        requires = tuple(distribution.requires or ())
    except Exception as error:  # whatever a malformed file makes the parser raise
        problem = f"its metadata cannot be read: {type(error).__name__}: {error}"
        yield PluginSource(name, name, version, "", problem=problem)
        return
    for point in points:
        if point.name != SDK_NAMESPACE or canonicalize_name(name) != SDK_DISTRIBUTION:
            yield PluginSource(point.name, name, version, point.value, requires)


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    try:
        fields = distribution.metadata
        return fields["Name"] or "unnamed-distribution", fields["Version"] or "unknown"
    except Exception:  # a missing or unreadable METADATA file
        return "unnamed-distribution", "unknown"
