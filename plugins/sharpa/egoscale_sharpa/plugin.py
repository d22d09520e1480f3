"""The plugin that owns the namespace ``sharpa``; it names its specs and imports nothing heavy."""

from __future__ import annotations

from egoscale_sdk.host import EmbodimentEntry, hookimpl


@hookimpl
def egoscale_embodiments() -> list[EmbodimentEntry]:
    """Two Wave hands on commanded wrists, and the same hands on a wheeled humanoid's arms."""
    return [
        EmbodimentEntry(id="sharpa/wave@1", spec="egoscale_embodiments:sharpa_wave/embodiment.toml"),
        EmbodimentEntry(id="sharpa/r1pro_wave@1", spec="egoscale_embodiments:sharpa_r1pro_wave/embodiment.toml"),
    ]
