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

    table = Table("namespace", "distribution", "brings", "hooks", box=None, pad_edge=False, header_style="bold")
    for plugin in plugins:
        distribution = f"{plugin.distribution} {plugin.version}"
        hooks = ", ".join(hook.removeprefix("egoscale_") for hook in plugin.hooks)
        table.add_row(*map(Text, (plugin.namespace, distribution, _brings(plugin), hooks)))
    return render(table)


def _brings(plugin: PluginInfo) -> str:
    """Return every id and name that a plugin contributes, or the stage at which it failed and why."""
    if plugin.failure is not None:
        see = f"see: egoscale plugin info {plugin.namespace}"
        return f"FAILED at stage {plugin.failure.stage}: {plugin.failure.problem}; {see}"
    return ", ".join(name for kind in KINDS for name in getattr(plugin, kind)) or "nothing"


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
