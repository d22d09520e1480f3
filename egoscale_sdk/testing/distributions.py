"""Which installed distribution brings a file of a package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement

from egoscale_sdk.host.discovery import PluginSource


def requirements(source: PluginSource) -> list[Requirement]:
    """Return what the plugin's distribution requires, without what only its extras do."""
    found = []
    for line in source.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # the host refuses such a plugin
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found.append(requirement)
    return found


def candidates(source: PluginSource) -> list[metadata.Distribution]:
    """Return the plugin's distribution and those that it requires, as far as they are installed."""
    names = dict.fromkeys([source.distribution, *(requirement.name for requirement in requirements(source))])
    return [distribution for name in names for distribution in _installed(name)]


def brings(distribution: metadata.Distribution, package: str, path: str) -> bool | None:
    """Tell whether a distribution brings the file ``path`` of ``package``; None where it has no list of its files.

    An editable installation lists no files: it brings those in its project's folder.
    """
    folder = _editable_folder(distribution)
    if folder is not None:
        return Path(str(resources.files(package).joinpath(path))).resolve().is_relative_to(folder)
    record = distribution.read_text("RECORD")
    wanted = f"{package.replace('.', '/')}/{path},"
    return None if record is None else any(line.strip('"').startswith(wanted) for line in record.splitlines())


def _installed(name: str) -> Iterator[metadata.Distribution]:
    try:
        yield metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return


def _editable_folder(distribution: metadata.Distribution) -> Path | None:
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin.get("url", "")).path)).resolve()
