"""Finding an entry by its id, by an alias, or by its command-line name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from egoscale_sdk.errors import EgoscaleError, PluginError, UnknownIdError, did_you_mean
from egoscale_sdk.host.discovery import SDK_NAMESPACE
from egoscale_sdk.host.entries import EmbodimentEntry
from egoscale_sdk.host.loading import LoadedPlugin
from egoscale_sdk.host.registry import Registry, install_hint
from egoscale_sdk.ids import Id, parse_id
from egoscale_sdk.specs import EmbodimentSpec, Provider

ReadSpec = Callable[[LoadedPlugin, EmbodimentEntry], EmbodimentSpec]


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


class _WithName(Protocol):
    @property
    def name(self) -> str: ...


_Ided = TypeVar("_Ided", bound=_WithId)
_Named = TypeVar("_Named", bound=_WithName)
_Found = tuple[LoadedPlugin, EmbodimentEntry]


def find_entry(
    registry: Registry, id: str, kind: str, entries: Callable[[LoadedPlugin], Sequence[_Ided]]
) -> tuple[LoadedPlugin, _Ided]:
    """Return the entry of an id; without ``@N``, its highest generation.

    Raises:
        UnknownIdError, PluginError: there is none, or the plugin that owns the namespace is broken.
    """
    wanted = parse_id(id)
    plugin = registry.load(wanted.namespace)
    entry = _highest(wanted, entries(plugin))
    if entry is None:
        raise _unknown(wanted, kind, plugin, [entry.id for entry in entries(plugin)], None)
    return plugin, entry


def find_embodiment(registry: Registry, id: str, read: ReadSpec, provider: Provider | None = None) -> _Found:
    """Return the embodiment entry of an id or of an alias; ``read`` loads an entry's spec.

    An owner's own ids come before anybody's aliases; aliases are searched only where an id is not found, since that
    loads every plugin.

    Raises:
        UnknownIdError, PluginError: there is none, or the plugin that owns the namespace is broken.
    """
    wanted = parse_id(id)
    try:
        plugin = registry.load(wanted.namespace, provider)
    except UnknownIdError:
        found = _by_alias(registry, wanted, read)
        if found is None:
            raise
        return found
    entry = _highest(wanted, plugin.embodiments)
    if entry is not None:
        return plugin, entry
    found = _by_alias(registry, wanted, read)
    if found is None:
        raise _unknown(wanted, "embodiment", plugin, [entry.id for entry in plugin.embodiments], provider)
    return found


def find_named(
    registry: Registry, name: str, kind: str, entries: Callable[[LoadedPlugin], Sequence[_Named]]
) -> tuple[LoadedPlugin, _Named]:
    """Return the entry with a command-line name, or ``namespace/name``; the SDK's own short names come first.

    Raises:
        UnknownIdError: there is none, or several plugins have one.
        PluginError: the plugin of the given namespace is broken.
    """
    namespace, slash, short = name.rpartition("/")
    if slash:
        plugins = [registry.load(namespace)]
    else:
        own = registry.load(SDK_NAMESPACE)
        plugins = [own] if any(entry.name == short for entry in entries(own)) else registry.working()
    found = [(plugin, entry) for plugin in plugins for entry in entries(plugin) if entry.name == short]
    if len(found) > 1:
        names = [f"{plugin.source.namespace}/{short}" for plugin, _ in found]
        raise UnknownIdError(f"several plugins have {_a(kind)} {name!r}; say which", allowed=names)
    if not found:
        names = sorted({entry.name for plugin in plugins for entry in entries(plugin)})
        hint = did_you_mean(short, names) or registry.broken_note()
        raise UnknownIdError(f"there is no {kind} {name!r}", allowed=names, hint=hint)
    return found[0]


def list_named(registry: Registry, entries: Callable[[LoadedPlugin], Sequence[_Named]]) -> list[_Named]:
    """Return the entries of every working plugin, ordered by name."""
    found = [entry for plugin in registry.working() for entry in entries(plugin)]
    return sorted(found, key=lambda entry: entry.name)


def _highest(wanted: Id, entries: Sequence[_Ided]) -> _Ided | None:
    """Return the entry of exactly this generation, or of the highest one if none is asked for."""
    matching = [entry for entry in entries if _matches(wanted, entry.id)]
    return max(matching, key=lambda entry: parse_id(entry.id).version or 0, default=None)


def _matches(wanted: Id, text: str) -> bool:
    offered = parse_id(text, versioned=True)
    return offered.stem == wanted.stem and wanted.version in (None, offered.version)


def _by_alias(registry: Registry, wanted: Id, read: ReadSpec) -> _Found | None:
    found = [(alias, pair) for alias, pair in _aliases(registry, read) if _matches(wanted, alias)]
    if not found:
        return None
    highest = max(parse_id(alias).version or 0 for alias, _ in found)
    best = [pair for alias, pair in found if parse_id(alias).version == highest]
    if len(best) > 1:
        claims = [f"{entry.id} of {plugin.source}" for plugin, entry in best]
        raise PluginError(f"{wanted} is an alias of several embodiments", allowed=claims, hint="name one of them")
    return best[0]


def _aliases(registry: Registry, read: ReadSpec) -> Iterator[tuple[str, _Found]]:
    for plugin in registry.working():
        for entry in plugin.embodiments:
            try:
                aliases = read(plugin, entry).aliases
            except EgoscaleError:  # a broken spec has no alias; it is reported where its own id is asked for
                continue
            yield from ((alias, (plugin, entry)) for alias in aliases)


def _unknown(
    wanted: Id, kind: str, plugin: LoadedPlugin, known: list[str], provider: Provider | None
) -> UnknownIdError:
    guess = did_you_mean(str(wanted), [*known, *(parse_id(id).stem for id in known)])
    return UnknownIdError(
        f"there is no {kind} {str(wanted)!r}",
        where=str(plugin.source),
        allowed=known,
        hint=guess or install_hint(provider),
    )


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
