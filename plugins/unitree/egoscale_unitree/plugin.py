"""The plugin that owns the namespace ``unitree``; it names its specs and imports nothing heavy."""

from __future__ import annotations

from egoscale_sdk.host import EmbodimentEntry, hookimpl


@hookimpl
def egoscale_embodiments() -> list[EmbodimentEntry]:
    """The humanoid G1 with two tri-finger hands on commanded wrists, and with two five-finger hands on joint arms."""
    return [
        EmbodimentEntry(id="unitree/g1_dex3@1", spec="egoscale_embodiments:unitree_g1_dex3/embodiment.toml"),
        EmbodimentEntry(id="unitree/g1_inspire@1", spec="egoscale_embodiments:unitree_g1_inspire/embodiment.toml"),
    ]
