"""The kit's own forward kinematics: an oracle that agrees with a second, separately written one."""

import numpy as np
import pytest

from egoscale_sdk.errors import SpecError
from egoscale_sdk.specs import JointSpec, KinematicTree, MimicSpec, TreeJoint, parse_urdf
from egoscale_sdk.testing.numpy_fk import NumpyKinematics
from tests.numpy_fk import NumpyFK

URDF = """<robot name="toy">
<link name="palm"/><link name="a"/><link name="b"/><link name="c"/><link name="tip"/>
<joint name="turn" type="revolute"><parent link="palm"/><child link="a"/><origin xyz="0.1 0.2 0.3" rpy="0.3 -0.4 1.1"/>
  <axis xyz="1 2 -2"/><limit lower="-1" upper="1"/></joint>
<joint name="follow" type="revolute"><parent link="a"/><child link="b"/><origin xyz="0 0 0.04"/><axis xyz="0 1 0"/>
  <mimic joint="turn" multiplier="-0.7" offset="0.2"/><limit lower="-1" upper="1"/></joint>
<joint name="slide" type="prismatic"><parent link="b"/><child link="c"/><origin rpy="0 1.2 0"/><axis xyz="0 0 -3"/>
  <mimic joint="follow" multiplier="0.1"/><limit lower="-1" upper="1"/></joint>
<joint name="end" type="fixed"><parent link="c"/><child link="tip"/><origin xyz="0 0 0.02" rpy="1 0 0"/></joint>
</robot>"""


@pytest.mark.parametrize("base", [None, "b"])
def test_it_agrees_with_the_one_that_reads_the_file(base):
    ours, other = NumpyKinematics(parse_urdf(URDF), base=base), NumpyFK(URDF)
    assert ours.driven == ("turn",)
    for angle in (-0.9, 0.0, 0.4):
        expected = other.poses({"turn": angle}, base=base)
        for link, pose in ours.poses({"turn": angle}).items():
            np.testing.assert_allclose(pose, expected[link], atol=1e-14)


def test_a_followers_value_is_expanded_along_the_chain():
    assert NumpyKinematics(parse_urdf(URDF)).expand({"turn": 1.0}) == pytest.approx(
        {"turn": 1.0, "follow": -0.5, "slide": -0.05}
    )


def test_the_joints_of_the_hand_replace_the_trees_couplings():
    free = JointSpec(name="follow", kind="revolute", lower_rad=-1, upper_rad=1)
    kinematics = NumpyKinematics(parse_urdf(URDF), [free])
    assert kinematics.expand({"turn": 1.0})["follow"] == 0.0
    assert kinematics.driven == ("turn", "follow")


def test_a_circle_of_followers_is_refused():
    joints = tuple(
        TreeJoint(name=a, kind="revolute", parent="palm", child=f"{a}_link", mimic=MimicSpec(joint=b))
        for a, b in (("x", "y"), ("y", "x"))
    )
    with pytest.raises(SpecError, match="x -> y -> x"):
        NumpyKinematics(KinematicTree(root="palm", joints=joints))


def test_unknown_names_are_refused():
    tree = parse_urdf(URDF)
    with pytest.raises(KeyError, match="bend"):
        NumpyKinematics(tree).poses({"bend": 1.0})
    with pytest.raises(SpecError, match="'thumb' is not a link"):
        NumpyKinematics(tree, base="thumb")
