"""Before training, what a dataset declares is held against the installed plugin."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from egoscale_sdk.errors import DeclarationError
from egoscale_sdk.host import EmbodimentEntry, PluginHost, hookimpl
from egoscale_sdk.specs import EmbodimentSpec
from egoscale_sdk.training.plugins import against_plugins
from tests.plugin_kit import declaration_of, toml, toy_spec

HAND = toml("acme/hand@1")


@dataclass(frozen=True)
class Source:
    """What of a source is looked at."""

    name: str
    spec: EmbodimentSpec

    windows = SimpleNamespace(action_set=SimpleNamespace(name="native"))
    dataset = SimpleNamespace(declaration=declaration_of(toy_spec()))


def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, *, upgrades: bool = False) -> PluginHost:
    """Build a host with the given spec of the toy hand, which accepts earlier rows as its own if ``upgrades``."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = f"toys_{tmp_path.name}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / package / "hand.toml").write_text(text)

    class Acme:
        @hookimpl
        def egoscale_embodiments(self) -> list[EmbodimentEntry]:
            return [EmbodimentEntry(id="acme/hand@1", spec=f"{package}:hand.toml")]

        @hookimpl
        def egoscale_upgrade_declaration(self, current: EmbodimentSpec) -> EmbodimentSpec | None:
            return current if upgrades else None

    return PluginHost({"acme": Acme()})


def check(host: PluginHost) -> tuple[Any, list[str]]:
    (source,), notes = against_plugins([Source("d:native", toy_spec())], host)  # type: ignore[list-item]
    return source, notes


def test_without_the_plugin_a_dataset_describes_itself() -> None:
    source, (note,) = check(PluginHost({}))
    assert source.spec == toy_spec()
    assert "d:native: not held against its plugin" in note
    assert "egoscale-acme==1.2.3" in note


def test_the_same_meaning_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, notes = check(installed(tmp_path, monkeypatch, HAND))
    assert (source.spec, notes) == (toy_spec(), [])


def test_another_meaning_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeclarationError, match=r"'right_bend' \(d:native\) != 'right_flex' \(installed\)"):
        check(installed(tmp_path, monkeypatch, HAND.replace("right_bend", "right_flex")))


def test_an_upgrade_gives_the_rows_their_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = installed(tmp_path, monkeypatch, HAND.replace("right_bend", "right_flex"), upgrades=True)
    source, notes = check(host)
    assert source.spec.joints[0].name == "right_flex"
    assert "as its plugin says" in notes[0]
