"""A broken plugin never hurts another one, and is named with distribution, version and stage when it is asked for."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from egoscale_sdk.errors import PluginError
from egoscale_sdk.host import PluginHost
from tests.broken_plugins import CORPUS
from tests.plugin_kit import HAND, install


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions on the path; only their plugins (and the SDK's) are allowed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("EGOSCALE_PLUGINS", "before,broken,zebra,other")
    monkeypatch.delenv("EGOSCALE_STRICT", raising=False)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith("egoscale_") and not name.startswith("egoscale_sdk"):
            del sys.modules[name]


@pytest.mark.parametrize("name", CORPUS)
def test_is_isolated_and_named(name: str, site: Path) -> None:
    case = CORPUS[name]
    install(site, "before")
    install(site, "zebra")
    install(site, "broken", case.code, requires=case.requires, target=case.target)
    host = PluginHost()

    infos = {info.namespace: info for info in host.plugins()}
    assert list(infos) == ["before", "broken", "egoscale", "zebra"]
    assert {name for name, info in infos.items() if info.failure} == {"broken"}
    assert infos["broken"].failure.stage == case.stage
    assert [entry.id for entry in host.embodiments()] == ["before/hand@1", "zebra/hand@1"]
    assert host.spec("zebra/hand").id == "zebra/hand@1"

    with pytest.raises(PluginError) as caught:
        host.spec("broken/hand@1")
    message = str(caught.value)
    for word in ("plugin 'broken'", "egoscale-broken 1.2.3", f"stage {case.stage}", *case.words):
        assert word in message
    assert "\n" not in message


def test_an_exception_keeps_its_traceback(site: Path) -> None:
    install(site, "broken", "@hookimpl\ndef egoscale_embodiments(): raise RuntimeError('no licence')")
    (info,) = PluginHost().plugin("broken")
    assert "RuntimeError: no licence" in info.failure.traceback
    assert "plugin.py" in info.failure.traceback


def test_a_plugin_for_another_sdk_is_not_imported(site: Path) -> None:
    package = install(site, "broken", requires=("egoscale-sdk>=99",))
    with pytest.raises(PluginError):
        PluginHost().load("broken")
    assert f"{package}.plugin" not in sys.modules


def test_a_requirement_of_an_extra_does_not_count(site: Path) -> None:
    install(site, "other", requires=("egoscale-sdk>=0.1", 'egoscale-sdk>=99 ; extra == "next"'))
    assert PluginHost().spec("other/hand").id == "other/hand@1"


def test_two_distributions_with_one_namespace_are_both_refused_and_named(site: Path) -> None:
    packages = [
        install(site, "other", distribution=name, version=v) for name, v in (("one-hand", "1.0"), ("two", "2.1"))
    ]
    install(site, "zebra")
    host = PluginHost()
    infos = [info for info in host.plugins() if info.namespace == "other"]
    assert [info.distribution for info in infos] == ["one-hand", "two"]
    for info in infos:
        assert info.failure.stage == "metadata"
        assert "one-hand 1.0 and two 2.1" in info.failure.problem
    with pytest.raises(PluginError, match=r"one-hand 1\.0 and two 2\.1"):
        host.spec("other/hand")
    assert not any(f"{package}.plugin" in sys.modules for package in packages)
    assert host.spec("zebra/hand").id == "zebra/hand@1"


def test_nobody_takes_the_sdks_own_namespace(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGOSCALE_PLUGINS", "egoscale")
    install(site, "egoscale", distribution="usurper")
    own, usurper = PluginHost().plugins()
    assert own.distribution == "egoscale-sdk"
    assert own.failure is None
    assert usurper.distribution == "usurper"
    assert "claimed by egoscale-sdk" in usurper.failure.problem


def test_one_distribution_twice_on_the_path_counts_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("first", "second"):
        monkeypatch.syspath_prepend(str(site / folder))
        install(site / folder, "other", version="1.0" if folder == "first" else "2.0")
    assert PluginHost().provider("other").version == "2.0"
    assert PluginHost().spec("other/hand").id == "other/hand@1"


def test_unreadable_metadata_hurts_nobody(site: Path) -> None:
    install(site, "zebra")
    for name, content in (("binary", b"\xff\xfe[egoscale.plugins]"), ("odd", b"[egoscale.plugins]\nno equals sign\n")):
        folder = site / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "entry_points.txt").write_bytes(content)
    nameless = site / "nameless-1.0.dist-info"
    nameless.mkdir()
    (nameless / "entry_points.txt").write_text("[egoscale.plugins]\nother = json\n")
    host = PluginHost()
    assert host.spec("zebra/hand").id == "zebra/hand@1"
    with pytest.raises(PluginError, match="unnamed-distribution unknown"):
        host.load("other")


def test_a_failed_plugin_leaves_no_hook_behind(site: Path) -> None:
    good = "\n@hookimpl\ndef egoscale_conformance_checks(spec): return []"
    install(site, "broken", good + "\n@hookimpl\ndef egoscale_sensors(colour): return []")
    install(site, "zebra", HAND + good)
    host = PluginHost()
    with pytest.raises(PluginError):
        host.load("broken")
    assert len(host.load("zebra").hook.egoscale_conformance_checks.get_hookimpls()) == 1
    assert host.conformance_checks(host.spec("zebra/hand")) == []


def test_strict_raises_at_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "broken", "1 / 0")
    install(site, "zebra")
    monkeypatch.setenv("EGOSCALE_STRICT", "1")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        PluginHost().embodiments()
    assert PluginHost().spec("zebra/hand").id == "zebra/hand@1"
