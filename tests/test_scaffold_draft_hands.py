"""Drafting hands with fingers from made-up URDFs: thumb, order, side and wrist frame are found by geometry alone."""

import human_hand
import numpy as np
import pytest
import torch

from egoscale_sdk.errors import SpecError
from egoscale_sdk.geometry import rotation_angle
from egoscale_sdk.retargeting import KeypointRetargeter
from egoscale_sdk.scaffold.draft import draft_hand
from egoscale_sdk.scaffold.names import PluginNames
from egoscale_sdk.scaffold.package import PackageDraft
from egoscale_sdk.scaffold.words import role_of
from egoscale_sdk.sim.hand_model import STIFF, add_hand, empty_spec
from egoscale_sdk.sim.mj import mujoco
from egoscale_sdk.testing.numpy_fk import NumpyKinematics
from tests.scaffold_urdfs import HANDS, Urdf, behind_an_arm, finger, fingered, five, four, tri, turned

ASKEW = turned(20, -35, 100)  # of the palm's frame against the wrist's
GESTURES = {"open": [0, 0, 0, 0], "fist": [1, 1, 1, 1], "point": [0, 1, 1, 1]}


@pytest.fixture
def draft(tmp_path):
    def make(text, side=None, name="hand"):
        file = tmp_path / f"{name}.urdf"
        file.write_text(text)
        return draft_hand(file, side=side, namespace="acme", name=name)

    return make


def guess(draft, what):
    return next(item for item in draft.guesses if item.what.partition(": ")[2] == what)


def roles(draft):
    """First letters of what the frames of each finger are called, in the order thumb, index, .."""
    return [finger.frames[-1].frame.partition("_")[0] for finger in draft.hand.fingers]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", HANDS)
def test_thumb_order_side_and_wrist_are_found_without_names(draft, kind, side):
    make, count = HANDS[kind]
    found = draft(make(side, ASKEW))
    hand = found.hand
    assert found.questions == ()
    assert hand.side == side
    thumb, first = ("fa", "fb") if kind == "sharing" else ("fc", "fa")
    order = [thumb, first, *{"sharing": ["fc", "fd"]}.get(kind, ["fd", "fb", "fe"])][:count]
    assert roles(found) == order
    assert [finger.role for finger in hand.fingers] == ["thumb", "index", "middle", "ring", "pinky"][:count]
    assert rotation_angle(hand.T_root_wrist.matrix()[:3, :3], ASKEW) < np.radians(2)
    knuckle = NumpyKinematics(hand.tree, hand.joints, hand.root).poses({})[hand.fingers[2].frames[0].frame][:3, 3]
    wrist = ASKEW.T @ (knuckle - hand.T_root_wrist.xyz_m)
    assert wrist[2] == pytest.approx(0.097, abs=0.003)
    assert guess(found, "thumb").sure
    assert guess(found, "side").sure


@pytest.mark.parametrize("kind", HANDS)
def test_the_draft_can_be_retargeted_to(draft, kind):
    hand = draft(HANDS[kind][0]("right", ASKEW)).hand
    retargeter = KeypointRetargeter(hand, iterations=8, rounds=0)
    clip = np.stack([human_hand.right_hand(np.array(flexion, float)) for flexion in GESTURES.values()])
    joints = [retargeter.retarget(torch.from_numpy(frame[None])).joints[0].double().numpy() for frame in clip]
    kinematics = NumpyKinematics(hand.tree, hand.joints, hand.root)
    wrist = np.linalg.inv(hand.T_root_wrist.matrix())
    reach = []
    for q in joints:
        poses = kinematics.poses(dict(zip([joint.name for joint in hand.actuated], q, strict=True)))
        ends = [(wrist @ poses[finger.frames[-1].frame])[:3, 3] for finger in hand.fingers[1:]]
        reach.append([end[2] for end in ends])
    opened, fist, point = np.array(reach)
    assert np.all(opened > fist + 0.05), "a fist draws the tips back along the fingers"
    assert point[0] > fist[0] + 0.05
    assert np.all(point[1:] < opened[1:] - 0.05)


