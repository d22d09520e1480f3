"""The plugin's embodiments keep the contract, every clause of it; after that, what only this plugin promises."""

import pytest
from egoscale_gripper import plugin

from egoscale_sdk.specs import load_embodiment
from egoscale_sdk.testing import EmbodimentSuite


class TestParallel(EmbodimentSuite):
    embodiment_id = "gripper/parallel@1"


class TestPanda(EmbodimentSuite):
    embodiment_id = "gripper/panda@1"


class TestRobotiq2F85(EmbodimentSuite):
    embodiment_id = "gripper/robotiq_2f85@1"


class TestWSG50(EmbodimentSuite):
    embodiment_id = "gripper/wsg50@1"


@pytest.mark.parametrize("entry", plugin.egoscale_embodiments(), ids=lambda entry: entry.id)
def test_every_gripper_is_one_right_hand_of_one_joint(entry):
    assert [(hand.side, hand.hand_space.dim) for hand in load_embodiment(entry.spec).hands] == [("right", 1)]
