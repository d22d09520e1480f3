"""``egoscale plugin``: what is installed, what it brings, and why something failed to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tyro.conf import Positional

from egoscale_sdk.cli.console import emit, render

if TYPE_CHECKING:
    from egoscale_sdk.host import PluginInfo

KINDS = ("embodiments", "retargeters", "sensors", "action_spaces", "importers", "drivers")


def list_(*, json: bool = False) -> None:
    """List every installed plugin, those that failed to load included.

    Examples:
        egoscale plugin list
        EGOSCALE_PLUGINS=acme egoscale plugin list    # only this one and the SDK's own

    Args:
        json: Print JSON: a list of what `plugin info --json` prints.
    """
    from egoscale_sdk.host import default_host

    plugins = default_host().plugins()
    emit([plugin.model_dump(mode="json") for plugin in plugins], as_json=json, text=_table(plugins))


def info(namespace: Positional[str], *, json: bool = False) -> None:
    """Show what a plugin contributes, or why it failed to load, with the traceback.

    Examples:
        egoscale plugin info acme
        egoscale plugin info acme --json

    Args:
        namespace: The namespace that the plugin owns, e.g. acme for acme/hand@1.
        json: Print JSON: a list, with one member unless several distributions claim the namespace.
    """
    from egoscale_sdk.host import default_host

    found = default_host().plugin(namespace)
    text = "\n\n".join(_card(plugin) for plugin in found)
    emit([plugin.model_dump(mode="json") for plugin in found], as_json=json, text=text)


def _table(plugins: list[PluginInfo]) -> str:
    from rich.table import Table
    from rich.text import Text

    table = Table("namespace", "distribution", "brings", box=None, pad_edge=False, header_style="bold")
    for plugin in plugins:
        table.add_row(plugin.namespace, Text(f"{plugin.distribution} {plugin.version}"), Text(_brings(plugin)))
    return render(table)


def _brings(plugin: PluginInfo) -> str:
    if plugin.failure is not None:
        return f"FAILED at stage {plugin.failure.stage}: {plugin.failure.problem}"
    counts = [(len(getattr(plugin, kind)), kind.replace("_", " ")) for kind in KINDS]
    return ", ".join(f"{count} {kind if count > 1 else kind[:-1]}" for count, kind in counts if count) or "nothing"


def _card(plugin: PluginInfo) -> str:
    lines = [
        f"plugin        {plugin.namespace}",
        f"distribution  {plugin.distribution} {plugin.version}",
        f"module        {plugin.module}",
    ]
    if plugin.failure is not None:
        lines += [f"stage         {plugin.failure.stage}", f"problem       {plugin.failure.problem}"]
        return "\n".join([*lines, plugin.failure.traceback.rstrip()]).rstrip()
    for kind in ("hooks", *KINDS):
        names = getattr(plugin, kind)
        if names:
            lines.append(f"{kind.replace('_', ' '):<13} {', '.join(names)}")
    return "\n".join(lines)
