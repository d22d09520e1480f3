"""One fault each, for the checks of the family PLG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from egoscale_sdk.host import DriverEntry, EmbodimentEntry, PluginHost, hookimpl
from egoscale_sdk.testing.fakes.good import GOOD_ID, NAMESPACE, PLUGIN, SOURCE, good
from egoscale_sdk.testing.subject import Subject


class _Misspelt:
    @hookimpl
    def egoscale_embodyments(self) -> list[EmbodimentEntry]:
        return []


class _Fickle:
    def __init__(self) -> None:
        self.calls = 0

    @hookimpl
    def egoscale_embodiments(self) -> list[EmbodimentEntry]:
        self.calls += 1
        return [EmbodimentEntry(id=f"fake/hand@{self.calls}", spec="egoscale_sdk.testing.fakes:hand/embodiment.toml")]


def _misspelt_hook() -> Subject:
    return Subject(PluginHost({NAMESPACE: _Misspelt()}), NAMESPACE, GOOD_ID)


def _heavy_import() -> Subject:
    return good(source=replace(SOURCE, plugin="egoscale_sdk.testing.fakes.heavy_plugin"))


def _absent_factory() -> Subject:
    driver = DriverEntry(name="absent", title="a driver", factory=f"{PLUGIN}:AbsentDriver")
    return good(plugin=replace(good().plugin, drivers=(driver,)))


def _absent_spec() -> Subject:
    entry = EmbodimentEntry(id=GOOD_ID, spec="egoscale_sdk.testing.fakes:hand/absent.toml")
    return good(plugin=replace(good().plugin, embodiments=(entry,)))


def _fickle_hook() -> Subject:
    return good(source=replace(SOURCE, plugin=_Fickle()))


MUTANTS: dict[str, Callable[[], Subject]] = {
    "PLG001": _misspelt_hook,
    "PLG002": _heavy_import,
    "PLG003": _absent_factory,
    "PLG004": _absent_spec,
    "PLG006": _fickle_hook,
}
