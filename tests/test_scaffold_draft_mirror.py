"""The other hand: mirrored, proven by forward kinematics; and two files brought to one hand space."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.errors import SpecError
from egoscale_sdk.scaffold.draft import draft_hand
from egoscale_sdk.scaffold.mirror import mirror_hand, mirrored_pair
from egoscale_sdk.scaffold.names import PluginNames
from egoscale_sdk.scaffold.pair import pair_hands
from egoscale_sdk.scaffold.request import Request
from egoscale_sdk.scaffold.words import other_side
from egoscale_sdk.specs import SIDES, HandSpec
from egoscale_sdk.testing.numpy_fk import NumpyKinematics
from tests.scaffold_urdfs import HANDS, fingered, four, jaws, sliders, tri, turned

M = np.diag([1.0, -1.0, 1.0, 1.0])
TEXTS = {name: make("right", turned(10, 20, 30)) for name, (make, _) in HANDS.items()} | {"jaws": jaws()}


@pytest.fixture
def draft(tmp_path):
    def make(text, side=None):
        file = tmp_path / "hand.urdf"
        file.write_text(text)
        return draft_hand(file, side=side, namespace="acme", name="hand")

    return make


def in_wrist(hand, q):
    names = [joint.name for joint in hand.actuated]
    poses = NumpyKinematics(hand.tree, hand.joints, hand.root).poses(dict(zip(names, q, strict=True)))
    into = np.linalg.inv(hand.T_root_wrist.matrix())
    return np.stack([into @ poses[link] for link in hand.tree.links])


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_of_the_mirror_hand_is_the_mirror_image(draft, name):
    right = draft(TEXTS[name])
    left = mirror_hand(right)
    assert (right.hand.side, left.hand.side) == ("right", "left")
    assert left.hand.hand_space == right.hand.hand_space
    assert set(left.hand.mirror_signs) == {1.0}
    assert [joint.lower for joint in left.hand.joints] == [joint.lower for joint in right.hand.joints]
    for seed in range(5):
        q = np.random.default_rng(seed).uniform(-0.5, 0.5, len(right.hand.actuated))
        np.testing.assert_allclose(in_wrist(left.hand, q), M @ in_wrist(right.hand, q) @ M, atol=1e-9)
    for mine, other in zip(left.hand.bodies, right.hand.bodies, strict=True):
        point, image = mine.from_m or mine.center_m, other.from_m or other.center_m
        np.testing.assert_allclose(point, np.array(image) * [1, -1, 1])


def test_the_mirror_of_the_mirror_is_the_hand_itself(draft):
    text = fingered(4, names=["right_th", "right_a", "right_b", "right_c"], palm_root="right_palm")
    hand = draft(text).hand
    again = mirror_hand(mirror_hand(draft(text))).hand
    assert again.tree == hand.tree
    assert again.bodies == hand.bodies
    np.testing.assert_allclose(again.T_root_wrist.matrix(), hand.T_root_wrist.matrix(), atol=1e-15)


def test_both_hands_can_be_in_one_embodiment(draft):
    left, right = mirrored_pair(draft(four()))
    names = [joint.name for hand in (left.hand, right.hand) for joint in hand.joints]
    assert len(set(names)) == len(names)
    assert left.hand.mirror_signs == right.hand.mirror_signs
    assert all(HandSpec.model_validate(item.hand.model_dump()) == item.hand for item in (left, right))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("right_palm", "left_palm"),
        ("palm_r", "palm_l"),
        ("RH_index", "LH_index"),
        ("Right_Index", "Left_Index"),
        ("rightHand", "leftHand"),
        ("lower_arm", "left_lower_arm"),
        ("ring", "left_ring"),
    ],
)
def test_names_change_sides(name, other):
    assert other_side(name, "left") == other


def test_two_files_agree_on_columns_and_signs(draft):
    left, right = pair_hands(draft(four("left")), draft(four("right")))
    assert left.hand.hand_space == right.hand.hand_space
    assert left.hand.mirror_signs == right.hand.mirror_signs
    assert [joint.name for joint in left.hand.joints][:2] == ["left_fd_spread", "left_fd_j0"]
    signs = np.array(right.hand.mirror_signs)
    spread = [joint.name.endswith("spread") for joint in right.hand.actuated]
    assert np.all(signs[spread] == -1)  # the test's left file keeps the axis of these
    q = np.random.default_rng(0).uniform(-0.1, 0.3, len(signs))
    tips = [right.hand.tree.links.index(finger.frames[-1].frame) for finger in right.hand.fingers]
    mine, other = in_wrist(left.hand, signs * q), in_wrist(right.hand, q)
    np.testing.assert_allclose(mine[tips, :3, 3], other[tips, :3, 3] * [1, -1, 1], atol=2e-4)
    assert next(item for item in left.guesses if item.what == "both hands").sure


def test_two_hands_that_are_no_mirror_images_state_no_signs(draft):
    short = four("left").replace('xyz="0 0 0.045"', 'xyz="0 0 0.08"')
    left, right = pair_hands(draft(short), draft(four("right")))
    assert left.hand.mirror_signs == right.hand.mirror_signs == ()
    assert "left and right are no mirror images" in [item.value for item in left.guesses]


def test_two_files_with_other_joints_are_refused(draft):
    with pytest.raises(SpecError, match=r"the right hand's joint '\w+spread' has no counterpart in the left hand"):
        pair_hands(draft(fingered(4, "left")), draft(four("right")))
    with pytest.raises(SpecError, match="a pair is a left and a right hand, not right and right"):
        pair_hands(draft(tri()), draft(tri()))


@settings(max_examples=20)
@given(angles=st.tuples(*[st.floats(-170, 170)] * 3))
def test_any_frame_of_the_palm_can_be_mirrored(tmp_path_factory, angles):
    file = tmp_path_factory.mktemp("hand") / "hand.urdf"
    file.write_text(sliders(turned(*angles)))
    mirror_hand(draft_hand(file, side=None, namespace="acme", name="hand"))  # proves itself


def test_two_files_that_do_not_fit_are_named(tmp_path):
    for side, text in (("left", fingered(4, "left")), ("right", four("right"))):
        (tmp_path / f"{side}.urdf").write_text(text)
    request = Request(left=tmp_path / "left.urdf", right=tmp_path / "right.urdf")
    with pytest.raises(SpecError, match=r"^left\.urdf, right\.urdf: the right hand's joint '\w+' has no counterpart"):
        request.draft(PluginNames("acme", "hand"))


def test_what_is_asked_about_a_hand_is_asked_about_its_image_too(draft):
    right = draft(sliders(mimic=False).replace('name="slide_two', 'name="right_two').replace("slide_two", "right_two"))
    (question,) = mirror_hand(right).questions
    assert right.questions[0].startswith("hand/right.toml: joints: mimic of 'right_two_joint'")
    assert question.startswith("hand/left.toml: joints: mimic of 'left_two_joint'")
    contradicted = draft(four("right"), side="left")
    assert len(contradicted.questions) == 1
    assert mirror_hand(contradicted).questions == ()


def test_questions_about_two_files_name_joints_as_the_plugin_does(draft):
    text = [four(side).replace('<limit lower="-0.1"', "<limit", 1).replace(' upper="1.6"', "", 1) for side in SIDES]
    pair = pair_hands(*(draft(half, side=side) for half, side in zip(text, SIDES, strict=True)))
    for draft_of_one, side in zip(pair, SIDES, strict=True):
        (question,) = draft_of_one.questions
        assert question.startswith(f"hand/{side}.toml: joints: lower_rad and upper_rad of '{side}_")
