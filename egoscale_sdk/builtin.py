"""The SDK's own plugin, under the namespace ``egoscale``; it has no privilege that another plugin lacks."""

from __future__ import annotations

from collections.abc import Sequence

from egoscale_sdk.host import ActionSpaceEntry, DriverEntry, ImporterEntry, RetargeterEntry, hookimpl
from egoscale_sdk.specs import HandSpec


@hookimpl
def egoscale_importers() -> list[ImporterEntry]:
    """Importers of public recording formats."""
    package = "egoscale_sdk.data.importers"
    return [
        ImporterEntry(
            name="lerobot", title="LeRobot datasets, v2.0, v2.1 and v3.0", factory=f"{package}.lerobot:LeRobotImporter"
        ),
        ImporterEntry(
            name="aria",
            title="Project Aria: a VRS with on-device hand tracking, or an MPS folder",
            factory=f"{package}.aria:AriaImporter",
        ),
        ImporterEntry(
            name="egodex", title="EgoDex recordings: HDF5 with MP4", factory=f"{package}.egodex:EgoDexImporter"
        ),
        ImporterEntry(
            name="keypoints",
            title="hand keypoints of any tracker: our NPZ/CSV exchange form",
            factory=f"{package}.keypoints:KeypointsImporter",
        ),
        ImporterEntry(
            name="mocap",
            title="sessions of trackers, gloves and cameras, or of a robot: session.toml",
            factory=f"{package}.mocap:MocapImporter",
        ),
    ]


@hookimpl
def egoscale_drivers() -> list[DriverEntry]:
    """Drivers that need no hardware."""
    return [
        DriverEntry(
            name="mujoco",
            title="a MuJoCo world built from the spec",
            factory="egoscale_sdk.sim.driver:MujocoDriver",
            simulated={},
        ),
        DriverEntry(name="replay", title="a recorded dataset", factory="egoscale_sdk.runtime.replay:ReplayDriver"),
    ]


@hookimpl
def egoscale_retargeters() -> list[RetargeterEntry]:
    """Retargeters for hands with finger frames, and for grippers in closed form."""
    return [
        RetargeterEntry(
            id="egoscale/keypoints@2", needs="fingers", factory="egoscale_sdk.retargeting:KeypointRetargeter"
        ),
        RetargeterEntry(id="egoscale/gap@1", needs="aperture", factory="egoscale_sdk.retargeting:GapRetargeter"),
    ]


@hookimpl
def egoscale_action_spaces() -> list[ActionSpaceEntry]:
    """The action space of the paper: relative wrists and absolute hands."""
    return [ActionSpaceEntry(id="egoscale/wrist_hand@1", factory="egoscale_sdk.hands.action_space:WristHandSpace")]


@hookimpl
def egoscale_select_retargeter(target: HandSpec, candidates: Sequence[RetargeterEntry]) -> str | None:
    """Serve a gripper in closed form even if its frames are named too; leave other plugins' candidates to them."""
    ours = all(entry.id.startswith("egoscale/") for entry in candidates)
    return "egoscale/gap@1" if ours and target.aperture is not None else None
