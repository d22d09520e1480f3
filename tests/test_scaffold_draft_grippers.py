"""Drafting grippers: pads, approach, the opening in closed form, and what a file leaves open."""

import human_hand
import numpy as np
import pytest
import torch

from egoscale_sdk.errors import SpecError
from egoscale_sdk.geometry import rotation_angle
from egoscale_sdk.retargeting import GapRetargeter, aperture_width
from egoscale_sdk.scaffold.draft import draft_hand
from egoscale_sdk.sim.hand_model import STIFF, add_hand, empty_spec
from egoscale_sdk.sim.mj import mujoco
from egoscale_sdk.testing.numpy_fk import NumpyKinematics
from tests.scaffold_urdfs import Urdf, collision, jaws, sliders, turned

ASKEW = turned(20, -35, 100)


@pytest.fixture
def draft(tmp_path):
    def make(text, side=None):
        file = tmp_path / "gripper.urdf"
        file.write_text(text)
        return draft_hand(file, side=side, namespace="acme", name="gripper")

    return make


def pads(hand, q):
    poses = NumpyKinematics(hand.tree, hand.joints, hand.root).poses({hand.actuated[0].name: q})
    return [poses[finger.frames[-1].frame][:3, 3] for finger in hand.fingers]


@pytest.mark.parametrize("text", [jaws(ASKEW), sliders(ASKEW)], ids=["jaws", "sliders"])
def test_the_opening_is_the_distance_of_the_pads(draft, text):
    found = draft(text)
    hand = found.hand
    assert found.questions == ()
    lower, upper = hand.actuated[0].lower, hand.actuated[0].upper
    for q in np.linspace(lower, upper, 7):
        thumb, index = pads(hand, q)
        assert aperture_width(hand.aperture, np.array(q)) == pytest.approx(np.linalg.norm(thumb - index), abs=1e-4)
    assert hand.open_pose == (upper,)
    assert [finger.role for finger in hand.fingers] == ["thumb", "index"]
    assert [finger.frames[0].keypoints for finger in hand.fingers] == [(4,), (8, 12)]


@pytest.mark.parametrize("text", [jaws(ASKEW), sliders(ASKEW)], ids=["jaws", "sliders"])
def test_the_wrist_is_behind_the_pads_and_looks_at_the_thumb(draft, text):
    hand = draft(text).hand
    assert rotation_angle(hand.T_root_wrist.matrix()[:3, :3], ASKEW) < np.radians(1)
    middle = np.mean(pads(hand, np.mean([hand.actuated[0].lower, hand.actuated[0].upper])), axis=0)
    np.testing.assert_allclose(ASKEW.T @ (middle - hand.T_root_wrist.xyz_m), [0, 0, 0.15], atol=1e-3)


def test_pads_lie_on_the_inner_faces(draft):
    thumb, index = pads(draft(sliders()).hand, 0.01)
    np.testing.assert_allclose(thumb, [0.01, 0, 0.06 + 0.0495], atol=1e-6)
    np.testing.assert_allclose(index, [-0.01, 0, 0.06 + 0.0495], atol=1e-6)


def test_three_jaws_on_one_joint_are_a_gripper(draft):
    urdf = Urdf()
    urdf.link("case", 0.5)
    for number, yaw in enumerate((0, 120, 240)):
        urdf.link(f"s{number}", 0.05, collision("box", xyz=(0.006, 0, 0.03), size="0.012 0.02 0.06"))
        mimic = None if number == 0 else ("s0_joint", 1.0)
        limits = (0.0, 0.03)
        at, R = (0, 0, 0.06), turned(yaw=yaw)
        urdf.joint(f"s{number}_joint", "prismatic", "case", f"s{number}", at, R, (1, 0, 0), limits, mimic)
    found = draft(urdf.text())
    assert found.questions == ()
    assert [finger.frames[0].keypoints for finger in found.hand.fingers] == [(4,), (8,), (12, 16, 20)]
    np.testing.assert_allclose(pads(found.hand, 0.0), np.full((3, 3), [0, 0, 0.1095]), atol=1e-5)
    np.testing.assert_allclose(aperture_width(found.hand.aperture, np.array([0.0, 0.03])), [0, 0.045], atol=1e-6)


