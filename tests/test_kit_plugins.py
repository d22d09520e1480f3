"""The kit on installed distributions: what it says of plugins that work here and would fail elsewhere."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from egoscale_sdk.host import PluginHost
from egoscale_sdk.testing.check import Check
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.run import CheckResult, run_check
from egoscale_sdk.testing.subject import Subject
from tests.plugin_kit import HAND, install

CHECKS: dict[str, Check] = {check.id: check for check in all_checks()}
FILES = ("plugin.py", "hand.toml")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("EGOSCALE_PLUGINS", "acme")
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "egoscale_acme"]:
        del sys.modules[name]


def judge(id: str) -> CheckResult:
    """Run one check on the installed plugin ``acme``; a violation has no traceback."""
    result = run_check(CHECKS[id], Subject(PluginHost(), "acme"))
    assert result.traceback == ""
    return result


def record(site: Path, package: str, *files: str) -> None:
    """Write the list of installed files, as pip does."""
    info = next(site.glob(f"{package}-*.dist-info"))
    (info / "RECORD").write_text("".join(f"{package}/{name},sha256=x,1\n" for name in files))


class TestImport:
    @pytest.mark.parametrize(
        ("code", "heavy"),
        [
            ("import numpy, simplejpeg" + HAND, "simplejpeg"),
            ("from egoscale_sdk.cli import plugin" + HAND, "tyro"),
            (HAND.replace("    return", "    import simplejpeg; return"), "simplejpeg"),
        ],
        ids=["its own", "by way of the SDK", "in a hook"],
    )
    def test_a_heavy_import_is_named(self, site: Path, code: str, heavy: str) -> None:
        install(site, "acme", code)
        result = judge("PLG002")
        assert result.status == "failed"
        assert "importing egoscale_acme.plugin and calling its hooks also imports" in result.detail
        assert heavy in result.detail

    def test_the_standard_library_and_its_own_package_are_free(self, site: Path) -> None:
        install(site, "acme", "import asyncio, sqlite3, egoscale_acme.names" + HAND, files={"names.py": ""})
        assert judge("PLG002").status == "passed"

    def test_a_module_that_only_imports_here_is_found(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        install(site, "acme", "import only_in_this_process" + HAND)
        monkeypatch.setitem(sys.modules, "only_in_this_process", sys)
        results = {id: judge(id) for id in CHECKS if id.startswith("PLG")}
        assert [id for id, result in results.items() if (result.status, result.level) == ("failed", "must")] == [
            "PLG001"
        ]
        assert "not in a fresh Python: stage import: ModuleNotFoundError" in results["PLG001"].detail

    def test_a_hook_that_ends_python_there_is_found(self, site: Path) -> None:
        ends = "    import os, sys; 'pytest' in sys.modules or os._exit(7); return"
        install(site, "acme", HAND.replace("    return", ends))
        assert "ends Python with exit code 7" in judge("PLG001").detail
        assert judge("PLG006").status == "skipped"

    @pytest.mark.parametrize(
        "code",
        [
            "print('Acme SDK, all rights reserved')" + HAND,
            "import atexit, sys; 'pytest' in sys.modules or atexit.register(print, 'Acme SDK, all rights reserved')"
            + HAND,
            HAND.replace("    return", "    import os; os.write(1, b'Acme SDK, all rights reserved'); return"),
            HAND.replace("    return", "    import os; os.system('echo Acme SDK, all rights reserved'); return"),
        ],
        ids=["at import", "at exit", "past sys.stdout", "by a child"],
    )
    def test_what_is_printed_is_quoted(self, site: Path, code: str) -> None:
        install(site, "acme", code)
        assert "Acme SDK, all rights" in judge("PLG006").detail


class TestFactories:
    def test_a_module_that_needs_an_extra_may_say_so(self, site: Path) -> None:
        driver = "import egoscale_sdk.errors as e\nraise e.MissingExtraError('driving needs acme_bus')"
        entry = "DriverEntry(name='acme', title='Acme', factory='{package}.driver:Driver')"
        code = HAND + f"\n@hookimpl\ndef egoscale_drivers(): return [{entry}]\n"
        install(site, "acme", code, files={"driver.py": driver})
        result = judge("PLG003")
        assert (result.status, "driving needs acme_bus" in result.detail) == ("passed", True)

    @pytest.mark.parametrize(
        ("driver", "words"),
        [
            ("import acme_bus", "ModuleNotFoundError"),
            ("Driver = 3", "is a int"),
            ("", "Driver"),
        ],
    )
    def test_one_that_cannot_be_made_is_named(self, site: Path, driver: str, words: str) -> None:
        entry = "DriverEntry(name='acme', title='Acme', factory='{package}.driver:Driver')"
        code = HAND + f"\n@hookimpl\ndef egoscale_drivers(): return [{entry}]\n"
        install(site, "acme", code, files={"driver.py": driver})
        result = judge("PLG003")
        assert result.status == "failed"
        assert "drivers: acme" in result.detail
        assert words in result.detail

    def test_a_check_of_its_own_counts_as_well(self, site: Path) -> None:
        entry = "CheckEntry(id='acme/grip@1', title='It grips', factory='{package}.checks:grips')"
        install(site, "acme", HAND + f"\n@hookimpl\ndef egoscale_conformance_checks(): return [{entry}]\n")
        result = judge("PLG003")
        assert (result.status, "conformance check acme/grip@1" in result.detail) == ("failed", True)


class TestFiles:
    def test_a_spec_that_the_wheel_lacks_is_named(self, site: Path) -> None:
        record(site, install(site, "acme"), "plugin.py")
        result = judge("PLG004")
        assert result.status == "failed"
        assert "egoscale_acme:hand.toml is in none of egoscale-acme, egoscale-sdk" in result.detail

    def test_a_listed_one_is_found(self, site: Path) -> None:
        record(site, install(site, "acme"), *FILES)
        assert judge("PLG004").detail == "1 files"

    def test_one_of_a_required_distribution_is_found(self, site: Path) -> None:
        code = HAND.replace("{package}:hand.toml", "egoscale_hands:hand.toml").replace("{namespace}", "acme")
        package = install(site, "acme", code, requires=("egoscale-sdk", "egoscale-hands>=1"))
        hands = install(site, "hands", files={"hand.toml": (site / package / "hand.toml").read_text()})
        record(site, package, "plugin.py")
        record(site, hands, *FILES)
        assert judge("PLG004").status == "passed"

    def test_one_of_a_distribution_that_nobody_requires_is_not(self, site: Path) -> None:
        code = HAND.replace("{package}:hand.toml", "egoscale_hands:hand.toml").replace("{namespace}", "acme")
        package = install(site, "acme", code)
        hands = install(site, "hands", files={"hand.toml": (site / package / "hand.toml").read_text()})
        record(site, package, "plugin.py")
        record(site, hands, *FILES)
        assert "egoscale_hands:hand.toml is in none of" in judge("PLG004").detail


@pytest.mark.parametrize(
    ("requires", "status"),
    [
        (("egoscale-sdk>=0.1,<0.2",), "passed"),
        (("Egoscale_SDK~=0.1.0",), "passed"),
        (("egoscale-sdk>=0.1",), "failed"),
        (("numpy",), "failed"),
    ],
)
def test_the_sdk_is_required_up_to_a_version(site: Path, requires: tuple[str, ...], status: str) -> None:
    install(site, "acme", requires=requires)
    assert judge("PLG005").status == status


def test_a_broken_plugin_fails_one_check_and_skips_the_others(site: Path) -> None:
    install(site, "acme", "1 / 0")
    results = {id: judge(id) for id in CHECKS if id.startswith("PLG")}
    assert "stage import: ZeroDivisionError" in results["PLG001"].detail
    assert {id for id, result in results.items() if result.status == "skipped"} == {
        "PLG002",
        "PLG003",
        "PLG004",
        "PLG006",
    }
