"""A URDF is somebody else's file: what is not a plain tree of known joints is refused in one line."""

import pytest

from egoscale_sdk.errors import SpecError
from egoscale_sdk.specs import parse_urdf

A_B = '<link name="a"/><link name="b"/>'
JOINT = '<joint name="j" type="revolute"><parent link="a"/><child link="b"/>{}</joint>'


def robot(body: str) -> str:
    return f'<robot name="r">{body}</robot>'


def joint(name: str, parent: str, child: str, kind: str = "fixed") -> str:
    return f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/></joint>'


def chain_of(count: int) -> str:
    links = "".join(f'<link name="l{n}"/>' for n in range(count + 1))
    return robot(links + "".join(joint(f"j{n}", f"l{n}", f"l{n + 1}") for n in range(count)))


BOMB = '<!DOCTYPE r [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;">]>' + robot('<link name="&b;"/>')
OUTSIDE = '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + robot('<link name="&a;"/>')

REFUSED = {
    "not xml": ("{}", "not well-formed"),
    "empty": ("", "not well-formed"),
    "truncated": ("<robot><link", "not well-formed"),
    "entity bomb": (BOMB, "entities"),
    "outside entity": (OUTSIDE, "entities"),
    "too large": (robot(" " * (9 * 2**20)), "larger than"),
    "10,000 joints": (chain_of(10_000), "10000 joints; at most 512"),
    "no link": (robot(""), "has no <link>"),
    "two roots": (robot(A_B), "exactly one root link, has 2"),
    "cycle of two": (
        robot(A_B + joint("j", "a", "b") + joint("k", "b", "a")),
        "has no root link: its joints form a circle, b -> a -> b",
    ),
    "parent that is no link": (
        robot('<link name="b"/>' + joint("j", "ghost", "b")),
        "has no root link: the parent 'ghost' of a joint is no <link>",
    ),
    "cycle beside a root": (
        robot(A_B + '<link name="c"/>' + joint("j", "b", "c") + joint("k", "c", "b")),
        "not connected to the root 'a'",
    ),
    "joint named twice": (robot(A_B + '<link name="c"/>' + joint("j", "a", "b") + joint("j", "b", "c")), "'j' occurs"),
    "link with two parents": (
        robot(A_B + '<link name="c"/>' + joint("j", "a", "b") + joint("k", "b", "c") + joint("i", "a", "c")),
        "child link 'c' occurs",
    ),
    "floating joint": (robot(A_B + joint("j", "a", "b", "floating")), "'floating' is not supported; allowed: revolute"),
    "no parent": (robot(A_B + '<joint name="j" type="fixed"><child link="b"/></joint>'), "joint 'j'"),
    "two limits": (robot(A_B + JOINT.format('<limit upper="1"/><limit upper="2"/>')), "several <limit>"),
    "NaN origin": (robot(A_B + JOINT.format('<origin xyz="0 nan 0"/>')), "xyz needs three finite numbers"),
    "two numbers": (robot(A_B + JOINT.format('<origin rpy="0 0"/>')), "rpy needs three finite numbers"),
    "words": (robot(A_B + JOINT.format('<origin xyz="x y z"/>')), "could not convert"),
    "infinite axis": (robot(A_B + JOINT.format('<axis xyz="inf 0 0"/>')), "xyz needs three finite numbers"),
    "axis of no length": (robot(A_B + JOINT.format('<axis xyz="0 0 0"/>')), "axis has no length"),
    "NaN mimic": (robot(A_B + JOINT.format('<mimic joint="k" multiplier="nan"/>')), "joint 'j'"),
}


@pytest.mark.parametrize(("text", "complaint"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_in_one_line_that_names_the_file(text, complaint):
    with pytest.raises(SpecError) as caught:
        parse_urdf(text, source="hand.urdf")
    message = str(caught.value)
    assert message.startswith("hand.urdf")
    assert complaint in message
    assert "\n" not in message


def test_what_is_not_kinematics_is_not_looked_at():
    plain = parse_urdf(robot(A_B + JOINT.format('<axis xyz="0 0 2"/>')))
    noisy = parse_urdf(
        robot(
            '<material name="m"/><link name="a"><visual><geometry><mesh filename="/etc/passwd"/></geometry></visual>'
            '</link><link name="b"/>' + JOINT.format('<axis xyz="0 0 2"/><limit lower="-1" upper="1"/>')
        )
    )
    assert plain == noisy
    assert plain.joints[0].axis == (0.0, 0.0, 1.0)


def test_512_joints_are_still_read():
    assert len(parse_urdf(chain_of(512)).links) == 513
