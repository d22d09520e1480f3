"""The plugin that owns the namespace ``human``; it names its spec and imports nothing heavy."""

from __future__ import annotations

from egoscale_sdk.host import EmbodimentEntry, hookimpl


@hookimpl
def egoscale_embodiments() -> list[EmbodimentEntry]:
    """Both hands of a person, seen from the head: 21 keypoints each."""
    return [EmbodimentEntry(id="human/hands@1", spec="egoscale_embodiments:human_hands/embodiment.toml")]
