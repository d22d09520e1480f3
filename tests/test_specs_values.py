"""Ids, digests and declarations as values: they survive JSON, and change exactly if what they stand for changes."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from egoscale_sdk.errors import SpecError
from egoscale_sdk.ids import Id, parse_id
from egoscale_sdk.specs import (
    ActionSetSpec,
    CameraStream,
    DatasetDeclaration,
    EmbodimentSpec,
    PoseSpec,
    Provider,
    RetargetingRecord,
    action_fingerprint,
    canonical_json,
    digest,
    safety_digest,
)
from tests.plugin_kit import declaration_of, toy_spec

WORD = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
IDS = st.builds(Id, WORD, WORD, st.none() | st.integers(1, 99999))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


class TestIds:
    @given(IDS)
    def test_an_id_survives_its_text(self, id: Id) -> None:
        assert parse_id(str(id)) == id

    @given(st.text(max_size=24))
    def test_a_text_is_an_id_or_refused(self, text: str) -> None:
        try:
            parsed = parse_id(text)
        except SpecError:
            return
        assert str(parsed) == text

    @pytest.mark.parametrize(
        "text",
        [
            *("", "hand", "a/b/c", "A/b", "a/B", "a/b@", "a/b@0", "a/b@01", "a/b@-1", "a/b@1.0", "a/b@1 ", "../b"),
            *("a/b\n", "a/b@1\n", "1a/b", "a/é", "a/b@" + "9" * 7, "a" * 65 + "/b", "a/b@١"),
        ],
    )
    def test_what_is_no_id(self, text: str) -> None:
        with pytest.raises(SpecError):
            parse_id(text)

    def test_a_file_states_the_generation(self) -> None:
        with pytest.raises(SpecError, match="namespace/name@N"):
            parse_id("acme/hand", versioned=True)


def shuffled(value: Any) -> Any:
    """Return the same JSON with every object's keys in reverse order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def negative_zero(value: Any) -> Any:
    """Return the same JSON with every 0.0 written as -0.0."""
    if isinstance(value, dict):
        return {key: negative_zero(item) for key, item in value.items()}
    if isinstance(value, list):
        return [negative_zero(item) for item in value]
    return -0.0 if isinstance(value, float) and value == 0 else value


class TestCanonicalJson:
    @given(JSON)
    def test_the_order_of_keys_does_not_count(self, value: Any) -> None:
        assert canonical_json(shuffled(value)) == canonical_json(value)

    @given(JSON)
    def test_the_sign_of_zero_does_not_count(self, value: Any) -> None:
        assert canonical_json(negative_zero(value)) == canonical_json(value)
        assert "-0.0" not in canonical_json([-0.0, {"a": -0.0}])

    @given(JSON)
    def test_it_is_json_of_the_same_value(self, value: Any) -> None:
        assert json.loads(canonical_json(value)) == value
        assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)

    @given(FLOATS)
    def test_every_float_is_told_from_its_neighbour(self, value: float) -> None:
        other = math.nextafter(value, math.inf)
        if math.isfinite(other) and not value == other == 0:
            assert digest(value) != digest(other)

    def test_tuples_are_lists_and_order_counts_in_them(self) -> None:
        assert digest((1, 2)) == digest([1, 2]) != digest([2, 1])

    @pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
    def test_what_is_no_number_is_refused(self, value: Any) -> None:
        with pytest.raises(ValueError):
            digest(value)

    def test_the_bytes_are_fixed(self) -> None:
        """A digest is stored in every dataset and checkpoint: it must never come out otherwise."""
        value = {"b": [1, 2.5, -0.0, 1e-07, 1e22], "a": {"é": None, "t": True}}
        assert canonical_json(value) == r'{"a":{"t":true,"\u00e9":null},"b":[1,2.5,0.0,1e-07,1e+22]}'
        assert digest(value) == "sha256:a521eed9050f9a0031cb33f27220c9d2b81ed8166bffebfb87f52b0b8af85290"


LIMITS = st.tuples(st.floats(-6, 0), st.floats(0, 6), st.none() | st.floats(0.01, 50))


@st.composite
def specs(draw: st.DrawFn) -> EmbodimentSpec:
    """Draw an embodiment with one or two jointed hands."""
    columns = [{"name": f"j{n}", "unit": draw(st.sampled_from(["rad", "m"]))} for n in range(draw(st.integers(1, 4)))]
    space = {"id": str(draw(IDS.filter(lambda id: id.version))), "columns": columns}
    hands = []
    for side in draw(st.sampled_from([("left",), ("right",), ("left", "right")])):
        joints = []
        for column in columns:
            (lower, upper, speed), unit = draw(LIMITS), column["unit"]
            figures = {f"lower_{unit}": lower, f"upper_{unit}": upper, f"velocity_{unit}_s": speed}
            kind = "revolute" if unit == "rad" else "prismatic"
            joints.append({"name": f"{side}_{column['name']}", "kind": kind} | figures)
        wrist = {"xyz_m": draw(st.tuples(*[st.floats(-1, 1)] * 3))}
        hands.append({"side": side, "hand_space": space, "joints": joints, "T_root_wrist": wrist})
    control = {"rate_hz": draw(st.floats(1, 1000)), "wrist_speed_m_s": draw(st.floats(0.01, 10))}
    id = str(draw(IDS.filter(lambda id: id.version)))
    return EmbodimentSpec.model_validate(
        {"id": id, "title": draw(st.text(max_size=8)), "kind": "robot", "hands": hands, "control": control}
    )


