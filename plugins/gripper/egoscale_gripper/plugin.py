"""The plugin that owns the namespace ``gripper``; it names its specs and imports nothing heavy."""

from __future__ import annotations

from egoscale_sdk.host import EmbodimentEntry, hookimpl

NAMES = ("parallel", "panda", "robotiq_2f85", "wsg50")


@hookimpl
def egoscale_embodiments() -> list[EmbodimentEntry]:
    """One gripper each, on a wrist whose pose is commanded: any parallel gripper, and three by their own joint."""
    return [
        EmbodimentEntry(id=f"gripper/{name}@1", spec=f"egoscale_embodiments:gripper_{name}/embodiment.toml")
        for name in NAMES
    ]