@pytest.mark.parametrize("kind", HANDS)
def test_the_draft_stands_and_follows_in_simulation(draft, kind):
    hand = draft(HANDS[kind][0]("right", ASKEW)).hand
    mj = mujoco()
    spec = empty_spec()
    add_hand(spec, spec.worldbody.add_body(name="wrist"), hand, STIFF, (1, 1, 1, 1))
    model = spec.compile()
    data = mj.MjData(model)
    target = np.array(hand.open_pose) + [0.3 if joint.clamp(9.0) > 0.5 else 0.0 for joint in hand.actuated]
    target = np.array([joint.clamp(value) for joint, value in zip(hand.actuated, target, strict=True)])
    data.ctrl[:] = target
    for _ in range(int(2.0 / model.opt.timestep)):
        mj.mj_step(model, data)
    q = [data.joint(f"hand/{joint.name}").qpos[0] for joint in hand.actuated]
    np.testing.assert_allclose(q, target, atol=0.05)
    assert np.abs(data.qvel).max() < 0.05


def test_three_fingers_share_five_as_their_means(draft):
    targets = [target.keypoints for target in draft(tri()).hand.fingers[2].frames]
    assert targets == [(9, 13, 17), (10, 14, 18), (11, 15, 19), (12, 16, 20)]
    assert [target.keypoints for target in draft(four()).hand.fingers[3].frames][-1] == (16, 20)


def test_a_joint_that_turns_a_finger_in_place_carries_no_bone(draft):
    assert [target.frame for target in draft(four()).hand.fingers[1].frames] == ["fa_0", "fa_1", "fa_2", "fa_2_tip"]


def test_names_confirm_or_overrule(draft):
    named = draft(fingered(4, names=["acme_thumb", "acme_index", "acme_middle", "acme_ring"]))
    assert "names say so, too" in guess(named, "thumb").evidence
    odd = draft(fingered(4, names=["acme_index", "acme_thumb", "acme_middle", "acme_ring"]))
    assert "acme_thumb" in guess(odd, "thumb").value
    assert "by geometry it would be acme_index" in guess(odd, "thumb").evidence
    assert not guess(odd, "thumb").sure


def test_names_of_fingers_are_not_searched_for_short_forms_alone(draft):
    assert "names" not in guess(draft(fingered(4, names=["rf", "lf", "qf", "xf"])), "thumb").evidence


def test_a_contradiction_about_the_side_is_a_question(draft):
    found = draft(four("right"), side="left")
    assert found.hand.side == "left"
    assert len(found.questions) == 1
    assert found.questions[0].startswith("hand/left.toml: side: left was asked for, but its thumb lies ")
    assert " mm to the side where a right hand has it; which is it? (if right: write " in found.questions[0]
    assert draft(four("right"), side="right").questions == ()


def test_names_that_contradict_geometry_about_the_side_are_a_question_and_move_no_finger(draft):
    right = draft(fingered(5))
    found = draft(fingered(5).replace('robot name="acme"', 'robot name="acme_left_hand"'))
    assert found.hand.side == "left"
    assert not guess(found, "side").sure
    assert "where a right hand has it" in guess(found, "side").evidence
    (question,) = found.questions
    assert question.startswith("hand/left.toml: side: left is what its names say, but its thumb lies ")
    assert roles(found) == roles(right)
    assert "counted from the thumb's side" in guess(found, "fingers").evidence
    assert not guess(found, "fingers").sure
    assert draft(fingered(5, names=["left_a", "left_b", "left_c", "left_d", "left_e"]), side="right").questions == ()


def test_names_that_contradict_geometry_about_the_fingers_are_questions(draft):
    names = ["pinky", "ring", "middle", "index"]
    (swapped,) = draft(fingered(5, names=["thumb", *names])).questions
    assert swapped.startswith("hand/right.toml: fingers: the names of the fingers count otherwise than geometry")
    assert "pinky_0 .. pinky_2, ring_0 .. ring_2, middle_0 .. middle_2, index_0 .. index_2, counted from" in swapped
    odd = draft(fingered(4, names=["a_index", "a_thumb", "a_middle", "a_ring"])).questions[0]
    assert "names call a_thumb_turn" in odd or "names call a_thumb_0 .. a_thumb_2 the thumb, but by geometry" in odd
    assert draft(fingered(5, names=["thumb", *reversed(names)])).questions == ()


