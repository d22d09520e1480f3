"""What a dataset or a checkpoint declares is held against what is installed: same, upgraded, or refused with a diff."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egoscale_sdk.errors import DeclarationError, PluginError, UnknownIdError
from egoscale_sdk.host import EmbodimentEntry, PluginHost, hookimpl, resolve_declaration, resolve_spec
from egoscale_sdk.specs import (
    EmbodimentSpec,
    Provider,
    action_fingerprint,
    action_meaning,
    digest,
    safety_digest,
)
from egoscale_sdk.specs.compare import diff_meaning, narrower_limits
from tests.plugin_kit import declaration_of, toml, toy_spec


def file_of(id: str) -> str:
    """Return a file name for a generation."""
    return id.replace("/", "_").replace("@", "_")


class Acme:
    """A plugin that has certain generations of the toy hand; ``upgrade`` is what its hook answers."""

    def __init__(self, package: str, ids: tuple[str, ...], upgrade: Any = None) -> None:
        self.package, self.ids, self.upgrade, self.asked = package, ids, upgrade, []

    @hookimpl
    def egoscale_embodiments(self) -> list[EmbodimentEntry]:
        return [EmbodimentEntry(id=id, spec=f"{self.package}:{file_of(id)}.toml") for id in self.ids]

    @hookimpl
    def egoscale_upgrade_declaration(self, declared: EmbodimentSpec, current: EmbodimentSpec) -> Any:
        self.asked.append((declared, current))
        return self.upgrade


@pytest.fixture
def make_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """Build a host whose installed plugin has the given specs, as TOML texts by id."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = "toys_" + "".join(c if c.isalnum() else "_" for c in request.node.name)
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").write_text("")

    def make(texts: dict[str, str], upgrade: Any = None) -> tuple[PluginHost, Acme]:
        for id, text in texts.items():
            (folder / f"{file_of(id)}.toml").write_text(text)
        plugin = Acme(package, tuple(texts), upgrade)
        return PluginHost({"acme": plugin}), plugin

    return make


HAND = toml("acme/hand@1")
RENAMED = HAND.replace("right_bend", "right_flex")


def test_the_same_spec_resolves_without_a_word(make_host: Any) -> None:
    host, plugin = make_host({"acme/hand@1": HAND})
    resolution = resolve_declaration(host, declaration_of(toy_spec()))
    assert resolution.spec == host.spec("acme/hand@1")
    assert resolution.notes == ()
    assert plugin.asked == []


def test_what_is_not_meaning_may_change(make_host: Any) -> None:
    host, _ = make_host({"acme/hand@1": HAND.replace("A toy hand", "The same hand, better described")})
    assert resolve_declaration(host, declaration_of(toy_spec())).notes == ()


def test_another_meaning_is_refused_with_what_differs(make_host: Any) -> None:
    host, plugin = make_host({"acme/hand@1": RENAMED})
    with pytest.raises(DeclarationError) as caught:
        resolve_declaration(host, declaration_of(toy_spec()))
    message = str(caught.value)
    assert "hands.right.joints[0].name: 'right_bend' (dataset) != 'right_flex' (installed)" in message
    assert "given in code 0" in message
    assert len(plugin.asked) == 1


def test_the_plugin_may_say_how_old_rows_are_read(make_host: Any) -> None:
    host, plugin = make_host({"acme/hand@1": RENAMED})
    plugin.upgrade = host.spec("acme/hand@1")
    resolution = resolve_declaration(host, declaration_of(toy_spec()))
    assert resolution.spec == host.spec("acme/hand@1")
    assert "are read as acme/hand@1, as its plugin says" in resolution.notes[0]


def test_an_earlier_generation_is_upgraded_or_refused(make_host: Any) -> None:
    host, plugin = make_host({"acme/hand@3": HAND.replace("hand@1", "hand@3")})
    with pytest.raises(DeclarationError, match="an earlier generation, with no upgrade offered"):
        resolve_declaration(host, declaration_of(toy_spec()))
    plugin.upgrade = host.spec("acme/hand@3")
    assert resolve_declaration(host, declaration_of(toy_spec())).spec.id == "acme/hand@3"


def test_an_alias_is_the_same_generation(make_host: Any) -> None:
    host, _ = make_host({"acme/hand@1": toml("acme/hand@1", aliases=("cog/toy@4",)).replace("cog/toy@1", "acme/toy@1")})
    resolution = resolve_spec(host, toy_spec(id="cog/toy@4").model_copy(update={"hands": toy_spec().hands}))
    assert resolution.spec.id == "acme/hand@1"
    assert resolution.notes == ()


def test_an_upgrade_may_not_change_the_columns(make_host: Any) -> None:
    one_column = HAND.replace(', { name = "slide", unit = "m" }', "").partition(
        '\n[[hands.joints]]\nname = "right_slide"'
    )[0]
    host, plugin = make_host({"acme/hand@1": one_column})
    plugin.upgrade = host.spec("acme/hand@1")
    with pytest.raises(DeclarationError, match="changes the stored columns: 11 of right become 10 of right"):
        resolve_declaration(host, declaration_of(toy_spec()))


def test_an_upgrade_of_the_wrong_kind_names_the_plugin(make_host: Any) -> None:
    host, _ = make_host({"acme/hand@1": RENAMED}, upgrade="acme/hand@1")
    with pytest.raises(PluginError, match=r"plugin 'acme'.*egoscale_upgrade_declaration must return an EmbodimentSpec"):
        resolve_declaration(host, declaration_of(toy_spec()))


