"""The plugin contributes what it says, and every spec loads."""

import pytest
from egoscale_unitree import plugin

from egoscale_sdk.specs import load_embodiment


@pytest.mark.parametrize("entry", plugin.egoscale_embodiments(), ids=lambda entry: entry.id)
def test_every_entry_loads_under_its_own_id(entry):
    assert load_embodiment(entry.spec).id == entry.id


def test_both_hang_their_hands_on_the_same_arms():
    arms = [load_embodiment(entry.spec).arms for entry in plugin.egoscale_embodiments()]
    assert [arm.joints for arm in arms[0]] == [arm.joints for arm in arms[1]]
