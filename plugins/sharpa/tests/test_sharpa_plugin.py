"""The plugin contributes what it says, and every spec loads."""

import pytest
from egoscale_sharpa import plugin

from egoscale_sdk.specs import load_embodiment


@pytest.mark.parametrize("entry", plugin.egoscale_embodiments(), ids=lambda entry: entry.id)
def test_every_entry_loads_under_its_own_id(entry):
    assert load_embodiment(entry.spec).id == entry.id


def test_both_embodiments_share_one_hand_space():
    spaces = [load_embodiment(entry.spec).hand_spaces for entry in plugin.egoscale_embodiments()]
    assert spaces[0] == spaces[1]
