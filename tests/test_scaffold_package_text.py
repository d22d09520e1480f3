"""What the scaffold writes reads back as exactly the same values: TOML, URDF, and whole hands."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egoscale_sdk.scaffold.spec_text import hand_toml, space_toml
from egoscale_sdk.scaffold.toml_text import tables_text, toml_text
from egoscale_sdk.scaffold.urdf_text import urdf_text
from egoscale_sdk.specs import KinematicTree, load_embodiment, parse_embodiment, parse_urdf
from egoscale_sdk.specs.urdf import KINDS

DATA = Path(__file__).resolve().parents[1] / "embodiments/egoscale_embodiments"
SPECS = [load_embodiment(f"egoscale_embodiments:{path.parent.name}/embodiment.toml") for path in DATA.glob("*/e*.toml")]
HANDS = {f"{hand.hand_space.id}-{hand.side}": hand for spec in SPECS for hand in spec.hands}
each_hand = pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)

numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.text() | numbers | st.booleans() | st.integers(-(2**62), 2**62)
tables = st.recursive(
    st.dictionaries(st.text(min_size=1), scalars, max_size=4),
    lambda inner: st.dictionaries(
        st.text(min_size=1), scalars | inner | st.lists(inner, max_size=3) | st.lists(scalars, max_size=3), max_size=4
    ),
    max_leaves=20,
)


@given(tables)
def test_any_table_reads_back_as_it_was(table):
    assert tomllib.loads(toml_text(table)) == table


@given(st.lists(tables, min_size=1, max_size=3), st.text())
def test_any_array_of_tables_reads_back_whatever_the_comment_says(found, note):
    assert tomllib.loads(tables_text("some", found, [note])) == {"some": found}


@given(st.text())
def test_no_comment_spoils_what_follows(note):
    assert tomllib.loads(toml_text({"x": 1.5}, {"x": note})) == {"x": 1.5}


def test_one_joint_a_line_and_comments_above():
    table = {"joints": [{"name": "a", "lower_rad": -0.1}, {"name": "b", "lower_rad": 0.0}]}
    assert toml_text(table, {"joints": "Guessed."}) == (
        '# Guessed.\njoints = [\n  { name = "a", lower_rad = -0.1 },\n  { name = "b", lower_rad = 0.0 },\n]\n'
    )


@each_hand
def test_every_shipped_hand_is_written_and_read_back_equal(hand):
    table = tomllib.loads(hand_toml(hand, title="A hand.", comments={"fingers": "Guessed."}))
    assert table["hand_space"] == "space.toml"
    table["hand_space"] = tomllib.loads(space_toml(hand.hand_space))
    if hand.tree:
        assert table["urdf"] == f"{hand.side}.urdf"
        table |= {"tree": parse_urdf(urdf_text(hand.tree, name="hand")), "urdf": hand.urdf}
    around = {"id": "acme/hand@1", "title": "", "kind": "robot", "control": {"rate_hz": 1.0}, "hands": [table]}
    assert parse_embodiment(around, source="written").hands == (hand,)


@each_hand
def test_every_shipped_tree_is_written_with_its_limits_and_read_back_equal(hand):
    if hand.tree:
        text = urdf_text(hand.tree, name='a "hand" & more', joints=hand.joints, note="a -- b --> c\x00")
        assert parse_urdf(text) == hand.tree
        assert text.count("<limit ") == sum(joint.lower is not None for joint in hand.joints)


@given(st.lists(st.tuples(st.sampled_from(KINDS), *[st.floats(-9, 9)] * 9), min_size=1, max_size=6))
def test_any_tree_is_written_and_read_back_equal(rows):
    joints = []
    for index, (kind, *figures) in enumerate(rows):
        axis = (
            np.array(figures[6:]) if kind != "fixed" and np.linalg.norm(figures[6:]) > 1e-3 else np.array([1.0, 0, 0])
        )
        axis = axis / np.linalg.norm(axis)
        joints.append(
            {"name": f"j{index}", "kind": kind, "parent": f"l{index}", "child": f"l{index + 1}", "axis": tuple(axis)}
            | {"xyz_m": figures[:3], "rpy_rad": figures[3:6]}
            | ({"mimic": {"joint": "j0", "multiplier": figures[0], "offset": figures[1]}} if index else {})
        )
    tree = KinematicTree.model_validate({"root": "l0", "joints": joints})
    assert parse_urdf(urdf_text(tree, name="hand")) == tree
