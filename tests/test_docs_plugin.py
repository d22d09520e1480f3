"""The plugin that docs/write-a-plugin.md builds really works, file by file as printed."""

import re
import sys
import types
from pathlib import Path

import human_hand
import numpy as np
import pytest
import torch

from egoscale_sdk.errors import EgoscaleError
from egoscale_sdk.host import PluginHost
from egoscale_sdk.interfaces import RobotCommand
from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.retargeting import KeypointRetargeter
from egoscale_sdk.testing import check_plugin
from egoscale_sdk.testing.subject import Subject

PAGE = Path(__file__).parents[1] / "docs/write-a-plugin.md"
FILE = re.compile(r"```\w+\n(?:#|<!--) file: ([^\s,]+)(?:, at its end)?(?: -->)?\n(.*?)```", re.S)


@pytest.fixture(scope="module")
def acme(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acme")
    for path, text in FILE.findall(PAGE.read_text()):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as opened:
            opened.write("\n" + text)
    (folder / "egoscale_acme/__init__.py").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
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


class Line:
    """The far end of the page's serial line: it speaks the two messages, and keeps to targets at once."""

    def __init__(self, port, baud, timeout):
        self.values, self.answer, self.port = b"\0\0\0\0", b"", port

    def write(self, message):
        if message == b"?":
            self.answer = self.values
        else:
            assert message[:1] == b"!"
            self.values = message[1:]

    def read(self, count):
        return self.answer[:count]

    def close(self):
        self.values = b""


@pytest.fixture
def serial(monkeypatch):
    lines = []
    module = types.ModuleType("serial")
    module.Serial = lambda *args, **settings: lines.append(Line(*args, **settings)) or lines[-1]
    monkeypatch.setitem(sys.modules, "serial", module)
    return lines


def test_its_driver_speaks_tenths_of_a_degree_finger_first(acme, serial):
    spec = acme.spec("acme/pinch")
    driver = acme.driver("acme", spec, port="/dev/ttyUSB0")
    driver.connect()
    driver.write(RobotCommand({"right": np.eye(4)}, {"right": np.radians([30.0, 45.0])}))  # thumb, finger
    assert np.frombuffer(serial[0].values, "<i2").tolist() == [-450, 300]
    assert driver.read().hands["right"] == pytest.approx(np.radians([30.0, 45.0]))
    with pytest.raises(EgoscaleError, match="finger_bend"):
        driver.write(RobotCommand({"right": np.eye(4)}, {"right": np.array([0.0, 1.6])}))
    driver.stop()


def test_a_dead_line_is_an_error(acme, serial):
    driver = acme.driver("acme", acme.spec("acme/pinch"), port="/dev/ttyUSB0")
    driver.connect()
    serial[0].values = b"\0"
    with pytest.raises(OSError, match="1 of 4 bytes"):
        driver.read()


@pytest.mark.slow
def test_it_keeps_the_contract_and_its_own_check(acme):
    sections = check_plugin(acme, "acme").sections
    results = {result.id: result for section in sections for result in section.results if result.id[:3] != "PLG"}
    failed = {id: result.detail for id, result in results.items() if result.status == "failed"}
    assert sorted(failed) == ["SPEC011", "SPEC014"], failed
    ran = {result.id for result in results.values() if result.status == "passed"}
    assert {"DRV004", "DRV009", "SEN002", "RET010", "acme/cup@1"} <= ran


def test_its_own_check_can_fail(acme, monkeypatch):
    import egoscale_acme.checks

    monkeypatch.setattr(egoscale_acme.checks, "CUP_M", 0.1)
    embodiment = Subject(acme, "acme", "acme/pinch@1").embodiment
    with pytest.raises(EgoscaleError, match="83 mm apart, a cup has 100 mm"):
        egoscale_acme.checks.opens_for_a_cup(embodiment)


def test_every_link_of_the_pages_leads_somewhere():
    pages = [PAGE.parents[1] / "README.md", PAGE.parents[1] / "CONTRIBUTING.md", *PAGE.parent.glob("*.md")]
    for page in pages:
        for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]*))?\)", page.read_text()):
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name}: {target}"
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.M) if anchor else []
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not anchor or anchor in slugs, f"{page.name}: {target}#{anchor}"
