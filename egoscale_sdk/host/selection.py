"""Choosing the retargeter of a hand: by name, as the only candidate, or by a plugin's decision; never by accident."""

from __future__ import annotations

from fnmatch import fnmatchcase

from egoscale_sdk.errors import PluginError, UnknownIdError
from egoscale_sdk.host.discovery import SDK_NAMESPACE
from egoscale_sdk.host.entries import RetargeterEntry
from egoscale_sdk.host.loading import LoadedPlugin
from egoscale_sdk.host.lookup import find_entry
from egoscale_sdk.host.registry import Registry
from egoscale_sdk.ids import parse_id
from egoscale_sdk.specs import EmbodimentSpec, HandSpec

_Candidate = tuple[LoadedPlugin, RetargeterEntry]


def select_retargeter(
    registry: Registry, hand: HandSpec, name: str | None, source: EmbodimentSpec | None
) -> _Candidate:
    """Return the retargeter entry that serves ``hand``, and its plugin.

    Raises:
        UnknownIdError: none fits, or the named one does not exist or does not fit.
        PluginError: several fit and no hook decides; or a hook decided for what is no candidate.
    """
    if name is not None:
        return _named(registry, hand, name)
    plugins = _deciders(registry, hand)
    candidates = [(plugin, entry) for plugin in plugins for entry in plugin.retargeters if _fits(entry, hand)]
    candidates.sort(key=lambda candidate: candidate[1].id)
    if not candidates:
        raise UnknownIdError(f"no retargeter serves a hand of {hand.hand_space.id}", hint=_missing(hand))
    return candidates[0] if len(candidates) == 1 else _decide(plugins, candidates, hand, source)


def _named(registry: Registry, hand: HandSpec, name: str) -> _Candidate:
    plugin, entry = find_entry(registry, name, "retargeter", lambda plugin: plugin.retargeters)
    if not _fits(entry, hand):
        raise UnknownIdError(
            f"retargeter {entry.id} (target {entry.target!r}, needs {entry.needs}) does not serve {hand.hand_space.id}",
            where=str(plugin.source),
        )
    return plugin, entry


def _deciders(registry: Registry, hand: HandSpec) -> list[LoadedPlugin]:
    """Return the plugins that have a say: the owner of the hand space, if it is installed, then the SDK."""
    owner = parse_id(hand.hand_space.id).namespace
    own = registry.load(SDK_NAMESPACE)
    return [registry.load(owner), own] if owner in registry.claims and owner != SDK_NAMESPACE else [own]


def _fits(entry: RetargeterEntry, hand: HandSpec) -> bool:
    able = hand.representation == "joints" and (bool(hand.fingers) if entry.needs == "fingers" else bool(hand.aperture))
    return able and fnmatchcase(hand.hand_space.id, entry.target)


def _decide(
    plugins: list[LoadedPlugin], candidates: list[_Candidate], hand: HandSpec, source: EmbodimentSpec | None
) -> _Candidate:
    entries = {entry.id: (plugin, entry) for plugin, entry in candidates}
    for plugin in plugins:
        chosen = plugin.decide(
            "egoscale_select_retargeter", source=source, target=hand, candidates=[entry for _, entry in candidates]
        )
        if chosen is None:
            continue
        if chosen not in entries:
            raise PluginError(
                f"hook egoscale_select_retargeter chose {chosen!r}, which is no candidate",
                where=str(plugin.source),
                allowed=sorted(entries),
            )
        return entries[chosen]
    raise PluginError(
        f"several retargeters serve {hand.hand_space.id} and no plugin decides",
        allowed=sorted(entries),
        hint=f"name one, e.g.: --retargeter {sorted(entries)[0]}",
    )


def _missing(hand: HandSpec) -> str:
    if hand.representation == "keypoints":
        return "its columns are human keypoints already"
    return "its spec has neither finger frames ([[fingers]]) nor an aperture ([aperture])"
