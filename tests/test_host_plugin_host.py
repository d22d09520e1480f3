"""The host finds what is asked for, loads nothing else, and says what is close or what to install."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from egoscale_sdk.errors import DataError, PluginError, SpecError, UnknownIdError
from egoscale_sdk.host import (
    ActionSpaceEntry,
    CheckEntry,
    DriverEntry,
    EmbodimentEntry,
    ImporterEntry,
    PluginHost,
    RetargeterEntry,
    SensorEntry,
    hookimpl,
    hookspecs,
)
from egoscale_sdk.host.lookup import find_named
from egoscale_sdk.host.selection import select_retargeter
from egoscale_sdk.interfaces import Driver, Embodiment, Importer, Retargeter, Sensor
from egoscale_sdk.specs import CameraSpec, EmbodimentSpec, HandSpec, Provider, RowLayout
from tests.plugin_kit import HAND, install, toml, toy_spec

GENERATIONS = """
@hookimpl
def egoscale_embodiments():
    return [EmbodimentEntry(id=f"{namespace}/hand@{n}", spec=f"{package}:hand{n}.toml") for n in (2, 10, 1)]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions on the path; only plugins of the tests are allowed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("EGOSCALE_PLUGINS", "acme,bolt,cog")
    monkeypatch.delenv("EGOSCALE_STRICT", raising=False)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith("egoscale_") and not name.startswith("egoscale_sdk"):
            del sys.modules[name]


def install_generations(site: Path) -> None:
    files = {f"hand{n}.toml": toml(f"acme/hand@{n}") for n in (1, 2, 10)}
    install(site, "acme", GENERATIONS.replace("{n}", "{{n}}").replace("{{n}}", "{n}"), files=files)


class TestSpecs:
    def test_an_id_without_generation_is_the_highest(self, site: Path) -> None:
        install_generations(site)
        host = PluginHost()
        assert host.spec("acme/hand").id == "acme/hand@10"
        assert host.spec("acme/hand@2").id == "acme/hand@2"
        assert [entry.id for entry in host.embodiments()] == ["acme/hand@1", "acme/hand@2", "acme/hand@10"]

    def test_only_the_asked_plugin_is_imported(self, site: Path) -> None:
        acme, bolt = install(site, "acme"), install(site, "bolt")
        host = PluginHost()
        host.spec("acme/hand@1")
        assert f"{acme}.plugin" in sys.modules
        assert f"{bolt}.plugin" not in sys.modules
        assert host.provider("bolt") == Provider(distribution="egoscale-bolt", version="1.2.3")
        assert f"{bolt}.plugin" not in sys.modules

    def test_an_unknown_name_gets_the_nearest(self, site: Path) -> None:
        install(site, "acme")
        with pytest.raises(UnknownIdError, match=r"'acme/hnad'.*allowed: acme/hand@1.*did you mean 'acme/hand'\?"):
            PluginHost().spec("acme/hnad")
        with pytest.raises(
            UnknownIdError, match=r"'acme/hand@7'.*egoscale-acme 1\.2\.3|egoscale-acme 1\.2\.3.*'acme/hand@7'"
        ):
            PluginHost().spec("acme/hand@7")
        with pytest.raises(UnknownIdError, match=r"namespace 'acne'.*allowed: acme, egoscale.*did you mean 'acme'\?"):
            PluginHost({"acme": SimpleNamespace()}).spec("acne/hand")

    def test_a_missing_package_is_named_when_the_data_says_it(self, site: Path) -> None:
        provider = Provider(distribution="egoscale-cog", version="0.3.1")
        with pytest.raises(UnknownIdError, match=r"pip install 'egoscale-cog==0\.3\.1'"):
            PluginHost().spec("cog/hand@1", provider=provider)

    @pytest.mark.parametrize("name", ["--index-url http://x", "a; rm b", "x' y", "\x1b[2J", ""])
    def test_data_cannot_put_commands_into_the_message(self, site: Path, name: str) -> None:
        with pytest.raises(UnknownIdError) as caught:
            PluginHost().spec("cog/hand@1", provider=Provider(distribution=name, version="1; rm"))
        assert "pip install '" not in str(caught.value)
        assert name not in str(caught.value) or not name

    def test_a_malformed_id_is_refused(self) -> None:
        with pytest.raises(SpecError, match="is not an id"):
            PluginHost({}).spec("../hand")

    def test_a_broken_spec_names_plugin_file_and_field(self, site: Path) -> None:
        text = toml("acme/hand@1").replace("rate_hz = 50.0", "rate_hz = -1.0")
        install(site, "acme", files={"hand.toml": text})
        host = PluginHost()
        with pytest.raises(PluginError, match=r"plugin 'acme' \(egoscale-acme 1\.2\.3\).*hand\.toml:control\.rate_hz"):
            host.spec("acme/hand")
        assert [entry.id for entry in host.embodiments()] == ["acme/hand@1"]

    def test_a_spec_must_have_the_id_of_its_entry(self, site: Path) -> None:
        install(site, "acme", files={"hand.toml": toml("acme/other@1")})
        with pytest.raises(PluginError, match=r"acme/hand@1.*says it is 'acme/other@1'"):
            PluginHost().spec("acme/hand")

    def test_a_spec_stays_inside_its_package(self, site: Path) -> None:
        code = HAND.replace("{package}:hand.toml", "{package}:../secret.toml")
        install(site, "acme", code)
        (site / "secret.toml").write_text(toml("acme/hand@1"))
        with pytest.raises(PluginError, match="leaves the package"):
            PluginHost().spec("acme/hand")


