"""A run keeps to the narrower of the installed limits and those that the checkpoint was trained within."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from egoscale_sdk.host import EmbodimentEntry, PluginHost, hookimpl
from egoscale_sdk.runtime.session import _within_trained_limits
from egoscale_sdk.specs import EmbodimentSpec, action_fingerprint
from tests.plugin_kit import toml, toy_spec


class Acme:
    @hookimpl
    def egoscale_embodiments(self) -> list[EmbodimentEntry]:
        return [EmbodimentEntry(id="acme/hand@1", spec="toys_for_limits:hand.toml")]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PluginHost:
    """A host whose installed toy hand bends to 1.2 rad only."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "toys_for_limits"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "hand.toml").write_text(toml("acme/hand@1").replace("upper_rad = 1.5", "upper_rad = 1.2"))
    return PluginHost({"acme": Acme()})


def policy_for(*specs: EmbodimentSpec) -> Any:
    entries = {spec.id: SimpleNamespace(spec=spec, action_fingerprint=action_fingerprint(spec)) for spec in specs}
    return SimpleNamespace(embodiments=entries)


def test_the_narrower_of_both_are_kept_and_said(host: PluginHost) -> None:
    trained = toy_spec(control={"rate_hz": 50.0, "wrist_speed_m_s": 0.5})
    limited = _within_trained_limits(host, policy_for(trained), host.spec("acme/hand"))
    assert limited.spec.joints[0].upper == 1.2
    assert limited.spec.control.wrist_speed_m_s == 0.5
    assert "the narrower are used" in limited.notes[0]


def test_what_was_not_trained_keeps_its_own(host: PluginHost) -> None:
    installed = host.spec("acme/hand")
    for policy in (policy_for(), policy_for(toy_spec(base_frame="torso"))):
        assert _within_trained_limits(host, policy, installed).spec == installed
