"""The plugin's embodiments keep the contract, every clause of it; after that, what only this plugin promises."""

from egoscale_human import plugin

from egoscale_sdk.specs import load_embodiment
from egoscale_sdk.testing import EmbodimentSuite


class TestHands(EmbodimentSuite):
    embodiment_id = "human/hands@1"


def test_people_are_human():
    (entry,) = plugin.egoscale_embodiments()
    assert load_embodiment(entry.spec).kind == "human"