@pytest.mark.parametrize(
    ("names", "role"),
    [
        (["index_proximal_link", "index_middle_link", "index_distal_link"], "index"),
        (["index_mcp", "middle_phalanx_of_index"], "index"),
        (["middle_proximal", "middle_middle", "middle_distal"], "middle"),
        (["RingFingerMiddle", "ring_tip"], "ring"),
        (["left_spring_rod"], None),
        (["index_rod", "ring_rod"], None),
    ],
)
def test_a_phalanx_called_middle_does_not_hide_the_finger(names, role):
    assert role_of(names) == role


def test_a_side_that_is_named_tells_the_palm_where_ranges_do_not(draft):
    """Fingers that bend as far back as forth: only with a side is it clear where the palm is."""
    text = fingered(4, names=["left_a", "left_b", "left_c", "left_d"]).replace('lower="-0.1"', 'lower="-1.6"')
    text = text.replace('lower="0.0"', 'lower="-1.6"')
    found = draft(text)
    assert found.hand.side == "left"
    np.testing.assert_allclose(found.hand.T_root_wrist.matrix()[:3, 0], [-1, 0, 0], atol=1e-6)
    assert not guess(found, "palm").sure


def two_and_one():
    """Two fingers side by side, and one that closes against them from the other side."""
    urdf = Urdf()
    urdf.link("palm", 0.2)
    for name, (x, y), yaw in (("fb", (-0.02, 0.03), 0), ("fa", (0.04, 0.0), 180), ("fc", (-0.02, -0.03), 0)):
        finger(urdf, name, "palm", (x, y, 0.1), turned(yaw=yaw), (0.06, 0.05))
    return urdf.text()


def test_a_finger_that_closes_against_the_others_is_the_thumb(draft):
    found = draft(two_and_one())
    assert roles(found) == ["fa", "fb", "fc"]
    np.testing.assert_allclose(found.hand.T_root_wrist.matrix()[:3, :3], np.eye(3), atol=1e-6)
    assert "geometry does not tell" in guess(found, "side").evidence
    assert not guess(found, "side").sure
    left = draft(two_and_one(), side="left")
    assert roles(left) == ["fa", "fc", "fb"]
    assert left.questions == ()


def test_of_two_fingers_alike_any_is_the_thumb_but_it_is_said(draft):
    urdf = Urdf()
    urdf.link("palm", 0.2)
    for name, x, yaw in (("fa", 0.03, 180), ("fb", -0.03, 0)):
        finger(urdf, name, "palm", (x, 0, 0.1), turned(yaw=yaw), (0.05, 0.04))
    found = draft(urdf.text())
    assert not guess(found, "thumb").sure
    assert [target.keypoints for target in found.hand.fingers[1].frames] == [(5, 9), (6, 10), (8, 12)]
    KeypointRetargeter(found.hand)


def test_fingers_that_stand_bent_at_zero_are_stretched_out(draft):
    text = tri().replace('lower="0.0" upper="1.6"', 'lower="-2.0" upper="-0.4"')
    hand = draft(text).hand
    pose = dict(zip([joint.name for joint in hand.actuated], hand.open_pose, strict=True))
    assert pose["fa_j1"] == -0.4


def test_an_arm_is_left_out_and_said(draft):
    found = draft(behind_an_arm())
    assert found.hand.root == "palm"
    assert not any(joint.name.startswith("a") for joint in found.hand.joints)
    assert (
        "7 moving joints before the palm (a0 .. a6) are taken for an arm" in guess(found, "root of the hand").evidence
    )
    assert guess(found, "root of the hand").sure
    assert not guess(draft(behind_an_arm(joints=2)), "root of the hand").sure