class TestAliases:
    def test_an_alias_finds_the_id_that_moved(self, site: Path) -> None:
        install(site, "bolt", files={"hand.toml": toml("bolt/hand@1", aliases=("cog/grip@1", "bolt/old@3"))})
        host = PluginHost()
        for alias in ("cog/grip@1", "cog/grip", "bolt/old@3"):
            assert host.spec(alias).id == "bolt/hand@1"
        with pytest.raises(UnknownIdError):
            host.spec("cog/grip@2")

    def test_an_owner_comes_before_anybodys_alias(self, site: Path) -> None:
        install(site, "acme")
        bolt = install(site, "bolt", files={"hand.toml": toml("bolt/hand@1", aliases=("acme/hand@1",))})
        assert PluginHost().spec("acme/hand@1").id == "acme/hand@1"
        assert f"{bolt}.plugin" not in sys.modules

    def test_an_alias_that_two_claim_is_refused(self, site: Path) -> None:
        for namespace in ("acme", "bolt"):
            install(site, namespace, files={"hand.toml": toml(f"{namespace}/hand@1", aliases=("cog/grip@1",))})
        with pytest.raises(PluginError, match=r"acme/hand@1 of plugin 'acme'.*bolt/hand@1 of plugin 'bolt'"):
            PluginHost().spec("cog/grip@1")


