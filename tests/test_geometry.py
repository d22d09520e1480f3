"""Rigid transforms: conventions, round trips, and slow literal references (scipy, 4x4 inverses)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation, Slerp

from egoscale_sdk import geometry

seeds = st.integers(0, 2**32 - 1)
finite = st.floats(-10, 10, allow_subnormal=False)


def rotations(seed, count):
    return Rotation.random(count, rng=np.random.default_rng(seed)).as_matrix()


def poses(seed, *shape):
    count = int(np.prod(shape, dtype=int))
    rng = np.random.default_rng(seed)
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = Rotation.random(count, rng=rng).as_matrix()
    T[:, :3, 3] = rng.uniform(-3, 3, (count, 3))
    return T.reshape(*shape, 4, 4)


@given(seeds)
def test_pose_inverse_is_the_matrix_inverse(seed):
    T = poses(seed, 2, 3)
    np.testing.assert_allclose(geometry.inverse_pose(T), np.linalg.inv(T), atol=1e-12)


@given(seeds)
def test_points_move_by_the_pose(seed):
    T, p = poses(seed, 2), np.random.default_rng(seed).normal(size=(2, 5, 3))
    moved = geometry.transform_points(T, p)
    for b, n in np.ndindex(2, 5):
        np.testing.assert_allclose(moved[b, n], (T[b] @ [*p[b, n], 1])[:3], atol=1e-12)


@given(seeds)
def test_relative_poses_against_the_literal_formula_and_back(seed):
    reference, targets = poses(seed, 2), poses(seed + 1, 2, 4)
    relative = geometry.relative_poses(reference, targets)
    for b, k in np.ndindex(2, 4):
        np.testing.assert_allclose(relative[b, k], np.linalg.inv(reference[b]) @ targets[b, k], atol=1e-12)
    np.testing.assert_allclose(geometry.apply_relative(reference, relative), targets, atol=1e-12)


@given(seeds)
def test_mirror_is_an_involution_that_respects_products(seed):
    a, b = poses(seed, 2)
    mirror = geometry.mirror_pose
    np.testing.assert_allclose(mirror(a), geometry.MIRROR @ a @ geometry.MIRROR)
    np.testing.assert_allclose(mirror(mirror(a)), a)
    np.testing.assert_allclose(mirror(a @ b), mirror(a) @ mirror(b), atol=1e-12)


def test_quaternions_are_wxyz():
    quarter_turn_about_z = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    half = np.sqrt(0.5)
    np.testing.assert_allclose(geometry.quaternion_from_rotation(quarter_turn_about_z), [half, 0, 0, half])
    np.testing.assert_allclose(geometry.rotation_from_quaternion([half, 0, 0, half]), quarter_turn_about_z, atol=1e-15)
    np.testing.assert_array_equal(geometry.quat_xyzw_to_wxyz([1, 2, 3, 4]), [4, 1, 2, 3])


@given(seeds)
def test_quaternions_against_scipy(seed):
    R = rotations(seed, 4)
    q = geometry.quaternion_from_rotation(R)
    theirs = geometry.quat_xyzw_to_wxyz(Rotation.from_matrix(R).as_quat(canonical=True))
    np.testing.assert_allclose(q, theirs, atol=1e-12)
    np.testing.assert_allclose(geometry.rotation_from_quaternion(-3 * q), R, atol=1e-12)


@pytest.mark.parametrize("axis", np.eye(3))
def test_half_turns_have_a_quaternion_and_an_angle(axis):
    R = Rotation.from_rotvec(np.pi * axis).as_matrix()
    np.testing.assert_allclose(np.abs(geometry.quaternion_from_rotation(R)), [0, *axis], atol=1e-12)
    assert geometry.rotation_angle(np.eye(3), R) == pytest.approx(np.pi)


@given(seeds, st.floats(1e-9, np.pi - 1e-6))
def test_rotation_angle_is_exact_for_tiny_and_large_angles(seed, angle):
    axis = np.random.default_rng(seed).normal(size=3)
    A = rotations(seed, 1)[0]
    B = A @ Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix()
    assert geometry.rotation_angle(A, B) == pytest.approx(angle, rel=1e-5, abs=1e-12)


@given(seeds)
def test_rot6d_is_the_first_two_rows_and_round_trips(seed):
    R = rotations(seed, 3)
    rot6d = geometry.rot6d_from_rotation(R)
    np.testing.assert_array_equal(rot6d, np.concatenate([R[:, 0], R[:, 1]], axis=-1))
    np.testing.assert_allclose(geometry.rotation_from_rot6d(rot6d), R, atol=1e-12)


@given(hnp.arrays(np.float64, (4, 6), elements=finite))
def test_any_six_numbers_decode_to_a_rotation(rot6d):
    R = geometry.rotation_from_rot6d(rot6d)
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.broadcast_to(np.eye(3), R.shape), atol=1e-8)
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-8)


@given(seeds, st.floats(0.01, 100), st.floats(0.01, 100), st.floats(-3, 3))
def test_rot6d_decoding_ignores_scale_and_shear(seed, first, second, shear):
    R = rotations(seed, 1)[0]
    stretched = np.concatenate([first * R[0], second * R[1] + shear * R[0]])
    np.testing.assert_allclose(geometry.rotation_from_rot6d(stretched), R, atol=1e-9)


def test_degenerate_rot6d_is_the_identity():
    for rows in (np.zeros(6), [1, 0, 0, 2, 0, 0], [0, 0, 0, 0, 1, 0]):
        np.testing.assert_array_equal(geometry.rotation_from_rot6d(rows), np.eye(3))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rot6d_that_is_no_number_never_passes_for_a_rotation(bad):
    good = np.array([1.0, 0, 0, 0, 1, 0])
    for column in range(6):
        rot6d = np.stack([good, np.where(np.arange(6) == column, bad, good)])
        R = geometry.rotation_from_rot6d(rot6d)
        np.testing.assert_array_equal(R[0], np.eye(3))
        assert np.isnan(R[1]).all()
        assert not np.isfinite(geometry.pose_from_vec9([0.1, 0.2, 0.3, *rot6d[1]])).all()


@given(seeds)
def test_vec9_round_trip(seed):
    T = poses(seed, 2, 3)
    np.testing.assert_allclose(geometry.pose_from_vec9(geometry.vec9_from_pose(T)), T, atol=1e-12)


@given(hnp.arrays(np.float64, 3, elements=st.floats(-np.pi, np.pi)))
def test_rpy_is_urdf_fixed_axes(rpy):
    np.testing.assert_allclose(geometry.rotation_from_rpy(rpy), Rotation.from_euler("xyz", rpy).as_matrix(), atol=1e-12)


@given(seeds, st.booleans())
def test_interpolation_against_scipy_slerp(seed, far_from_zero):
    rng = np.random.default_rng(seed)
    start = 1_700_000_000_000_000_000 if far_from_zero else 0  # real stamps are too large for float64
    times = start + np.cumsum(rng.integers(1, 10**8, 6))
    T = poses(seed, 6)
    query = np.sort(rng.integers(times[0], times[-1] + 1, 8))
    found = geometry.interpolate_poses(times, T, query)
    seconds, at = (times - times[0]) * 1e-9, (query - times[0]) * 1e-9
    R = Slerp(seconds, Rotation.from_matrix(T[:, :3, :3]))(at).as_matrix()
    np.testing.assert_allclose(found[:, :3, :3], R, atol=1e-7)
    for axis in range(3):
        np.testing.assert_allclose(found[:, axis, 3], np.interp(at, seconds, T[:, axis, 3]), atol=1e-7)


def test_interpolation_hits_the_stamps_and_holds_the_ends():
    T = poses(3, 4, 2)  # two poses per stamp
    times = np.array([10, 20, 40, 80])
    np.testing.assert_allclose(geometry.interpolate_poses(times, T, times), T, atol=1e-9)
    held = geometry.interpolate_poses(times, T, [-5, 999])
    np.testing.assert_allclose(held, T[[0, -1]], atol=1e-9)
    np.testing.assert_allclose(geometry.interpolate_poses(times[:1], T[:1], [0, 10, 50]), T[[0, 0, 0]], atol=1e-9)


@given(seeds)
def test_blending_a_batch_is_blending_each(seed):
    a, b, share = poses(seed, 2, 3), poses(seed + 1, 2, 3), np.random.default_rng(seed).random((2, 3))
    blended = geometry.blend_poses(a, b, share)
    for i in np.ndindex(2, 3):
        R = Slerp([0, 1], Rotation.from_matrix([a[i][:3, :3], b[i][:3, :3]]))(share[i]).as_matrix()
        np.testing.assert_allclose(blended[i][:3, :3], R, atol=1e-7)
        np.testing.assert_allclose(blended[i][:3, 3], a[i][:3, 3] + share[i] * (b[i] - a[i])[:3, 3], atol=1e-12)


def test_interpolation_of_nearly_equal_rotations_is_finite_and_rigid():
    R = Rotation.from_rotvec([[0, 0, 0], [1e-9, 0, 0]]).as_matrix()
    T = geometry.make_pose(R, np.zeros((2, 3)))
    R = geometry.interpolate_poses([0, 100], T, np.arange(0, 101, 10))[:, :3, :3]
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.tile(np.eye(3), (11, 1, 1)), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_dtype_is_kept(dtype):
    T = poses(0, 3).astype(dtype)
    results = [
        geometry.inverse_pose(T),
        geometry.mirror_pose(T),
        geometry.relative_poses(T[0], T),
        geometry.pose_from_vec9(geometry.vec9_from_pose(T)),
        geometry.interpolate_poses([0, 1, 2], T, [0, 1]),
        geometry.rotation_from_quaternion(geometry.quaternion_from_rotation(T[:, :3, :3])),
    ]
    assert {result.dtype for result in results} == {np.dtype(dtype)}
