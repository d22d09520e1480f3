"""What is checked: one embodiment, and everything that its plugin brings for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property, partial
from typing import Any

from egoscale_sdk.errors import EgoscaleError, PluginError
from egoscale_sdk.host import DriverEntry, EmbodimentEntry, PluginHost
from egoscale_sdk.host.discovery import SDK_NAMESPACE, PluginSource
from egoscale_sdk.host.factories import build
from egoscale_sdk.host.loading import LoadedPlugin
from egoscale_sdk.interfaces import ActionSpace, Driver, Embodiment, Retargeter, Sensor
from egoscale_sdk.specs import EmbodimentSpec, HandSpec, RowLayout, Side
from egoscale_sdk.testing.check import Need
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

NEEDS: Mapping[Need, str] = {
    "plugin": "a plugin that loads",
    "spec": "a spec that loads",
    "joints": "hands with joints",
    "forward_kinematics": "a kinematic tree for every hand",
    "wrist_from_arms": "an arm with a kinematic tree for every hand",
    "both_hands": "a left and a right hand",
    "retargeter": "fingers or an aperture to retarget to",
    "fingers": "two fingers or more with frames to follow",
    "aperture": "an aperture",
    "bodies": "bodies of a hand with a kinematic tree",
    "wires": "a wire table",
    "recordings": "a layout of recordings",
    "drivers": "a driver with `simulated` settings",
    "sensors": "a sensor entry with `simulated` settings",
}


class Subject:
    """One embodiment under test; its parts are made when a check first asks for them.

    Args:
        host: Where the plugin is found.
        namespace: The plugin's namespace.
        embodiment_id: ``namespace/name@N``; None checks the plugin alone.
        **replaced: Parts by the name of their property, in place of what the plugin brings: how a fake gets a fault.
    """

    def __init__(self, host: PluginHost, namespace: str, embodiment_id: str | None = None, **replaced: Any) -> None:
        self.host, self.namespace, self.id = host, namespace, embodiment_id
        self.faults: dict[str, str] = {}  # parts that cannot be made, and the check that found it
        self.__dict__.update(replaced)  # a cached property that is in the dictionary already is never computed

    @cached_property
    def source(self) -> PluginSource:
        """The plugin as its metadata describes it."""
        return self.host.registry.source(self.namespace)

    @cached_property
    def plugin(self) -> LoadedPlugin:
        """The loaded plugin; raises `PluginError` if it is broken."""
        return self.host.load(self.namespace)

    @cached_property
    def entry(self) -> EmbodimentEntry:
        """The embodiment's entry."""
        return next(entry for entry in self.plugin.embodiments if entry.id == self.spec.id)

    @cached_property
    def spec(self) -> EmbodimentSpec:
        """The spec."""
        if self.id is None:
            raise PluginError("brings no embodiment", where=str(self.source))
        return self.host.spec(self.id)

    @cached_property
    def embodiment(self) -> Embodiment:
        """The body that the entry's factory makes."""
        label = f"embodiment {self.entry.id}"
        return build(self.plugin.source, label, self.entry.factory, Embodiment, self.spec)

    @cached_property
    def layout(self) -> RowLayout:
        """Columns of a row."""
        return RowLayout.of(self.spec.hand_spaces)

    @cached_property
    def action_space(self) -> ActionSpace:
        """The action space that the spec names."""
        return self.host.action_space(self.spec.action.space, self.layout)

    @cached_property
    def retargeters(self) -> dict[Side, Retargeter]:
        """The retargeter that serves each hand that one can serve."""
        return {hand.side: self.host.retargeter(hand) for hand in self.spec.hands if retargetable(hand)}

    @cached_property
    def drivers(self) -> dict[str, Callable[[], Driver]]:
        """By ``namespace/name``, what makes each driver that serves this embodiment without hardware.

        The plugin's own ones, and the SDK's where a hand has bodies to simulate.
        """
        own = [(self.namespace, entry) for entry in self.plugin.drivers]
        sdk = [(SDK_NAMESPACE, entry) for entry in self.host.load(SDK_NAMESPACE).drivers if "bodies" in self.has]
        found: dict[str, Callable[[], Driver]] = {}
        for namespace, entry in [*own, *sdk]:
            if _drives(entry, self.spec):
                name = f"{namespace}/{entry.name}"
                found[name] = partial(self.host.driver, name, self.spec, **(entry.simulated or {}))
        return found

    @cached_property
    def sensors(self) -> dict[str, Callable[[], Sensor]]:
        """By name, what makes each sensor of the spec that an entry of the plugin serves without hardware."""
        return {
            sensor.name: partial(self.host.sensor, entry.id, sensor, **(entry.simulated or {}))
            for entry in self.plugin.sensors
            for sensor in self.spec.sensors
            if entry.simulated is not None and any(fnmatchcase(sensor.name, glob) for glob in entry.sensors)
        }

    @cached_property
    def oracles(self) -> dict[Side, NumpyKinematics]:
        """The kit's own forward kinematics of each hand that has a tree, in the hand's root."""
        return {hand.side: NumpyKinematics(hand.tree, hand.joints, hand.root) for hand in self.spec.hands if hand.tree}

    @cached_property
    def has(self) -> frozenset[Need]:
        """What of that which checks may need is there."""
        try:
            found: set[Need] = {"plugin"} if self.plugin else set()
            return frozenset(found | _needs_of_spec(self.spec) | _needs_of_entries(self.plugin, self.spec))
        except EgoscaleError:
            return frozenset({"plugin"} if "plugin" in self.__dict__ else ())


def retargetable(hand: HandSpec) -> bool:
    """Return whether some retargeter of the SDK could serve a hand: it has an aperture, or fingers to follow."""
    return hand.aperture is not None or any(len(finger.frames) > 1 for finger in hand.fingers)


def _needs_of_spec(spec: EmbodimentSpec) -> set[Need]:
    hands = spec.hands
    there: dict[Need, bool] = {
        "spec": True,
        "joints": all(hand.actuated for hand in hands),
        "forward_kinematics": all(hand.tree for hand in hands),
        "wrist_from_arms": all((arm := spec.arm(hand.side)) and arm.tree and hand.tree for hand in hands),
        "both_hands": len(hands) == 2,
        "retargeter": any(retargetable(hand) for hand in hands),
        "fingers": any(sum(len(finger.frames) > 1 for finger in hand.fingers) > 1 for hand in hands),
        "aperture": any(hand.aperture for hand in hands),
        "bodies": any(hand.bodies and hand.tree for hand in hands),
        "wires": bool(spec.wires),
        "recordings": bool(spec.recordings),
    }
    return {need for need, found in there.items() if found}


def _needs_of_entries(plugin: LoadedPlugin, spec: EmbodimentSpec) -> set[Need]:
    sdk_drives = any(hand.bodies and hand.tree for hand in spec.hands)
    drivers = sdk_drives or any(_drives(entry, spec) for entry in plugin.drivers)
    sensors = any(entry.simulated is not None and entry.sensors for entry in plugin.sensors)
    there: dict[Need, bool] = {"drivers": drivers, "sensors": sensors}
    return {need for need, found in there.items() if found}


def _drives(entry: DriverEntry, spec: EmbodimentSpec) -> bool:
    return entry.simulated is not None and any(fnmatchcase(spec.id, glob) for glob in entry.embodiments)
