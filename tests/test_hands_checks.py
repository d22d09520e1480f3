"""Wrong units, swapped sides, left-handed axes and absent hands are found, on made and on real hands."""

import csv

import numpy as np
import pytest

from egoscale_sdk.errors import DataError
from egoscale_sdk.hands import check_chirality, check_hand_scale, layout_named, plausible_hands, to_canonical
from tests.human_hand import clip, mirrored, right_hand


@pytest.mark.parametrize(("factor", "unit"), [(1000, "millimetres"), (100, "centimetres")])
def test_a_hand_in_other_units_is_refused_with_the_unit(factor, unit):
    with pytest.raises(DataError, match=f"take.h5:keypoints: .*no human hand.*0.04 to 0.14 m.*look like {unit}"):
        check_hand_scale(factor * clip(5), "take.h5:keypoints")


def test_image_coordinates_are_refused():
    with pytest.raises(DataError, match="image coordinates"):
        check_hand_scale(6 * clip(5))


def test_metres_pass_with_absent_and_missing_hands_among_them():
    hands = clip(9)
    hands[:3], hands[3:5] = 0, np.nan
    check_hand_scale(hands)
    check_hand_scale(hands[:5])
    check_hand_scale(hands[:0])


def test_implausible_frames_are_told_one_by_one():
    hands = clip(6)
    hands[1], hands[2, 7], hands[3] = 0, np.nan, 1000 * hands[3]
    hands[4, 8] += 0.5  # a finger half a metre long
    assert plausible_hands(hands).tolist() == [True, False, False, False, False, True]
    assert plausible_hands(hands.reshape(2, 3, 21, 3)).shape == (2, 3)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_swapped_side_or_left_handed_axes_bend_fingers_backwards(side):
    hands = clip(30) if side == "right" else mirrored(clip(30))
    check_chirality(hands, side)
    with pytest.raises(DataError, match=f"fingers of the {side} hand bend backwards.*left-handed"):
        check_chirality(hands * [1, 1, -1], side)


def test_flat_and_absent_hands_have_no_chirality_to_refuse():
    flat = right_hand(np.zeros(4))[None]
    check_chirality(flat, "right")
    check_chirality(flat, "left")
    check_chirality(np.zeros((4, 21, 3)), "right")


def test_a_missing_fingertip_does_not_condemn_a_hand():
    hands = clip(5)
    hands[:3, 8] = np.nan
    check_chirality(hands, "right")
    check_hand_scale(hands)


def hololens(path):
    """Both hands of a recording as ``{side: (T, 26, 3)}``, frames without the hand left out."""
    with path.open() as lines:
        rows = list(csv.reader(lines))[1:]
    hands = {}
    for side, first in {"right": 3, "left": 29}.items():
        tracked = [row[first : first + 26] for row in rows if row[first] != "0"]
        values = [[[float(x) for x in cell.strip("()").split("/")] for cell in row] for row in tracked]
        hands[side] = np.array(values)
    return hands


def test_real_hololens_hands_are_in_metres_and_sided_once_their_axes_are_turned(shared):
    """Its first 26 columns are the right hand and its axes are Unity's: only so do the fingers bend forwards."""
    for path in sorted((shared / "data/hololens2").glob("*.csv")):
        for side, points in hololens(path).items():
            hands, _ = to_canonical(points, "hololens")
            check_hand_scale(hands)
            check_chirality(hands, side)
            assert plausible_hands(hands).mean() > 0.99
            unturned = points[:, layout_named("hololens").index()]
            with pytest.raises(DataError, match="bend backwards"):
                check_chirality(unturned, side)


def test_real_webcam_hand_is_a_right_hand_in_metres(shared):
    hands = np.load(shared / "data/webcam_hand/human_joint_right.npz")["keypoints"]
    check_hand_scale(hands)
    check_chirality(hands, "right")
    with pytest.raises(DataError, match="bend backwards"):
        check_chirality(hands, "left")
