"""Which figures of a spec say where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from egoscale_sdk.specs import EmbodimentSpec

_NAMING = ("name", "joint", "link", "device", "role", "side")


def without_source(spec: EmbodimentSpec) -> list[str]:
    """Return the dotted paths of all figures that no `Provenance` of their table, or of one above it, covers."""
    table = spec.model_dump(mode="json")
    own = _globs(table)
    missing = [path for path, is_figure in _fields(_body(table)) if is_figure and not _covered(path, own)]
    for group, limb in _limbs(table):
        local = _globs(limb)
        for path, is_figure in _fields(limb):
            above = f"{group}.{limb['side']}.{path}"
            if is_figure and not _covered(path, local) and not _covered(above, own):
                missing.append(above)
    return missing


def without_figure(spec: EmbodimentSpec) -> list[str]:
    """Return the globs of all `Provenance` entries that name no field: a misspelt one explains nothing."""
    table = spec.model_dump(mode="json")
    idle = [glob for glob in _globs(table) if not any(_names(glob, path) for path, _ in _fields(table))]
    for group, limb in _limbs(table):
        paths = [path for path, _ in _fields(limb)]
        idle += [
            f"{group}.{limb['side']}: {glob}" for glob in _globs(limb) if not any(_names(glob, path) for path in paths)
        ]
    return idle


def _body(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in table.items() if key not in ("hands", "arms")}


def _limbs(table: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for group in ("hands", "arms"):
        for limb in table[group]:
            yield group, limb


def _fields(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, bool]]:
    """Yield the path of every text and number as `Provenance` names it, and whether it is a number."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "provenance":
                yield from _fields(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            keys = [key for key in _NAMING if isinstance(item, dict) and key in item]
            yield from _fields(item, (*path, item[keys[0]] if keys else str(index)))
    elif value is not None:
        yield ".".join(path), isinstance(value, int | float) and not isinstance(value, bool)


def _globs(table: Mapping[str, Any]) -> list[str]:
    return [glob.strip() for item in table["provenance"] for glob in item["fields"].split(",")]


def _covered(path: str, globs: list[str]) -> bool:
    return any(_names(glob, path) for glob in globs)


def _names(glob: str, path: str) -> bool:
    return fnmatchcase(path, glob) or fnmatchcase(path, f"{glob}.*")
