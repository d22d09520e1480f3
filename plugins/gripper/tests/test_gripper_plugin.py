"""The plugin contributes what it says, and every spec loads."""

import pytest
from egoscale_gripper import plugin

from egoscale_sdk.specs import load_embodiment


@pytest.mark.parametrize("entry", plugin.egoscale_embodiments(), ids=lambda entry: entry.id)
def test_every_entry_loads_under_its_own_id_as_one_right_hand_of_one_joint(entry):
    spec = load_embodiment(entry.spec)
    assert spec.id == entry.id
    assert [(hand.side, hand.hand_space.dim) for hand in spec.hands] == [("right", 1)]
