"""Joint orders of hand trackers: index vectors as published, refusals, and the real HoloLens columns."""

import csv

import numpy as np
import pytest

from egoscale_sdk.errors import DataError
from egoscale_sdk.hands import KEYPOINTS, LAYOUTS, Layout, layout_named, to_canonical
from tests.human_hand import clip, mirrored

XR25 = [0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24]
PUBLISHED = {
    "mediapipe": list(range(21)),
    "mano": [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20],
    "aria": [5, -1, 6, 7, 0, 8, 9, 10, 1, 11, 12, 13, 2, 14, 15, 16, 3, 17, 18, 19, 4],
    "arkit": XR25,
    "webxr": XR25,
    "manus": XR25,
    "openxr": [1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20, 22, 23, 24, 25],
}


def written_in(layout, hands):
    """The canonical ``hands (T, 21, 3)`` as a source of that layout would store them; NaN where it has more joints."""
    source = np.full((len(hands), len(layout.joints), 3), np.nan)
    for keypoint, joint in enumerate(layout.canonical):
        if joint is not None:
            source[:, layout.joints.index(joint)] = hands[:, keypoint] * ([1, 1, -1] if layout.left_handed else 1)
    return source


@pytest.mark.parametrize("name", PUBLISHED)
def test_index_vectors_are_the_published_ones(name):
    assert layout_named(name).index() == PUBLISHED[name]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_hand_written_in_a_layout_is_read_back(name):
    layout, hands = layout_named(name), clip(5)
    read, estimated = to_canonical(written_in(layout, hands), name)
    np.testing.assert_array_equal(read[:, ~estimated], hands[:, ~estimated])
    assert [KEYPOINTS[k] for k in np.flatnonzero(estimated)] == (["thumb_cmc"] if layout.name == "aria" else [])
    assert np.isfinite(read).all()


def test_aliases_name_the_same_layout():
    for alias, name in {"openpose": "mediapipe", "hamer": "mediapipe", "hot3d": "aria", "egodex": "arkit"}.items():
        assert layout_named(alias) is layout_named(name)


def test_the_estimated_thumb_joint_moves_with_the_hand_and_its_mirror():
    aria = layout_named("aria")
    hands = clip(30)
    source, shift = written_in(aria, hands), np.array([1, 2, 3])
    cmc = to_canonical(source, aria)[0][:, 1]
    assert np.linalg.norm(cmc - hands[:, 1], axis=-1).max() < 0.02, "within 2 cm on any hand"
    np.testing.assert_allclose(to_canonical(mirrored(source), aria)[0][:, 1], mirrored(cmc), atol=1e-12)
    np.testing.assert_allclose(to_canonical(source + shift, aria)[0][:, 1], cmc + shift, atol=1e-12)


def test_the_estimated_thumb_joint_is_near_other_trackers_own(shared):
    hands = np.load(shared / "data/webcam_hand/human_joint_right.npz")["keypoints"].astype(float)
    aria = layout_named("aria")
    error_m = np.linalg.norm(to_canonical(written_in(aria, hands), aria)[0][:, 1] - hands[:, 1], axis=-1)
    assert error_m.mean() < 0.010


def test_a_file_may_list_more_joints_in_its_own_order():
    arkit, hands = layout_named("arkit"), clip(3)
    names = ["ForearmWrist", *reversed(arkit.joints)]
    source = np.concatenate([np.zeros((3, 1, 3)), written_in(arkit, hands)[:, ::-1]], axis=1)
    np.testing.assert_array_equal(to_canonical(source, "egodex", names)[0], hands)


def test_a_missing_joint_is_named():
    names = [joint for joint in layout_named("arkit").joints if joint != "ThumbKnuckle"]
    with pytest.raises(DataError, match=r"layout 'arkit' lacks ThumbKnuckle; allowed: Hand, ThumbIntermediateBase"):
        to_canonical(np.zeros((1, len(names), 3)), "arkit", names)


def test_unknown_layouts_and_wrong_shapes_are_refused():
    with pytest.raises(DataError, match=r"unknown hand layout 'media_pipe'.*hololens.*did you mean 'mediapipe'"):
        to_canonical(np.zeros((1, 21, 3)), "media_pipe")
    for shape in [(5, 21, 3), (5, 26, 2), (3,), (26,)]:
        with pytest.raises(DataError, match=r"\(\.\.\., 26, 3\), got"):
            to_canonical(np.zeros(shape), "openxr")


def test_only_the_thumb_cmc_may_be_unknown_to_a_layout():
    with pytest.raises(ValueError, match="thumb CMC"):
        Layout("ours", KEYPOINTS[:20], (*KEYPOINTS[:20], None))


def test_integers_and_missing_values_pass_through():
    assert to_canonical(np.ones((21, 3), np.int16), "mediapipe")[0].dtype == np.float32
    source = np.zeros((2, 25, 3), np.float32)
    source[0, 24] = np.nan
    read, _ = to_canonical(source, "webxr")
    assert read.dtype == np.float32
    assert np.isnan(read[0, 20]).all()
    assert np.isfinite(read[1]).all()


def test_hololens_joints_are_the_columns_of_the_recordings(shared):
    for path in sorted((shared / "data/hololens2").glob("*.csv")):
        with path.open() as lines:
            header = next(csv.reader(lines))[3:]
        joints = list(layout_named("hololens").joints)
        assert header == joints + [f"{joint}.1" for joint in joints]
