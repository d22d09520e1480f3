"""`egoscale plugin check`: a score card as text, JSON and a page; its exit code; mistakes in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin_kit import install


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """A toy hand without a licence, and a plugin whose import fails."""
    folder = tmp_path / "site"
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("EGOSCALE_PLUGINS", "acme,broken")
    monkeypatch.chdir(tmp_path)
    install(folder, "acme", requires=("egoscale-sdk>=0.1,<0.2",))
    install(folder, "broken", "raise RuntimeError('no bus')")
    return tmp_path


def check(*argv):
    done = subprocess.run(
        [sys.executable, "-m", "egoscale_sdk", "plugin", "check", *argv, "-q"], capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_the_card_says_what_was_checked_and_measured():
    code, out, err = check("acme", "--only", "SPEC", "PLG001")
    assert (code, err) == (0, "")
    assert "egoscale-acme 1.2.3" in out
    assert "acme/hand@1, fingerprint sha256:" in out
    assert "PLG001    must    pass  The plugin loads" in out
    assert "SPEC013 (should) Every figure says where it comes from" in out
    assert "to mend: add [[provenance]]" in out
    assert "acme BREAKS " in out.splitlines()[-1]
    assert " should clause" in out.splitlines()[-1]


def test_a_should_clause_fails_the_check_only_when_it_is_asked_for():
    assert check("acme", "--only", "SPEC013")[0] == 0
    assert check("acme", "--only", "SPEC013", "--level", "should")[0] == 1


def test_a_broken_plugin_fails_with_its_stage_and_everything_else_is_skipped():
    code, out, err = check("broken")
    assert (code, err) == (1, "")
    assert "stage import: RuntimeError: no bus" in out
    assert "PLG001 (must)" in out
    assert "needs a plugin that loads" in out
    assert "broken BREAKS 1 must clause" in out


def test_a_plugin_that_does_not_load_fails_whatever_is_asked_for():
    code, out, _ = check("broken", "--only", "KIN")
    assert code == 1
    assert "stage import: RuntimeError: no bus" in out


def test_json_goes_to_a_file_or_in_place_of_the_text(site):
    assert check("acme", "--only", "SPEC001", "--json", "card.json")[0] == 0
    code, out, _ = check("acme", "--only", "SPEC001", "--json", "-")
    card = json.loads(out)
    assert (code, card) == (0, json.loads((site / "card.json").read_text()))
    assert set(card) == {"namespace", "distribution", "version", "sdk", "sections"}
    (section,) = card["sections"]
    assert (section["subject"], section["results"][0]["status"]) == ("acme/hand@1", "passed")


def test_a_home_that_no_shell_expanded_is_expanded(site, monkeypatch):
    monkeypatch.setenv("HOME", str(site / "home"))
    (site / "home").mkdir()
    assert check("acme", "--only", "SPEC001", "--json=~/card.json")[0] == 0
    assert json.loads((site / "home/card.json").read_text())["namespace"] == "acme"
    assert not (site / "~").exists()


def test_html_has_pictures():
    pytest.importorskip("matplotlib")
    assert check("acme", "--only", "SPEC001", "--html", "card.html")[0] == 0
    assert "SPEC001" in Path("card.html").read_text()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["acmee"], ("the namespace 'acmee' is switched off by EGOSCALE_PLUGINS",)),
        (["acme/hnd"], ("no embodiment 'acme/hnd'", "did you mean 'acme/hand'?")),
        (["acme", "--only", "SPEK"], ("no check 'SPEK'", "did you mean 'SPEC'?")),
        (["acme", "--level", "may"], ("--level", "must", "should")),
        (["acme", "--json", "nowhere/card.json"], ("nowhere/card.json", "existing folder")),
        (["acme", "--html", "."], ("is a folder",)),
    ],
)
def test_a_mistake_is_one_line(argv, words):
    code, out, err = check(*argv)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert [word for word in words if word not in err] == []
