"""The plugin that docs/write-a-plugin.md builds really works, file by file as printed."""

import re
import sys
from pathlib import Path

import human_hand
import pytest
import torch

from egoscale_sdk.host import PluginHost
from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.retargeting import KeypointRetargeter

PAGE = Path(__file__).parents[1] / "docs/write-a-plugin.md"


@pytest.fixture
def acme(tmp_path, monkeypatch):
    for path, text in re.findall(r"```\w+\n(?:#|<!--) file: (\S+)(?: -->)?\n(.*?)```", PAGE.read_text(), re.S):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "egoscale_acme/__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import egoscale_acme.plugin

    yield PluginHost(plugins={"acme": egoscale_acme.plugin})
    for name in [name for name in sys.modules if name.startswith("egoscale_acme")]:
        del sys.modules[name]


def test_the_page_makes_an_embodiment(acme):
    spec = acme.spec("acme/pinch")
    assert spec.id == "acme/pinch@1"
    embodiment = SpecEmbodiment(spec)
    poses = embodiment.forward_kinematics(torch.zeros(2, dtype=torch.float64))
    at = {frame.name: pose[:3, 3].tolist() for frame, pose in zip(embodiment.frames, poses, strict=True)}
    assert at["finger_tip"] == pytest.approx([0.0, 0.0, 0.17])


def test_its_fingers_close_when_a_person_closes_theirs(acme):
    retargeter = KeypointRetargeter(acme.spec("acme/pinch").hand("right"))
    person = torch.tensor([human_hand.right_hand([f] * 4).tolist() for f in (0.0, 0.5, 1.0)])
    joints = retargeter.retarget(person[:, None]).joints[:, 0]  # three clips of one frame
    assert joints[0, 1] < 0.2 < joints[1, 1] < joints[2, 1]
