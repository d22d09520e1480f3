"""The plugin that owns the namespace ``fake``; not installed, only given to hosts by the kit and by tests."""

from __future__ import annotations

from egoscale_sdk.host import EmbodimentEntry, hookimpl


@hookimpl
def egoscale_embodiments() -> list[EmbodimentEntry]:
    """Two hands of three fingers on two arms."""
    return [EmbodimentEntry(id="fake/hand@1", spec="egoscale_sdk.testing.fakes:hand/embodiment.toml")]
