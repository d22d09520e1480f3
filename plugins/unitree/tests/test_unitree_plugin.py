"""The plugin's embodiments keep the contract, every clause of it; after that, what only this plugin promises."""

from egoscale_unitree import plugin

from egoscale_sdk.specs import load_embodiment
from egoscale_sdk.testing import EmbodimentSuite


class TestG1Dex3(EmbodimentSuite):
    embodiment_id = "unitree/g1_dex3@1"


class TestG1Inspire(EmbodimentSuite):
    embodiment_id = "unitree/g1_inspire@1"


def test_both_hang_their_hands_on_the_same_arms():
    arms = [load_embodiment(entry.spec).arms for entry in plugin.egoscale_embodiments()]
    assert [arm.joints for arm in arms[0]] == [arm.joints for arm in arms[1]]