@st.composite
def declarations(draw: st.DrawFn) -> DatasetDeclaration:
    """Draw a declaration with a native and perhaps a derived action set, cameras, and notes in any script."""
    spec, target = draw(specs()), draw(specs())
    plain = declaration_of(spec)
    derived = ActionSetSpec(
        name="derived",
        embodiment=target.id,
        action_fingerprint=action_fingerprint(target),
        hand_spaces=target.hand_spaces,
        action_source="observed",
        lead_s=draw(st.floats(-1, 1)),
        spec=target,
        retargeting=RetargetingRecord(
            retargeter="acme/own@1",
            version="1",
            provider=Provider(distribution="acme", version="2"),
            parameters=draw(st.dictionaries(st.text(max_size=3), FLOATS | st.text(max_size=3), max_size=2)),
        ),
    )
    sets = (plain.native, derived) if draw(st.booleans()) else (plain.native,)
    cameras = tuple(
        CameraStream(name=name, height_px=draw(st.integers(1, 8192)), width_px=64)
        for name in draw(st.lists(WORD, max_size=2, unique=True))
    )
    words = tuple(draw(st.lists(st.text(max_size=6), max_size=2)))
    fps = draw(st.floats(0.1, 1000))
    return declaration_of(spec, action_sets=sets, cameras=cameras, assumptions=words, fps=fps, source=draw(st.text()))


class TestDeclarations:
    @given(declarations())
    def test_a_declaration_survives_json(self, declaration: DatasetDeclaration) -> None:
        text = json.dumps(declaration.model_dump(mode="json"), allow_nan=False)
        again = DatasetDeclaration.model_validate_json(text)
        assert again == declaration == DatasetDeclaration.model_validate(json.loads(text))
        assert action_fingerprint(again.spec) == declaration.action_fingerprint
        assert safety_digest(again.spec) == declaration.safety_digest
        assert again.native.layout == declaration.native.layout
        assert digest(again.model_dump(mode="json")) == digest(declaration.model_dump(mode="json"))

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"colour": "red"}, "colour"),
            ({"fps": 0.0}, "fps"),
            ({"fps": math.inf}, "fps"),
            ({"embodiment": "acme/hand"}, "acme/hand"),
            ({"action_sets": ()}, "action_sets"),
            ({"kind": "ghost"}, "kind"),
        ],
    )
    def test_a_malformed_one_names_its_field(self, change: dict[str, Any], words: str) -> None:
        with pytest.raises((ValidationError, SpecError), match=words):
            DatasetDeclaration.model_validate(declaration_of(toy_spec()).model_dump() | change)

    def test_the_native_set_comes_first_and_names_differ(self) -> None:
        native = declaration_of(toy_spec()).native
        with pytest.raises(ValidationError, match="'native' occurs 2 times"):
            declaration_of(toy_spec(), action_sets=(native, native))
        with pytest.raises(ValidationError, match="the first action set is 'native'"):
            declaration_of(toy_spec(), action_sets=(native.model_copy(update={"name": "other"}),))

    def test_it_cannot_be_changed(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            declaration_of(toy_spec()).fps = 5.0  # type: ignore[misc]


class TestFingerprints:
    @given(specs())
    def test_words_and_limits_are_no_meaning(self, spec: EmbodimentSpec) -> None:
        control = spec.control.model_copy(update={"rate_hz": spec.control.rate_hz / 2})
        other = spec.model_copy(update={"title": "else", "license": "else", "control": control})
        assert action_fingerprint(other) == action_fingerprint(spec)
        assert safety_digest(other) != safety_digest(spec)

    @given(specs(), st.integers(0, 3))
    def test_every_meaning_counts(self, spec: EmbodimentSpec, which: int) -> None:
        hand = spec.hands[0]
        moved = PoseSpec(xyz_m=(hand.T_root_wrist.xyz_m[0] + 0.001, *hand.T_root_wrist.xyz_m[1:]))
        renamed = hand.joints[0].model_copy(update={"name": "renamed"})
        change: dict[str, Any] = [
            {"base_frame": "torso"},
            {"hands": (hand.model_copy(update={"T_root_wrist": moved}), *spec.hands[1:])},
            {"hands": (hand.model_copy(update={"joints": (renamed, *hand.joints[1:])}), *spec.hands[1:])},
            {"action": spec.action.model_copy(update={"wrist": "none"})},
        ][which]
        assert action_fingerprint(spec.model_copy(update=change)) != action_fingerprint(spec)
