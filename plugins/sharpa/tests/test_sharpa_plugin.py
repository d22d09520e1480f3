"""The plugin's embodiments keep the contract, every clause of it; after that, what only this plugin promises."""

from egoscale_sharpa import plugin

from egoscale_sdk.specs import load_embodiment
from egoscale_sdk.testing import EmbodimentSuite


class TestWave(EmbodimentSuite):
    embodiment_id = "sharpa/wave@1"


class TestR1ProWave(EmbodimentSuite):
    embodiment_id = "sharpa/r1pro_wave@1"


def test_both_embodiments_share_one_hand_space():
    spaces = [load_embodiment(entry.spec).hand_spaces for entry in plugin.egoscale_embodiments()]
    assert spaces[0] == spaces[1]
