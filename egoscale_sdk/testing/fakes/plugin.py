"""The plugin that owns the namespace ``fake``; not installed, only given to hosts by the kit and by tests."""

from __future__ import annotations

from egoscale_sdk.host import DriverEntry, EmbodimentEntry, SensorEntry, hookimpl
from egoscale_sdk.specs import EmbodimentSpec, action_fingerprint

_DEVICES = "egoscale_sdk.testing.fakes.devices"


@hookimpl
def egoscale_embodiments() -> list[EmbodimentEntry]:
    """Two hands of three fingers on two arms."""
    return [EmbodimentEntry(id="fake/hand@1", spec="egoscale_sdk.testing.fakes:hand/embodiment.toml")]


@hookimpl
def egoscale_drivers() -> list[DriverEntry]:
    """Both hands on their buses."""
    return [
        DriverEntry(
            name="fake",
            title="two made-up hands",
            embodiments=("fake/*",),
            factory=f"{_DEVICES}:FakeDriver",
            simulated={"port": "simulated"},
        )
    ]


@hookimpl
def egoscale_sensors() -> list[SensorEntry]:
    """The head camera and the fingertips' pads."""
    return [
        SensorEntry(
            id="fake/senses@1",
            sensors=("head", "*_pads"),
            factory=f"{_DEVICES}:FakeSensor",
            simulated={"port": "simulated"},
        )
    ]


@hookimpl
def egoscale_upgrade_declaration(declared: EmbodimentSpec, current: EmbodimentSpec) -> EmbodimentSpec | None:
    """The first recordings called the torso a chest; anything else is not known here."""
    renamed = declared.model_copy(update={"base_frame": current.base_frame})
    known = declared.base_frame == "chest" and action_fingerprint(renamed) == action_fingerprint(current)
    return current if known else None
