"""The score card as a page: one file, failures first, a picture of every hand, and no text of a plugin is markup."""

import base64
import re
from html import unescape
from importlib.util import find_spec

import numpy as np
import pytest

from egoscale_sdk.errors import MissingExtraError
from egoscale_sdk.host import PluginHost, default_host
from egoscale_sdk.testing import check_plugin
from egoscale_sdk.testing.fakes import NAMESPACE, good
from egoscale_sdk.testing.html import write_html
from egoscale_sdk.testing.pictures import gestures_picture
from egoscale_sdk.testing.run import CheckResult, Report, Section
from egoscale_sdk.testing.subject import Subject
from egoscale_sdk.viewer.solids import solid

EVIL = '<script>alert("&")</script>'
FAKE = PluginHost({NAMESPACE: "egoscale_sdk.testing.fakes.plugin"})

needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib (extra viewer)")


def result(id, status, level="must", **changes):
    texts = {"title": f"clause {id}", "detail": f"found {id}"} | changes
    return CheckResult(id=id, level=level, status=status, **texts)


def report(*results, subject="fake/hand@1", **changes):
    head = {"namespace": "fake", "distribution": "egoscale-fake", "version": "1.2", "sdk": "3.4"} | changes
    return Report(**head, sections=(Section(subject=subject, fingerprint="sha256:12", results=results),))


def page_of(report, tmp_path, host=FAKE):
    write_html(report, host, tmp_path / "card.html")
    return (tmp_path / "card.html").read_text(encoding="utf-8")


@needs_matplotlib
def test_the_page_says_everything_and_needs_nothing_else(tmp_path):
    failed = result("RET009", "failed", mend="bend it", traceback="Traceback: here")
    page = page_of(report(result("KIN001", "passed"), result("SIM001", "skipped"), failed), tmp_path)
    for text in ("egoscale-fake 1.2", "egoscale-sdk 3.4", "fake/hand@1", "sha256:12", "fake/three_fingers@1"):
        assert text in unescape(page)
    for text in ("BREAKS 1 must clause: 1 passed, 1 failed, 1 do not apply", "bend it", "Traceback: here"):
        assert text in unescape(page)
    assert page.index("found RET009") < page.index("found KIN001") < page.index("found SIM001")
    assert page.count('src="data:image/png;base64,') == 2, "a picture for each hand"
    assert not re.search(r'(src|href)="(?!data:)|@import|url\(', page)


@needs_matplotlib
def test_no_text_of_a_plugin_is_markup(tmp_path, monkeypatch):
    evil = good().spec.model_copy(update={"title": EVIL})
    monkeypatch.setattr(Subject, "spec", evil)
    item = result("ACME001", "failed", detail=EVIL, mend=EVIL, traceback=EVIL, title=EVIL)
    page = page_of(report(item, distribution=EVIL, version=EVIL), tmp_path)
    assert "<script" not in page
    assert unescape(page).count(EVIL) > 5


@needs_matplotlib
def test_a_hand_that_cannot_be_drawn_says_why(tmp_path, monkeypatch):
    def broken(self):
        raise RuntimeError(EVIL)

    monkeypatch.setattr(Subject, "retargeters", property(broken))
    page = page_of(report(result("KIN001", "passed")), tmp_path)
    assert "<script" not in page
    assert "No picture of fake/hand@1, left hand: RuntimeError" in page


@needs_matplotlib
def test_a_plugin_that_does_not_load_has_a_page_without_pictures(tmp_path):
    host = PluginHost({"broken": "no_such_module_at_all"})
    page = page_of(check_plugin(host, "broken", only=["PLG"]), tmp_path, host)
    assert "BREAKS" in page
    assert "<img" not in page


@needs_matplotlib
@pytest.mark.parametrize(("name", "side"), [("unitree/g1_inspire", "left"), ("gripper/panda", "right")])
def test_hands_and_grippers_are_drawn(name, side):
    picture = gestures_picture(Subject(default_host(), name.split("/")[0], f"{name}@1"), side)
    data = base64.b64decode(picture.partition(",")[2], validate=True)
    width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))
    assert 800 < width < 3000
    assert 300 < height < 1500


def test_bodies_stand_in_the_wrist_frame_and_links_without_bodies_are_lines():
    hand = good().spec.hand("right")
    poses = good().oracles["right"].poses({})
    drawn = solid(hand, poses)
    assert len(drawn.shapes) == len(hand.bodies)
    assert len(drawn.tips) == len(hand.fingers)
    assert 0.1 < drawn.tips[:, 2].max() < 0.2, "fingers point along +z"
    bare = solid(hand.model_copy(update={"bodies": ()}), poses)
    assert len(bare.shapes) == len(hand.tree.joints)
    np.testing.assert_allclose(bare.tips, drawn.tips)


def test_without_matplotlib_the_pip_line_is_said_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'egoscale-sdk\[viewer\]'"):
        write_html(report(result("KIN001", "passed")), FAKE, tmp_path / "card.html")
    assert not (tmp_path / "card.html").exists()