def test_a_fixed_jaw_is_refused_and_as_a_joint_that_stands_still_it_is_read(draft):
    urdf = Urdf()
    urdf.link("case", 0.5, collision("box", size="0.06 0.04 0.06"))
    for name, x in (("fixed", -0.02), ("moving", 0.02)):
        urdf.link(name, 0.05, collision("box", xyz=(0, 0, 0.05), size="0.012 0.02 0.1"))
        kind = "fixed" if name == "fixed" else "revolute"
        urdf.joint(f"{name}_jaw", kind, "case", name, (x, 0, 0.03), limits=None if name == "fixed" else (0.0, 0.6))
    with pytest.raises(SpecError, match="it has one moving joint; of a gripper with a fixed jaw, make the fixed jaw"):
        draft(urdf.text())
    still = '<axis xyz="0 1 0"/><mimic joint="moving_jaw" multiplier="0"/>'
    joint = f'<joint name="fixed_jaw" type="revolute">{still}'
    found = draft(urdf.text().replace('<joint name="fixed_jaw" type="fixed">', joint))
    assert found.questions == ()
    moved = np.array([pads(found.hand, q)[1] for q in (0.0, 0.6)])
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-9)
    with pytest.raises(SpecError, match="has no moving joint; give"):
        draft(urdf.text().replace('"revolute"', '"fixed"'))


def test_a_gripper_is_a_right_hand_unless_told(draft):
    assert draft(jaws()).hand.side == "right"
    assert draft(jaws(), side="left").hand.side == "left"


def test_sliders_that_nothing_couples_are_asked_about(draft):
    found = draft(sliders(mimic=False))
    assert len(found.questions) == 1
    start = "gripper/right.toml: joints: mimic of 'slide_two_joint': it slides as 'slide_one_joint' does, and neither "
    assert found.questions[0].startswith(start)
    assert [joint.mimic and joint.mimic.joint for joint in found.hand.joints] == [None, "slide_one_joint"]
    assert found.hand.aperture == draft(sliders()).hand.aperture


def test_an_opening_without_closed_form_is_asked_about(draft):
    found = draft(jaws(multiplier=-0.2))
    opening = next(item for item in found.guesses if item.what.endswith("opening"))
    assert "misses by" in opening.evidence
    wild = draft(jaws().replace('upper="0.6"', 'upper="2.9"').replace('lower="-0.6"', 'lower="-2.9"'))
    assert len(wild.questions) == 1
    assert "aperture: joint 'jaw_one_joint': the opening does not grow steadily" in wild.questions[0]


def test_a_gripper_on_a_joint_without_end_is_asked_between_which_angles_it_opens(draft):
    text = jaws().replace('name="jaw_one_joint" type="revolute"', 'name="jaw_one_joint" type="continuous"')
    text = text.replace('name="jaw_two_joint" type="revolute"', 'name="jaw_two_joint" type="continuous"')
    (question,) = draft(text).questions
    assert "aperture: joint 'jaw_one_joint': it is continuous: between which angles does it open?" in question


@pytest.mark.parametrize("text", [jaws(), sliders(ASKEW)], ids=["jaws", "sliders"])
def test_people_open_and_close_it(draft, text):
    hand = draft(text).hand
    clip = np.stack([human_hand.right_hand(np.full(4, f), thumb=(1.0, f, f)) for f in np.linspace(0, 1, 5)])
    result = GapRetargeter(hand).retarget(torch.from_numpy(clip))
    assert result.valid.all()
    joints = result.joints[:, 0].numpy()
    assert np.all((joints >= hand.actuated[0].lower) & (joints <= hand.actuated[0].upper))
    assert joints[0] > joints.min() + 0.01


@pytest.mark.parametrize("text", [jaws(), sliders(ASKEW)], ids=["jaws", "sliders"])
def test_it_opens_and_closes_in_simulation(draft, text):
    hand = draft(text).hand
    mj = mujoco()
    spec = empty_spec()
    add_hand(spec, spec.worldbody.add_body(name="wrist"), hand, STIFF, (1, 1, 1, 1))
    model = spec.compile()
    data = mj.MjData(model)
    for target in (hand.actuated[0].upper * 0.9, hand.actuated[0].upper * 0.3):
        data.ctrl[:] = target
        for _ in range(int(1.5 / model.opt.timestep)):
            mj.mj_step(model, data)
        assert data.joint(f"hand/{hand.actuated[0].name}").qpos[0] == pytest.approx(target, rel=0.05, abs=0.01)
