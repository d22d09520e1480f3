"""The plugin that owns the namespace ``fake``; not installed, only given to hosts by the kit and by tests."""

from __future__ import annotations

from egoscale_sdk.host import DriverEntry, EmbodimentEntry, SensorEntry, hookimpl

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