def test_estimated_tips_are_added_to_the_tree_and_flagged(draft):
    found = draft(five())
    hand = found.hand
    tips = [finger.frames[-1].frame for finger in hand.fingers]
    assert all(hand.tree.parent_joint(tip).kind == "fixed" for tip in tips)
    flagged = [item for item in found.guesses if ": tip of " in item.what]
    assert len(flagged) == 5
    assert not any(item.sure for item in flagged)
    assert "twice as far as its centre of mass, 22.0 mm" in flagged[0].evidence


def test_a_tip_frame_of_the_file_is_taken(draft):
    text = five().replace("</robot>", '<link name="fa_end_tip"/></robot>')
    joint = (
        '<joint name="t" type="fixed"><parent link="fa_2"/><child link="fa_end_tip"/><origin xyz="0 0 0.03"/></joint>'
    )
    found = draft(text.replace("</robot>", f"{joint}</robot>"))
    assert found.hand.fingers[1].frames[-1].frame == "fa_end_tip"
    assert sum(": tip of " in item.what for item in found.guesses) == 4


def test_bodies_come_from_the_files_shapes_or_from_lengths(draft):
    shaped = {body.link: body for body in draft(tri()).hand.bodies}
    assert shaped["fa_0"].kind == "capsule"
    assert np.ptp([shaped["fa_0"].from_m[2], shaped["fa_0"].to_m[2]]) == pytest.approx(0.045 - 2 * 0.008)
    assert shaped["palm"].kind == "box"
    bare = {body.link: body for body in draft(five()).hand.bodies}
    assert {"palm", "fa_0", "fa_1", "fa_2", "fc_2"} <= set(bare)
    assert 0.005 <= bare["fa_0"].radius_m <= 0.01


def test_a_hand_without_masses_gets_none(draft):
    text = five().replace("<mass", "<no_mass")
    assert draft(text).hand.mass_kg is None
    whole = draft(five())
    assert whole.hand.mass_kg == pytest.approx(0.3 + 15 * 0.02 + 0.03)
    assert not any(item.what.endswith("mass") for item in whole.guesses)


def test_a_mass_that_leaves_parts_out_is_a_guess(draft):
    found = draft(five().replace('<mass value="0.02"/>', ""))
    mass = guess(found, "mass")
    assert (mass.value, mass.sure) == ("0.33 kg", False)
    assert "no mass of 15 of its 17 parts (" in mass.evidence
    names = PluginNames("acme", "hand")
    (right,) = PackageDraft(names, (found,), {"right": "hand.urdf"}).spec.hands
    sources = {item.source: item.fields.split(", ") for item in right.provenance}
    assert "mass_kg" in sources["egoscale plugin new"]
    assert sources["hand.urdf"] == ["tree", "joints"]


def test_columns_are_named_without_side_and_shared_words(draft):
    hand = draft(fingered(3, names=["right_acme_thumb", "right_acme_index", "right_acme_middle"])).hand
    names = [column.name for column in hand.hand_space.columns]
    assert names[:2] == ["middle_j0", "middle_j1"]  # in the order of the file
    assert "thumb_turn" in names
    assert hand.hand_space.id == "acme/hand@1"
    assert draft(tri(), name="claw").hand.hand_space.id == "acme/claw_hand@1"


def test_a_hand_of_one_chain_and_a_whole_robot_are_refused(draft):
    urdf = Urdf()
    urdf.link("palm")
    finger(urdf, "f", "palm", (0, 0, 0.1), np.eye(3), (0.04, 0.03))
    with pytest.raises(SpecError, match="no link has two fingers: its 2 moving joints are one chain"):
        draft(urdf.text())
    with pytest.raises(SpecError, match="7 chains of moving joints leave link 'palm'"):
        draft(fingered(7, names=list("abcdefg")))
    urdf = Urdf()
    urdf.link("pelvis")
    for name, y in (("l", 0.1), ("r", -0.1)):
        finger(urdf, name, "pelvis", (0, y, 0), np.eye(3), (0.4, 0.4, 0.1))
    with pytest.raises(SpecError, match=r"is 0\.80 m long: that is no finger; give a URDF of one hand alone"):
        draft(urdf.text())
