"""Rigid transforms in numpy: poses, quaternions (wxyz), rot6d (first two rows), relative motion, interpolation.

Every function takes leading batch dimensions ``*b`` and keeps the floating dtype that it is given.
``T_a_b`` is the pose of b in a: ``p_a = T_a_b @ p_b``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])
_TINY = 1e-6


def make_pose(rotation: ArrayLike, translation: ArrayLike) -> Floats:
    """Assemble ``(*b, 4, 4)`` from a rotation ``(*b, 3, 3)`` and a translation ``(*b, 3)`` in metres."""
    R, t = _floats(rotation), _floats(translation)
    pose = np.zeros((*np.broadcast_shapes(R.shape[:-2], t.shape[:-1]), 4, 4), np.result_type(R, t))
    pose[..., :3, :3] = R
    pose[..., :3, 3] = t
    pose[..., 3, 3] = 1
    return pose


def inverse_pose(pose: ArrayLike) -> Floats:
    """Invert rigid transforms ``(*b, 4, 4)`` without solving: ``R^T``, ``-R^T t``."""
    T = _floats(pose)
    Rt = np.swapaxes(T[..., :3, :3], -1, -2)
    return make_pose(Rt, -(Rt @ T[..., :3, 3:])[..., 0])


def transform_points(pose: ArrayLike, points: ArrayLike) -> Floats:
    """Bring points ``(*b, N, 3)`` by ``pose (*b, 4, 4)``: ``p_a = T_a_b @ p_b``."""
    T = _floats(pose)
    moved: Floats = _floats(points) @ np.swapaxes(T[..., :3, :3], -1, -2) + T[..., None, :3, 3]
    return moved


def relative_poses(reference: ArrayLike, poses: ArrayLike) -> Floats:
    """Return ``reference^-1 @ poses`` for ``reference (*b, 4, 4)`` and ``poses (*b, H, 4, 4)``.

    A constant motion of the world from the left, ``G @ reference`` and ``G @ poses``, changes nothing.
    """
    relative: Floats = inverse_pose(reference)[..., None, :, :] @ _floats(poses)
    return relative


def apply_relative(reference: ArrayLike, relative: ArrayLike) -> Floats:
    """Undo `relative_poses`: ``reference (*b, 4, 4) @ relative (*b, H, 4, 4)``."""
    absolute: Floats = _floats(reference)[..., None, :, :] @ _floats(relative)
    return absolute


def mirror_pose(pose: ArrayLike) -> Floats:
    """Mirror poses ``(*b, 4, 4)`` in the plane y = 0: ``M T M`` with M = diag(1, -1, 1, 1)."""
    T = _floats(pose)
    signs = np.diag(MIRROR).astype(T.dtype)
    return signs[:, None] * T * signs


def rotation_angle(a: ArrayLike, b: ArrayLike) -> Floats:
    """Angle in [0, pi] rad between rotations ``(*b, 3, 3)``; exact for tiny and for half-turn angles."""
    R = np.swapaxes(_floats(a), -1, -2) @ _floats(b)
    sine = np.linalg.norm(_skew_part(R), axis=-1)
    cosine = np.trace(R, axis1=-2, axis2=-1) - 1
    angle: Floats = np.arctan2(sine, cosine)
    return angle


def rotation_from_rpy(rpy: ArrayLike) -> Floats:
    """Rotation ``(*b, 3, 3)`` of URDF's roll, pitch, yaw ``(*b, 3)`` rad: ``Rz(yaw) Ry(pitch) Rx(roll)``."""
    angles = _floats(rpy)
    (cr, cp, cy), (sr, sp, sy) = np.moveaxis(np.cos(angles), -1, 0), np.moveaxis(np.sin(angles), -1, 0)
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return _matrix(rows)


def rotation_from_quaternion(wxyz: ArrayLike) -> Floats:
    """Rotation ``(*b, 3, 3)`` of quaternions ``(*b, 4)`` in the order w, x, y, z; they are normalised first."""
    q = _floats(wxyz)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return _matrix(rows)


