"""A real Aria recording: hands in metres, sided, and projected by the calibration onto the hands in the picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from egoscale_sdk.geometry import inverse_pose, transform_points
from egoscale_sdk.hands import check_chirality, check_hand_scale, plausible_hands, to_canonical, wrist_frame

SIDES = ("left", "right")
BLOCK_PX = 8


@dataclass
class Take:
    images: list[np.ndarray]  # RGB (1512, 2016, 3) u8, upright
    image_ns: np.ndarray
    camera: Any  # calibration of the RGB camera, FISHEYE624
    landmarks: np.ndarray  # (T, 2, 21, 3) metres, device frame, Aria's own order
    landmarks_ns: np.ndarray


@pytest.fixture(scope="module")
def take(shared):
    aria = pytest.importorskip("projectaria_tools.core.data_provider", reason="needs the extra 'aria'")
    from projectaria_tools.core.stream_id import StreamId

    provider = aria.create_vrs_data_provider(str(next((shared / "data/aria/gen2").glob("*.vrs"))))
    rgb, hands = StreamId("214-1"), StreamId("371-1")
    pictures = [provider.get_image_data_by_index(rgb, i) for i in range(provider.get_num_data(rgb))]
    tracked = [provider.get_hand_pose_data_by_index(hands, i) for i in range(provider.get_num_data(hands))]
    return Take(
        images=[picture.to_numpy_array() for picture, _ in pictures],
        image_ns=np.array([record.capture_timestamp_ns for _, record in pictures]),
        camera=provider.get_device_calibration().get_camera_calib("camera-rgb"),
        landmarks=np.array(
            [[hand.landmark_positions_device for hand in (pose.left_hand, pose.right_hand)] for pose in tracked]
        ),
        landmarks_ns=np.array([round(pose.tracking_timestamp.total_seconds() * 1e6) * 1000 for pose in tracked]),
    )


def at_picture(take, picture):
    """Canonical keypoints ``(2, 21, 3)`` in the device frame at the stamp of a picture, which no hand stamp equals."""
    flat = take.landmarks.reshape(len(take.landmarks), -1)
    values = [np.interp(take.image_ns[picture], take.landmarks_ns, column) for column in flat.T]
    return to_canonical(np.reshape(values, (2, 21, 3)), "aria")[0]


def pixels(take, points_camera):
    """Pixels ``(n, 2)`` of those points that the fisheye sees."""
    seen = [take.camera.project(point) for point in points_camera.reshape(-1, 3)]
    return np.array([pixel for pixel in seen if pixel is not None])


def skin(image):
    """Which blocks of a picture are skin-coloured: lit, clearly redder than green, not bluer than green."""
    h, w = (size // BLOCK_PX for size in image.shape[:2])
    r, g, b = np.moveaxis(image.reshape(h, BLOCK_PX, w, BLOCK_PX, 3).mean(axis=(1, 3)), -1, 0)
    return (r > 1.15 * g) & (g > b) & (r - b > 25) & (r > 0.38 * (r + g + b)) & (r + g + b > 90)


def on_skin(mask, at):
    """Share of pixels that lie in the picture on a skin-coloured block."""
    columns, rows = np.floor(at / BLOCK_PX).astype(int).T
    inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    return float((inside & mask[np.where(inside, rows, 0), np.where(inside, columns, 0)]).mean())


@pytest.fixture(scope="module")
def scene(take):
    """Per picture: the skin mask and both hands' keypoints in the camera frame."""
    T_camera_device = inverse_pose(take.camera.get_transform_device_camera().to_matrix())
    return [
        (skin(image), transform_points(T_camera_device, at_picture(take, i))) for i, image in enumerate(take.images)
    ]


def test_both_hands_are_in_metres_and_on_their_own_side(take):
    hands, estimated = to_canonical(take.landmarks, "aria")
    assert np.flatnonzero(estimated).tolist() == [1], "only the thumb CMC is not tracked"
    assert plausible_hands(hands).all()
    check_hand_scale(hands)
    for hand, side in enumerate(SIDES):
        assert wrist_frame(hands[:, hand], side)[1].all()
        check_chirality(hands[:, hand], side)


def test_keypoints_project_onto_the_hands_in_the_picture(take, scene):
    for mask, hands in scene:
        assert len(pixels(take, hands)) >= 40, "one wrist is below the field of view"
        assert on_skin(mask, pixels(take, hands)) > 0.8
        for hand in hands:
            assert on_skin(mask, pixels(take, hand)) > 0.7


WRONG = {
    "mirrored": lambda at: [2016, 0] + at * [-1, 1],
    "upside down": lambda at: [2016, 1512] - at,
    "transposed": lambda at: at[:, ::-1],
    "90 px to the right": lambda at: at + np.array([90, 0]),
    "90 px to the left": lambda at: at - np.array([90, 0]),
    "90 px lower": lambda at: at + np.array([0, 90]),
    "90 px higher": lambda at: at - np.array([0, 90]),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_same_points_elsewhere_are_not_on_the_hands(case, take, scene):
    shares = [on_skin(mask, WRONG[case](pixels(take, hands))) for mask, hands in scene]
    assert np.mean(shares) < 0.5


def test_without_the_calibrated_extrinsics_they_are_not_on_the_hands(take, scene):
    T_device_camera = take.camera.get_transform_device_camera().to_matrix()
    device = [at_picture(take, picture) for picture in range(len(scene))]
    ignored = [on_skin(mask, pixels(take, hands)) for (mask, _), hands in zip(scene, device, strict=True)]
    inverted = [
        on_skin(mask, pixels(take, transform_points(T_device_camera, hands)))
        for (mask, _), hands in zip(scene, device, strict=True)
    ]
    assert np.mean(ignored) < 0.5
    assert np.mean(inverted) < 0.5


def test_a_tenth_of_a_second_away_they_are_not_on_the_hands(take, scene):
    for (mask, _), (_, hands_of_another) in zip(scene, scene[1:] + scene[:1], strict=True):
        assert on_skin(mask, pixels(take, hands_of_another)) < 0.7