def test_a_newer_generation_asks_for_a_newer_plugin(make_host: Any) -> None:
    host, _ = make_host({"acme/hand@1": HAND})
    with pytest.raises(DeclarationError, match=r"declares acme/hand@2, which is newer.*'egoscale-acme==1\.2\.3'"):
        resolve_declaration(host, declaration_of(toy_spec("acme/hand@2")))


def test_a_missing_plugin_is_named() -> None:
    with pytest.raises(UnknownIdError, match=r"namespace 'acme'.*pip install 'egoscale-acme==1\.2\.3'"):
        resolve_declaration(PluginHost({}), declaration_of(toy_spec()))
    provider = Provider(distribution="egoscale-acme", version="9")
    with pytest.raises(UnknownIdError, match="egoscale-acme==9"):
        resolve_spec(PluginHost({}), toy_spec(), provider, owner="checkpoint")


@pytest.mark.parametrize("field", ["action_fingerprint", "safety_digest"])
def test_a_declaration_that_contradicts_itself_is_refused(make_host: Any, field: str) -> None:
    host, _ = make_host({"acme/hand@1": HAND})
    with pytest.raises(DeclarationError, match=field):
        resolve_declaration(host, declaration_of(toy_spec(), **{field: digest("else")}))
    with pytest.raises(DeclarationError, match="embodiment is acme/other@1"):
        resolve_declaration(host, declaration_of(toy_spec(), embodiment="acme/other@1"))


class TestLimits:
    def test_the_narrower_win_and_it_is_said(self, make_host: Any) -> None:
        host, _ = make_host({"acme/hand@1": HAND.replace("upper_rad = 1.5", "upper_rad = 1.2\neffort_nm = 0.5")})
        declared = toy_spec(control={"rate_hz": 30.0, "wrist_speed_m_s": 2.0})
        resolution = resolve_declaration(host, declaration_of(declared))
        bend, slide = resolution.spec.hands[0].joints
        assert (bend.lower, bend.upper, bend.velocity, bend.effort_nm) == (-0.5, 1.2, 4.0, 0.5)
        assert slide.upper == 0.04
        assert (resolution.spec.control.rate_hz, resolution.spec.control.wrist_speed_m_s) == (30.0, 1.0)
        assert resolution.spec.hands[0].open_pose == ()
        (note,) = resolution.notes
        assert "joints.right_bend.upper_rad: 1.5 (dataset) != 1.2 (installed)" in note

    def test_the_open_pose_stays_within_them(self) -> None:
        hand = toy_spec().hands[0].model_copy(update={"open_pose": (1.4, 0.04)})
        wide = toy_spec().model_copy(update={"hands": (hand,)})
        bend = hand.joints[0].model_copy(update={"upper_rad": 1.0})
        narrow = wide.model_copy(update={"hands": (hand.model_copy(update={"joints": (bend, hand.joints[1])}),)})
        assert narrower_limits(wide, narrow).hands[0].open_pose == (1.0, 0.04)

    def test_ranges_that_exclude_each_other_are_refused(self, make_host: Any) -> None:
        text = HAND.replace("lower_rad = -0.5", "lower_rad = 1.6").replace("upper_rad = 1.5", "upper_rad = 2.0")
        host, _ = make_host({"acme/hand@1": text})
        with pytest.raises(DeclarationError, match="exclude each other"):
            resolve_declaration(host, declaration_of(toy_spec()))

    @given(st.floats(-1.5, -0.1), st.floats(0.1, 3.0), st.none() | st.floats(0.1, 9.0), st.floats(1, 200))
    def test_merging_narrows_and_is_the_same_either_way(
        self, lower: float, upper: float, speed: float | None, rate: float
    ) -> None:
        one = toy_spec()
        bend = (
            one.hands[0].joints[0].model_copy(update={"lower_rad": lower, "upper_rad": upper, "velocity_rad_s": speed})
        )
        hand = one.hands[0].model_copy(update={"joints": (bend, one.hands[0].joints[1])})
        control = one.control.model_copy(update={"rate_hz": rate})
        other = one.model_copy(update={"hands": (hand,), "control": control})
        merged = narrower_limits(one, other)
        assert safety_digest(merged) == safety_digest(narrower_limits(other, one))
        assert safety_digest(narrower_limits(merged, other)) == safety_digest(merged)
        assert action_fingerprint(merged) == action_fingerprint(one)
        joint = merged.hands[0].joints[0]
        assert joint.lower == max(lower, -0.5)
        assert joint.upper == min(upper, 1.5)
        assert joint.velocity == min(4.0, speed if speed is not None else 4.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)


class TestDifferences:
    @given(JSON, JSON)
    def test_there_is_none_exactly_if_the_digests_agree(self, a: Any, b: Any) -> None:
        assert (not diff_meaning(a, b)) == (digest(a) == digest(b))

    @given(JSON)
    def test_a_value_equals_itself(self, a: Any) -> None:
        assert diff_meaning(a, a) == []

    def test_each_kind_is_readable(self) -> None:
        a = action_meaning(toy_spec())
        b = action_meaning(toy_spec(base_frame="torso"))
        assert diff_meaning(a, b) == ["base_frame: 'world' (dataset) != 'torso' (installed)"]
        joints = {"joints": [{"name": "a"}, {"name": "b"}]}
        assert diff_meaning(joints, {"joints": [{"name": "b"}]}, a_is="checkpoint") == [
            "joints: 2 (checkpoint) != 1 (installed); only in checkpoint: a"
        ]
        assert diff_meaning({"x": 1}, {"y": 1}) == ["x: only in dataset", "y: only in installed"]