def quaternion_from_rotation(rotation: ArrayLike) -> Floats:
    """Unit quaternions ``(*b, 4)``, w, x, y, z with w >= 0, of rotations ``(*b, 3, 3)``.

    Each row of ``4 q q^T`` is a multiple of q; the one with the largest diagonal entry is the best conditioned.
    """
    R = _floats(rotation)
    a, b, c = R[..., 0, 0], R[..., 1, 1], R[..., 2, 2]
    sx, sy, sz = np.moveaxis(_skew_part(R), -1, 0)
    xy, xz, yz = R[..., 0, 1] + R[..., 1, 0], R[..., 0, 2] + R[..., 2, 0], R[..., 1, 2] + R[..., 2, 1]
    rows = [
        [1 + a + b + c, sx, sy, sz],
        [sx, 1 + a - b - c, xy, xz],
        [sy, xy, 1 - a + b - c, yz],
        [sz, xz, yz, 1 - a - b + c],
    ]
    outer = _matrix(rows)
    best = np.argmax(np.diagonal(outer, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(outer, best[..., None, None], axis=-2)[..., 0, :]
    unit: Floats = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(unit[..., :1] < 0, -unit, unit)


def quat_xyzw_to_wxyz(xyzw: ArrayLike) -> Floats:
    """Reorder quaternions ``(*b, 4)`` from x, y, z, w (as scipy, ROS, TUM files) to w, x, y, z."""
    return np.roll(_floats(xyzw), 1, axis=-1)


def rot6d_from_rotation(rotation: ArrayLike) -> Floats:
    """First two ROWS of ``(*b, 3, 3)``, flattened to ``(*b, 6)``."""
    R = _floats(rotation)
    return R[..., :2, :].reshape(*R.shape[:-2], 6)


def rotation_from_rot6d(rot6d: ArrayLike) -> Floats:
    """Rotation ``(*b, 3, 3)`` of any ``(*b, 6)`` by Gram-Schmidt on its two rows.

    Rows that span no plane (zeros of a masked wrist, parallel rows) give the identity. Rows with a value that is no
    finite number give NaN: it must not pass for a rotation.
    """
    d = _floats(rot6d)
    first, second = d[..., :3], d[..., 3:]
    x = _unit(first)
    y = _unit(second - (x * second).sum(-1, keepdims=True) * x)
    R = np.stack([x, y, np.cross(x, y)], axis=-2)
    spans = (np.linalg.norm(x, axis=-1) > 0.5) & (np.linalg.norm(y, axis=-1) > 0.5)
    R = np.where(spans[..., None, None], R, np.eye(3, dtype=d.dtype))
    known = np.isfinite(d)[..., None].all(-2, keepdims=True)  # (*b, 1, 1)
    return np.where(known, R, d.dtype.type(np.nan))


def vec9_from_pose(pose: ArrayLike) -> Floats:
    """Translation (metres) and rot6d of ``(*b, 4, 4)`` as ``(*b, 9)``: the wrist columns of a row."""
    T = _floats(pose)
    return np.concatenate([T[..., :3, 3], rot6d_from_rotation(T[..., :3, :3])], axis=-1)


def pose_from_vec9(vec9: ArrayLike) -> Floats:
    """Pose ``(*b, 4, 4)`` of ``(*b, 9)``; the rotation is re-orthonormalised, nothing is clipped."""
    v = _floats(vec9)
    return make_pose(rotation_from_rot6d(v[..., 3:]), v[..., :3])


def interpolate_poses(times_ns: ArrayLike, poses: ArrayLike, query_ns: ArrayLike) -> Floats:
    """Interpolate poses between time stamps: translation linearly, rotation by slerp along the shorter arc.

    Args:
        times_ns: ``(T,)`` int64, strictly increasing.
        poses: ``(T, *b, 4, 4)``.
        query_ns: ``(Q,)``; before the first and after the last stamp that pose is held (mask it where it matters).

    Returns:
        ``(Q, *b, 4, 4)``.
    """
    times, T, query = np.asarray(times_ns, np.int64), _floats(poses), np.asarray(query_ns, np.int64)
    before = np.clip(np.searchsorted(times, query, side="right") - 1, 0, len(times) - 1)
    after = np.minimum(before + 1, len(times) - 1)
    span = np.maximum(times[after] - times[before], 1)
    share = np.clip((query - times[before]) / span, 0, 1).astype(T.dtype)
    return blend_poses(T[before], T[after], share.reshape(-1, *(1,) * (T.ndim - 3)))


def blend_poses(a: ArrayLike, b: ArrayLike, share: ArrayLike) -> Floats:
    """Poses ``share (*b)`` of the way from ``a (*b, 4, 4)`` to ``b``: translation linearly, rotation by slerp."""
    start, end, part = _floats(a), _floats(b), _floats(share)[..., None]
    qa, qb = quaternion_from_rotation(start[..., :3, :3]), quaternion_from_rotation(end[..., :3, :3])
    t = (1 - part) * start[..., :3, 3] + part * end[..., :3, 3]
    return make_pose(rotation_from_quaternion(_slerp(qa, qb, part)), t)


def _slerp(a: Floats, b: Floats, share: Floats) -> Floats:
    dot = (a * b).sum(-1, keepdims=True)
    b = np.where(dot < 0, -b, b)
    angle = np.arccos(np.clip(np.abs(dot), 0, 1))
    sine = np.sin(angle)
    near = sine < _TINY  # there the arc is a chord
    safe = np.where(near, 1, sine)
    wa = np.where(near, 1 - share, np.sin((1 - share) * angle) / safe)
    wb = np.where(near, share, np.sin(share * angle) / safe)
    mixed: Floats = wa * a + wb * b
    return mixed


def _skew_part(R: Floats) -> Floats:
    """``2 sin(angle) * axis`` of rotations ``(*b, 3, 3)``."""
    return np.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], axis=-1)


def _unit(v: Floats) -> Floats:
    norm = np.linalg.norm(v, axis=-1, keepdims=True)
    return np.where(norm > _TINY, v / np.maximum(norm, _TINY), 0).astype(v.dtype)


def _matrix(rows: list[list[Floats]]) -> Floats:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _floats(values: ArrayLike) -> Floats:
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)
