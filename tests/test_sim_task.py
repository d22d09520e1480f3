"""The task can be done by people and by the hands they lead, and cannot be done blind."""

import numpy as np
import pytest

from egoscale_sdk.geometry import rotation_angle
from egoscale_sdk.hands.wrist import wrist_frame
from egoscale_sdk.host import default_host
from egoscale_sdk.sim.demonstration import record, rest_pose
from egoscale_sdk.sim.driver import EVALUATION, MujocoDriver
from egoscale_sdk.sim.generate import DEMONSTRATIONS, generate
from egoscale_sdk.sim.operator import Operator, person_world
from egoscale_sdk.sim.task import OBJECT_SPREAD_M, draw_scene
from egoscale_sdk.sim.world import HandWorld, intrinsics
from egoscale_sdk.specs import CameraSpec

ROBOTS = ["sharpa/wave", "unitree/g1_dex3"]


def led(embodiment):
    hand = default_host().spec(embodiment).hand("right")
    return HandWorld(hand), Operator(hand, default_host().retargeter(hand))


def person():
    world = person_world()
    return world, Operator(world.hand, None)


@pytest.mark.slow
@pytest.mark.parametrize("embodiment", ROBOTS)
def test_a_led_robot_hand_lifts_the_object_in_19_of_20_scenes(embodiment):
    world, operator = led(embodiment)
    done = [record(world, operator, np.random.default_rng((7, seed)), 16).success for seed in range(40)]
    assert sum(done) >= 38


@pytest.mark.slow
def test_a_person_lifts_the_object_in_19_of_20_scenes():
    world, operator = person()
    done = [record(world, operator, np.random.default_rng((7, seed)), 16, person=True).success for seed in range(40)]
    assert sum(done) >= 38


def test_a_left_hand_does_it_in_the_mirror():
    hand = default_host().spec("sharpa/wave").hand("left")
    world, operator = HandWorld(hand), Operator(hand, default_host().retargeter(hand))
    assert all(record(world, operator, np.random.default_rng((8, seed)), 16).success for seed in range(2))


def test_scenes_cover_their_range_and_follow_from_the_seed():
    world = person_world()
    scenes = [draw_scene(np.random.default_rng(seed), world) for seed in range(200)]
    xy = np.stack([scene.object_xy for scene in scenes])
    assert OBJECT_SPREAD_M >= 0.08
    assert np.abs(xy).max() <= OBJECT_SPREAD_M
    assert (np.abs(xy).max(axis=0) > 0.95 * OBJECT_SPREAD_M).all()
    assert np.ptp([scene.camera[:3, 3] for scene in scenes], axis=0).min() > 0.05
    assert np.ptp([scene.wrist[:3, 3] for scene in scenes], axis=0).min() > 0.05
    again = draw_scene(np.random.default_rng(3), world)
    np.testing.assert_array_equal(again.object_xy, scenes[3].object_xy)


def test_no_demonstration_shares_its_seed_with_an_evaluation():
    assert DEMONSTRATIONS != EVALUATION


def test_a_person_is_seen_with_the_object_by_a_moving_head_all_the_time():
    world, operator = person()
    for seed in range(4):
        episode = record(world, operator, np.random.default_rng(seed), 16, person=True)
        camera = np.linalg.inv(episode.camera)
        points = np.einsum("tij,tkj->tki", camera[:, :3, :3], episode.keypoints) + camera[:, None, :3, 3]
        pixels = points @ intrinsics(64, 64).T
        pixels = pixels[..., :2] / pixels[..., 2:]
        inside = ((pixels > -0.5) & (pixels < 63.5)).all(axis=-1)
        assert inside.mean(axis=1).min() > 0.3
        assert inside.mean() > 0.9
        assert np.ptp(episode.camera[:, :3, 3], axis=0).max() > 0.002


def test_the_recorded_keypoints_are_of_the_recorded_wrist():
    world, operator = person()
    episode = record(world, operator, np.random.default_rng(0), 16, person=True)
    frames, valid = wrist_frame(episode.keypoints, "right")
    assert valid.all()
    np.testing.assert_allclose(frames, episode.wrist, atol=1e-9)


@pytest.mark.parametrize("embodiment", ROBOTS)
def test_commands_lead_what_is_measured_and_squeeze_beyond_the_surface(embodiment):
    world, operator = led(embodiment)
    episode = record(world, operator, np.random.default_rng(5), 16)
    assert episode.success
    np.testing.assert_allclose(episode.joints[0], rest_pose(world.hand), atol=1e-9)
    reach = slice(5, 20)
    later = np.linalg.norm(episode.wrist[1:, :3, 3] - episode.wrist_command[:-1, :3, 3], axis=1)[reach]
    now = np.linalg.norm(episode.wrist[:, :3, 3] - episode.wrist_command[:, :3, 3], axis=1)[reach]
    assert later.mean() < now.mean(), "the wrist follows its command"
    assert rotation_angle(episode.wrist[-1, :3, :3], episode.wrist_command[-1, :3, :3]) < 0.1
    assert np.abs(episode.joint_command[-1] - episode.joints[-1]).max() > 0.05, "the object stops the fingers"
    lower = np.array([joint.lower for joint in world.hand.actuated])
    upper = np.array([joint.upper for joint in world.hand.actuated])
    assert (episode.joint_command >= lower).all()
    assert (episode.joint_command <= upper).all()


def test_episodes_do_not_depend_on_how_many_processes_make_them(tmp_path):
    spec = default_host().spec("human/hands")
    for workers in (1, 2):
        generate(spec, tmp_path / str(workers), 3, workers=workers, image_px=16)
    for name in ("episode_000000.npz", "episode_000002.npz"):
        one, two = (np.load(tmp_path / str(workers) / name) for workers in (1, 2))
        assert set(one) == set(two)
        for key in one:
            np.testing.assert_array_equal(one[key], two[key])


def test_the_driver_is_the_same_episode_for_the_same_seed():
    driver = MujocoDriver(default_host().spec("unitree/g1_dex3"), image_px=32)
    driver.connect()
    states = []
    for seed in (4, 5, 4):
        driver.reset(seed)
        state = driver.read()
        states.append((state.wrists["right"], state.images["head"]))
    np.testing.assert_array_equal(states[0][0], states[2][0])
    np.testing.assert_array_equal(states[0][1], states[2][1])
    assert (states[0][1] != states[1][1]).any()
    assert driver.sides == ("right",)
    driver.stop()
    driver.stop()


@pytest.mark.parametrize(("settings", "shape"), [({}, (48, 80, 3)), ({"image_px": 32}, (32, 32, 3))])
def test_pictures_are_as_large_as_the_head_camera_of_the_spec(settings, shape):
    spec = default_host().spec("unitree/g1_dex3")
    head = CameraSpec(name="head", mount="head", height_px=48, width_px=80, rate_hz=30.0)
    driver = MujocoDriver(spec.model_copy(update={"sensors": (head,)}), **settings)
    driver.connect()
    assert driver.read().images["head"].shape == shape
    driver.stop()


def test_a_side_that_is_not_there_is_refused():
    from egoscale_sdk.errors import SpecError

    with pytest.raises(SpecError, match="no left hand"):
        MujocoDriver(default_host().spec("gripper/panda"), side="left")