class TestEnvironment:
    def test_a_namespace_that_is_switched_off_is_said(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        acme = install(site, "acme")
        monkeypatch.setenv("EGOSCALE_PLUGINS", "bolt, cog")
        with pytest.raises(UnknownIdError, match="switched off by EGOSCALE_PLUGINS=bolt,cog"):
            PluginHost().spec("acme/hand")
        assert f"{acme}.plugin" not in sys.modules

    def test_empty_leaves_the_sdks_own(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        install(site, "acme")
        monkeypatch.setenv("EGOSCALE_PLUGINS", "")
        assert [info.namespace for info in PluginHost().plugins()] == ["egoscale"]

    def test_the_sdks_own_plugin(self) -> None:
        (info,) = PluginHost({}).plugin("egoscale")
        assert info.importers == ("lerobot", "aria", "egodex", "keypoints", "mocap")
        assert info.drivers == ("mujoco", "replay")
        assert info.retargeters == ("egoscale/keypoints@2", "egoscale/gap@1")
        assert info.action_spaces == ("egoscale/wrist_hand@1",)

    def test_discovery_imports_nothing_heavy(self, site: Path) -> None:
        install(site, "acme")
        code = (
            "import sys; from egoscale_sdk.host import PluginHost; h = PluginHost(); h.plugins(); h.spec('acme/hand');"
            "print([m for m in ('torch', 'transformers', 'zarr', 'pytorch_kinematics', 'mujoco') if m in sys.modules])"
        )
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {code}"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


class FakeEmbodiment(Embodiment):
    def __init__(self, spec: EmbodimentSpec) -> None:
        self.spec = spec

    capabilities = frozenset()  # type: ignore[assignment]
    frames = ()  # type: ignore[assignment]

    def forward_kinematics(self, q: Any) -> Any:
        return q

    def wrist_poses(self, q: Any) -> Any:
        return q


class FakeRetargeter(Retargeter):
    id, version = "acme/own@1", "1"
    parameters = {}  # type: ignore[assignment]

    def retarget(self, keypoints: Any, confidence: Any = None, warm_start: Any = None) -> Any:
        return keypoints


class OtherRetargeter(FakeRetargeter):
    id = "acme/other@1"


class FakeImporter(Importer):
    name = "bag"

    def embodiment_for(self, source: str) -> str | None:
        return None

    def open(self, source: str, spec: EmbodimentSpec, options: Any) -> Any:
        raise DataError("no such recording", where=source)


class FakeDriver(Driver):
    def __init__(self, spec: EmbodimentSpec, port: int = 0) -> None:
        self.spec, self.port = spec, port

    def connect(self) -> None: ...
    def read(self) -> Any: ...
    def write(self, command: Any) -> None: ...
    def stop(self) -> None: ...


class FakeSensor(Sensor):
    def __init__(self, spec: CameraSpec, serial: str) -> None:
        self.spec, self.serial = spec, serial

    def open(self) -> None: ...
    def read(self) -> Any: ...
    def close(self) -> None: ...


def refuse(*args: Any) -> None:
    raise DataError("the calibration file is missing", hint="run: acme calibrate")


def crash(*args: Any) -> None:
    raise KeyError("gain")


def check_bend(embodiment: Embodiment) -> None: ...


def factory(attribute: str) -> str:
    return f"{__name__}:{attribute}"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Factories are imported by name: let the name of this module lead here."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or SimpleNamespace(**globals()))  # type: ignore[arg-type]


class Acme:
    """A plugin object with one of everything; `decision` is what its hook answers."""

    def __init__(self, *, decision: str | None = None, target: str = "acme/*", made: str = "FakeEmbodiment") -> None:
        self.decision, self.target, self.made = decision, target, made
        self.asked: list[tuple[Any, ...]] = []

    @hookimpl
    def egoscale_embodiments(self) -> list[EmbodimentEntry]:
        return [EmbodimentEntry(id="acme/hand@1", spec="tests:hand.toml", factory=factory(self.made))]

    @hookimpl
    def egoscale_retargeters(self) -> list[RetargeterEntry]:
        return [
            RetargeterEntry(id="acme/own@1", target=self.target, factory=factory("FakeRetargeter")),
            RetargeterEntry(id="acme/other@1", target="bolt/*", factory=factory("OtherRetargeter")),
        ]

    @hookimpl
    def egoscale_select_retargeter(self, source: Any, target: HandSpec, candidates: Any) -> str | None:
        self.asked.append((source, target.side, [entry.id for entry in candidates]))
        return self.decision

    @hookimpl
    def egoscale_importers(self) -> list[ImporterEntry]:
        return [ImporterEntry(name="bag", title="bags", factory=factory("FakeImporter"))]

    @hookimpl
    def egoscale_drivers(self) -> list[DriverEntry]:
        return [
            DriverEntry(name="wire", title="a wire", embodiments=("acme/*",), factory=factory("FakeDriver")),
            DriverEntry(name="crash", title="a broken one", factory=factory("crash")),
            DriverEntry(name="refuse", title="an uncalibrated one", factory=factory("refuse")),
            DriverEntry(name="gone", title="one that is not there", factory="no_such_vendor.sdk:Driver"),
            DriverEntry(name="wrong", title="one of the wrong kind", factory=factory("FakeSensor")),
        ]

    @hookimpl
    def egoscale_sensors(self) -> list[SensorEntry]:
        return [SensorEntry(id="acme/eye@1", factory=factory("FakeSensor"))]

    @hookimpl
    def egoscale_action_spaces(self) -> list[ActionSpaceEntry]:
        return [ActionSpaceEntry(id="acme/space@1", factory=factory("crash"))]

    @hookimpl
    def egoscale_conformance_checks(self, spec: EmbodimentSpec) -> list[CheckEntry]:
        return [CheckEntry(id="acme/bend@1", title=f"{spec.id} bends", factory=factory("check_bend"))]


CAMERA = CameraSpec(name="eye", mount="head", height_px=4, width_px=4, rate_hz=30)


def toy_hand(**changes: Any) -> HandSpec:
    fields = {"fingers": [{"role": "index", "frames": [{"frame": "tip", "keypoints": [8]}]}]} | changes
    return HandSpec.model_validate(toy_spec().hands[0].model_dump() | fields)


class TestFactories:
    host = property(lambda self: PluginHost({"acme": Acme()}))

    def test_a_driver_gets_its_spec_and_settings(self) -> None:
        driver = self.host.driver("wire", toy_spec(), port=7)
        assert isinstance(driver, FakeDriver)
        assert driver.port == 7

    def test_a_driver_drives_only_what_it_declares(self) -> None:
        with pytest.raises(UnknownIdError, match=r"'wire' cannot drive bolt/hand@1; allowed: acme/\*"):
            self.host.driver("wire", toy_spec("bolt/hand@1"))

    def test_what_a_factory_says_to_the_user_passes(self) -> None:
        with pytest.raises(DataError, match="acme calibrate"):
            self.host.driver("refuse", toy_spec())

    @pytest.mark.parametrize(
        ("name", "words"),
        [("crash", "KeyError: 'gain'"), ("gone", "no_such_vendor"), ("wrong", "TypeError")],
    )
    def test_a_broken_factory_names_its_plugin(self, name: str, words: str) -> None:
        with pytest.raises(PluginError, match=r"plugin 'acme' \(given in code 0\)") as caught:
            self.host.driver(name, toy_spec())
        assert words in str(caught.value)
        assert f"driver {name}" in str(caught.value)

    def test_strict_raises_what_the_factory_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EGOSCALE_STRICT", "1")
        with pytest.raises(KeyError, match="gain"):
            self.host.driver("crash", toy_spec())

    def test_a_result_must_keep_the_interface(self) -> None:
        class Liar(Acme):
            @hookimpl
            def egoscale_drivers(self) -> list[DriverEntry]:
                return [DriverEntry(name="liar", title="", factory=factory("FakeRetargeter"))]

        with pytest.raises(PluginError, match="FakeRetargeter, which is not a Driver"):
            PluginHost({"acme": Liar()}).driver("liar", toy_spec())

    def test_sensors_action_spaces_and_checks(self) -> None:
        assert isinstance(self.host.sensor("acme/eye", CAMERA, serial="7"), FakeSensor)
        with pytest.raises(PluginError, match="action space acme/space@1"):
            self.host.action_space("acme/space@1", RowLayout.of(toy_spec().hand_spaces))
        with pytest.raises(UnknownIdError, match=r"no sensor 'acme/ear'.*acme/eye"):
            self.host.sensor("acme/ear", CAMERA)
        assert [check.id for check in self.host.conformance_checks(toy_spec())] == ["acme/bend@1"]

    def test_a_check_must_be_an_entry(self) -> None:
        class Careless(Acme):
            @hookimpl
            def egoscale_conformance_checks(self) -> list[str]:
                return ["bends"]

        with pytest.raises(PluginError, match=r"plugin 'acme'.*must return CheckEntry objects, got 'bends'"):
            PluginHost({"acme": Careless()}).conformance_checks(toy_spec())

    def test_an_embodiment_is_made_by_its_factory(self, site: Path) -> None:
        code = HAND.replace('toml")', f'toml", factory="{factory("FakeEmbodiment")}")')
        install(site, "acme", code)
        body = PluginHost().embodiment("acme/hand")
        assert isinstance(body, FakeEmbodiment)
        assert body.spec.id == "acme/hand@1"


class TestNames:
    def test_importers_by_name(self) -> None:
        host = PluginHost({"acme": Acme()})
        assert isinstance(host.importer("bag"), FakeImporter)
        assert isinstance(host.importer("acme/bag"), FakeImporter)
        assert [entry.name for entry in host.importers()] == ["aria", "bag", "egodex", "keypoints", "lerobot", "mocap"]

    def test_an_unknown_name_gets_the_nearest(self) -> None:
        with pytest.raises(UnknownIdError, match=r"no importer 'legobot'.*did you mean 'lerobot'"):
            PluginHost({}).importer("legobot")
        with pytest.raises(UnknownIdError, match=r"no driver 'mujoko'.*did you mean 'mujoco'"):
            PluginHost({}).driver("mujoko", toy_spec())

    def test_a_name_that_two_plugins_have_needs_a_namespace(self) -> None:
        host = PluginHost({"acme": Acme(), "bolt": Bolt()})
        with pytest.raises(UnknownIdError, match=r"several plugins have an importer 'bag'.*acme/bag, bolt/bag"):
            host.importer("bag")
        assert isinstance(host.importer("bolt/bag"), FakeImporter)

    def test_the_sdks_short_names_cannot_be_taken(self, site: Path) -> None:
        thief = "@hookimpl\ndef egoscale_importers(): return [ImporterEntry(name='aria', title='', factory='a:b')]"
        package = install(site, "bolt", thief)
        plugin, _ = find_named(PluginHost().registry, "aria", "importer", lambda plugin: plugin.importers)
        assert plugin.source.namespace == "egoscale"
        assert f"{package}.plugin" not in sys.modules


class Bolt:
    @hookimpl
    def egoscale_importers(self) -> list[ImporterEntry]:
        return [ImporterEntry(name="bag", title="other bags", factory=factory("FakeImporter"))]


def chosen(host: PluginHost, hand: HandSpec) -> str:
    """Return the id of the retargeter that would serve a hand, without building it."""
    return select_retargeter(host.registry, hand, None, None)[1].id


class TestRetargeters:
    def test_the_only_candidate_serves(self) -> None:
        acme = Acme(target="acme/none*")
        assert chosen(PluginHost({"acme": acme}), toy_hand()) == "egoscale/keypoints@2"
        assert acme.asked == []

    def test_a_gripper_is_served_in_closed_form_though_its_frames_are_named(self) -> None:
        hand = toy_hand(aperture={"joint": "right_slide", "linear": 2.0})
        assert chosen(PluginHost({}), hand) == "egoscale/gap@1"

    def test_several_candidates_without_a_decision_are_listed(self) -> None:
        with pytest.raises(
            PluginError, match=r"several retargeters serve acme/toy@1.*acme/own@1, egoscale/keypoints@2"
        ):
            PluginHost({"acme": Acme()}).retargeter(toy_hand())

    def test_the_owner_of_the_hand_decides(self) -> None:
        acme = Acme(decision="acme/own@1")
        people = toy_spec("bolt/people@1")
        retargeter = PluginHost({"acme": acme}).retargeter(toy_hand(), source=people)
        assert isinstance(retargeter, FakeRetargeter)
        assert acme.asked == [(people, "right", ["acme/own@1", "egoscale/keypoints@2"])]

    def test_a_decision_for_no_candidate_names_the_plugin(self) -> None:
        with pytest.raises(PluginError, match=r"plugin 'acme'.*chose 'acme/fast@1', which is no candidate"):
            PluginHost({"acme": Acme(decision="acme/fast@1")}).retargeter(toy_hand())

    def test_a_decision_that_raises_names_the_plugin(self) -> None:
        class Indecisive(Acme):
            @hookimpl
            def egoscale_select_retargeter(self) -> str | None:
                raise RuntimeError("cannot tell")

        with pytest.raises(PluginError, match=r"plugin 'acme'.*egoscale_select_retargeter raised RuntimeError: cannot"):
            PluginHost({"acme": Indecisive()}).retargeter(toy_hand())

    def test_a_named_one_is_taken_if_it_fits(self) -> None:
        host = PluginHost({"acme": Acme()})
        assert host.retargeter(toy_hand(), "acme/own").id == "acme/own@1"
        with pytest.raises(UnknownIdError, match=r"acme/other@1 \(target 'bolt/\*', needs fingers\) does not serve"):
            host.retargeter(toy_hand(), "acme/other@1")

    def test_a_third_plugin_has_no_say(self, site: Path) -> None:
        greedy = "@hookimpl\ndef egoscale_retargeters(): return [RetargeterEntry(id='bolt/x@1', factory='a:b')]"
        package = install(site, "bolt", greedy)
        assert chosen(PluginHost(), toy_hand()) == "egoscale/keypoints@2"
        assert f"{package}.plugin" not in sys.modules

    def test_a_hand_that_nothing_serves(self) -> None:
        with pytest.raises(UnknownIdError, match=r"neither finger frames.*nor an aperture"):
            PluginHost({}).retargeter(toy_hand(fingers=()))


def test_every_shipped_robot_hand_has_its_retargeter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EGOSCALE_PLUGINS", raising=False)
    host = PluginHost()
    specs = [host.spec(entry.id) for entry in host.embodiments() if not entry.id.startswith("human/")]
    if not specs:
        pytest.skip("no embodiment plugin is installed; run: pip install -e embodiments -e plugins/...")
    for hand in (hand for spec in specs for hand in spec.hands):
        assert chosen(host, hand) == ("egoscale/gap@1" if hand.aperture else "egoscale/keypoints@2")


class TestHookspecs:
    """The hook specifications are the contract: named alike, annotated, and documented."""

    hooks = [getattr(hookspecs, name) for name in vars(hookspecs) if name.startswith("egoscale_")]

    def test_all_are_there(self) -> None:
        kinds = ("embodiments", "retargeters", "sensors", "action_spaces", "importers", "drivers")
        others = ("select_retargeter", "upgrade_declaration", "conformance_checks")
        assert {hook.__name__ for hook in self.hooks} == {f"egoscale_{name}" for name in (*kinds, *others)}

    @pytest.mark.parametrize("hook", hooks, ids=lambda hook: hook.__name__)
    def test_is_annotated_and_documented(self, hook: Any) -> None:
        code = hook.__code__
        assert set(hook.__annotations__) == {*code.co_varnames[: code.co_argcount], "return"}
        assert len([line for line in hook.__doc__.splitlines() if line.strip()]) >= 8
