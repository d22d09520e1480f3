"""Pictures: rays draw what OpenGL draws, and the declared intrinsics say where things appear."""

import numpy as np
import pytest

from egoscale_sdk.geometry import inverse_pose
from egoscale_sdk.host import default_host
from egoscale_sdk.sim.render import GlRenderer, RayRenderer
from egoscale_sdk.sim.task import draw_scene
from egoscale_sdk.sim.world import CAMERA, HandWorld, intrinsics


def scenes(count):
    world = HandWorld(default_host().spec("sharpa/wave").hand("right"))
    for seed in range(count):
        scene = draw_scene(np.random.default_rng(seed), world)
        world.reset(scene.wrist, np.zeros(22), scene.object_xy, scene.camera)
        yield world, scene


def test_rays_and_opengl_draw_nearly_the_same_picture():
    gl = rays = None
    for world, _ in scenes(6):
        if gl is None:
            try:
                gl = GlRenderer(world.model, 96, 96)
            except Exception as error:
                pytest.skip(f"no OpenGL here: {error}")
            rays = RayRenderer(world.model, 96, 96)
        a, b = (renderer.render(world.data, CAMERA).astype(int) for renderer in (gl, rays))
        assert (np.abs(a - b).max(axis=-1) > 24).mean() < 0.01  # single pixels along edges
        assert np.abs(a - b).mean() < 1.0
    gl.close()


def test_rays_see_every_geom_from_straight_above():
    """A renderer that loses a capsule would leave the table's colour where the capsule is."""
    for world, _ in scenes(3):
        renderer = RayRenderer(world.model, 128, 128)
        picture = renderer.render(world.data, CAMERA)
        camera = world.data.camera(CAMERA)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = camera.xmat.reshape(3, 3) @ np.diag([1, -1, -1]), camera.xpos
        K, table = intrinsics(128, 128), picture[-1, 0].astype(int)
        for geom in range(world.model.ngeom):
            point = inverse_pose(pose) @ np.append(world.data.geom_xpos[geom], 1)
            u, v = (K @ (point[:3] / point[2]))[:2].round().astype(int)
            if world.model.geom(geom).name != "table" and 0 <= u < 128 and 0 <= v < 128:
                assert np.abs(picture[v, u] - table).max() > 20, world.model.geom(geom).name


def test_the_object_is_where_camera_pose_and_intrinsics_say():
    for world, scene in scenes(8):
        picture = world.picture(64, 64).astype(int)
        red = (picture[..., 0] > 100) & (picture[..., 1] < 60)
        top = np.append(world.object_position + np.array([0, 0, 0.07]), 1)
        point = (inverse_pose(scene.camera) @ top)[:3]
        u, v = (intrinsics(64, 64) @ (point / point[2]))[:2]
        rows, columns = np.nonzero(red)
        assert columns.min() - 1 <= u <= columns.max() + 1
        assert rows.min() - 1 <= v <= rows.max() + 1
        assert len(rows) > 20, "the object must be seen"


def test_a_picture_is_a_function_of_the_scene():
    pictures = [[world.picture(64, 64).copy() for world, _ in scenes(2)] for _ in range(2)]
    np.testing.assert_array_equal(pictures[0], pictures[1])
