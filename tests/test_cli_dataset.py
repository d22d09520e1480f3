"""`egoscale dataset validate` holds a declaration against the installed plugin."""

import json
from pathlib import Path
from typing import Any

import pytest

from egoscale_sdk import cli
from egoscale_sdk.data import Dataset
from egoscale_sdk.host import EmbodimentEntry, PluginHost, hookimpl
from tests.plugin_kit import declaration_of, toml, toy_spec

HAND = toml("acme/hand@1")


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Validate an empty dataset of the toy hand while a plugin with the given spec (or none) is installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    Dataset.create(tmp_path / "d.zarr", declaration_of(toy_spec()))

    def check(text: str | None) -> tuple[int, list[dict[str, Any]]]:
        package = f"toys_{tmp_path.name}"
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "hand.toml").write_text(text or "")

        class Acme:
            @hookimpl
            def egoscale_embodiments(self) -> list[EmbodimentEntry]:
                return [EmbodimentEntry(id="acme/hand@1", spec=f"{package}:hand.toml")]

        host = PluginHost({"acme": Acme()} if text else {})
        monkeypatch.setattr("egoscale_sdk.host.default_host", lambda: host)
        code: Any = 0
        try:
            cli.main(["dataset", "validate", str(tmp_path / "d.zarr"), "--json", "-q"])
        except SystemExit as stop:
            code = stop.code
        return code, json.loads(capsys.readouterr().out)["findings"]

    return check


def test_the_same_spec_is_no_finding(findings: Any) -> None:
    assert findings(HAND) == (0, [])


def test_a_missing_plugin_is_a_warning_that_names_the_package(findings: Any) -> None:
    code, (finding,) = findings(None)
    assert (code, finding["severity"]) == (0, "warning")
    assert "egoscale-acme==1.2.3" in finding["hint"]


def test_another_meaning_is_an_error_with_what_differs(findings: Any) -> None:
    code, (finding,) = findings(HAND.replace("right_bend", "right_flex"))
    assert (code, finding["severity"]) == (1, "error")
    assert "'right_bend' (dataset) != 'right_flex' (installed)" in finding["message"]


def test_other_limits_are_a_warning(findings: Any) -> None:
    code, (finding,) = findings(HAND.replace("upper_rad = 1.5", "upper_rad = 1.2"))
    assert (code, finding["code"]) == (0, "limits")
    assert "the narrower are used" in finding["message"]
