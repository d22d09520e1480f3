"""Pictures and reports: one file that needs nothing else, every text escaped, skeletons in the canonical wrist axes."""

import base64
import re
from xml.etree.ElementTree import fromstring

import human_hand
import numpy as np
import pytest

from egoscale_sdk.errors import MissingExtraError
from egoscale_sdk.host import default_host
from egoscale_sdk.viewer.figures import FINGER_COLOURS, curves_figure, film_strip, hands_figure
from egoscale_sdk.viewer.report import Report
from egoscale_sdk.viewer.skeletons import human_skeleton, robot_skeleton
from egoscale_sdk.viewer.svg import drawn_hands

SVG = "{http://www.w3.org/2000/svg}"
PNG = b"\x89PNG\r\n\x1a\n"


def png(uri: str) -> bytes:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data, validate=True)


def test_a_persons_skeleton_is_twenty_bones_from_the_wrist_outwards():
    hand = human_hand.right_hand(np.zeros(4))
    skeleton = human_skeleton(hand, "person")
    assert skeleton.segments.shape == (20, 2, 3)
    assert len(skeleton.colours) == 20
    assert sum(not segment[0].any() for segment in skeleton.segments) == 5  # one chain a finger


@pytest.mark.parametrize(("name", "fingers"), [("sharpa/wave", 5), ("unitree/g1_dex3", 3), ("unitree/g1_inspire", 5)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_robots_skeleton_stands_in_the_same_axes_as_a_persons(name, fingers, side):
    hand = default_host().spec(name).hand(side)
    skeleton = robot_skeleton(hand, np.array(hand.open_pose), "robot")
    assert skeleton.segments.shape == (len(hand.tree.joints), 2, 3)
    assert 0.15 < skeleton.segments[..., 2].max() < 0.22  # fingers along +z, as long as a person's
    assert len(set(skeleton.colours)) == fingers
    thumb_side = skeleton.segments[..., 1].max() > -skeleton.segments[..., 1].min()
    if name == "sharpa/wave":  # whose thumb stands out farthest
        assert thumb_side == (side == "right")


def test_hands_and_curves_and_frames_are_pictures():
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra viewer)")
    skeleton = human_skeleton(human_hand.right_hand(np.zeros(4)), "person")
    assert png(hands_figure([[skeleton, skeleton], [skeleton]])).startswith(PNG)
    assert png(curves_figure({"loss": (np.arange(5), np.ones(5))}, "loss")).startswith(PNG)
    frames = [np.full((6, 8, 3), 40 * n, np.uint8) for n in range(3)]
    width, height = (int.from_bytes(png(film_strip(frames, 12))[at : at + 4]) for at in (16, 20))
    assert height == 12
    assert width >= 3 * 8 * 2  # twice as large, with gaps between


def test_without_matplotlib_the_pip_line_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'egoscale-sdk\[viewer\]'"):
        curves_figure({}, "loss")


def test_a_report_is_one_page_in_which_no_text_is_markup(tmp_path):
    report, evil = Report("<b>title</b>"), '<script>alert("&")</script>'
    report.heading(evil)
    report.text(evil)
    report.code(evil)
    report.picture("data:image/png;base64,AAAA", f'" onload="{evil}')
    report.table([evil, "n"], [[evil, 0.12345], ["row", 7]])
    report.write(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>" not in page
    assert not re.search(r'"\s+onload=', page)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert '<td class="n">0.123</td>' in page


def svg(uri):
    head, _, data = uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    return fromstring(base64.b64decode(data, validate=True))


def test_drawn_hands_are_svg_that_moves_if_there_are_several_moments():
    moments = [[human_skeleton(human_hand.right_hand(np.full(4, bend)), "<a> & b")] * 2 for bend in (0.0, 0.5, 1.0)]
    moving, still = svg(drawn_hands(moments, fps=10)), svg(drawn_hands(moments[:1]))
    assert {text.text for text in moving.iter(SVG + "text")} == {"<a> & b"}
    animations = list(moving.iter(SVG + "animate"))
    assert len(animations) == 2 * 6  # palm and five fingers, twice
    assert {len(a.get("values").split(";")) for a in animations} == {3}
    assert {a.get("dur") for a in animations} == {"0.300s"}
    assert not list(still.iter(SVG + "animate"))
    assert len(list(still.iter(SVG + "path"))) == 2 * 6


def test_a_right_hand_is_drawn_with_its_thumb_on_the_right():
    drawing = svg(drawn_hands([[human_skeleton(human_hand.right_hand(np.zeros(4)), "person")]]))
    path = next(path.get("d") for path in drawing.iter(SVG + "path") if path.get("stroke") == FINGER_COLOURS[0])
    pinky = next(path.get("d") for path in drawing.iter(SVG + "path") if path.get("stroke") == FINGER_COLOURS[4])
    ends = [float(text.split("L")[-1].split()[0]) for text in (path, pinky)]
    assert ends[0] > ends[1]
