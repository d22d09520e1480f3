"""Between a device's own values and joint values: order, sign, scale and offset, there and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_arm import toy_arm

from egoscale_sdk.specs import WireJoint, WireSpec

figures = st.builds(
    dict,
    sign=st.sampled_from([-1, 1]),
    scale=st.floats(1e-4, 100),
    offset=st.floats(-10, 10),
)
wires = st.lists(figures, min_size=1, max_size=8).map(
    lambda rows: WireSpec(
        device="d",
        part="right_hand",
        joints=tuple(WireJoint(joint=f"j{n}", **row) for n, row in enumerate(rows)),
    )
)


@given(wires, st.integers(0, 2**32 - 1))
def test_encoding_undoes_decoding(wire, seed):
    q = np.random.default_rng(seed).uniform(-3, 3, (5, len(wire.joints)))
    np.testing.assert_allclose(wire.decode(wire.encode(q)), q, atol=1e-9)


@given(st.permutations(range(5)), st.integers(0, 2**32 - 1))
def test_columns_bring_the_wire_into_the_order_of_the_spec_and_back(order, seed):
    names = ["a", "b", "c", "d", "e"]
    wire = WireSpec(device="d", part="right_hand", joints=tuple(WireJoint(joint=names[n]) for n in order))
    q = np.random.default_rng(seed).uniform(-1, 1, 5)
    native = wire.encode(q[wire.columns(names)])
    assert [native[n] for n in range(5)] == [q[names.index(joint.joint)] for joint in wire.joints]
    back = np.zeros(5)
    back[wire.columns(names)] = wire.decode(native)
    np.testing.assert_array_equal(back, q)


def test_the_formula_is_the_documented_one():
    wire = toy_arm().wires[0]  # slide: 0.04 m per unit; bend: 1 rad less 0.01 rad per percent
    np.testing.assert_allclose(wire.decode([0.5, 25.0]), [0.02, 0.75])
    np.testing.assert_allclose(wire.encode([0.02, 0.75]), [0.5, 25.0])


def test_ranges_that_are_not_given_are_infinite():
    wire = WireSpec(device="d", part="right_hand", joints=(WireJoint(joint="a", native_lower=0), WireJoint(joint="b")))
    lower, upper = wire.native_range
    assert lower.tolist() == [0, -np.inf]
    assert upper.tolist() == [np.inf, np.inf]


def test_another_number_of_values_is_refused():
    wire = toy_arm().wires[0]
    for convert in (wire.decode, wire.encode):
        with pytest.raises(ValueError, match="'fingers' has 2 values"):
            convert([1.0, 2.0, 3.0])
