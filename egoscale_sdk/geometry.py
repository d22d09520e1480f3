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


def relative_vec9(reference: ArrayLike, vec9: ArrayLike) -> Floats:
    """`relative_poses` of wrist columns: ``reference (*b, 9)`` and ``vec9 (*b, H, 9)`` give ``(*b, H, 9)``."""
    a, b = (np.ascontiguousarray(np.moveaxis(_floats(v), -1, 0)) for v in (reference, vec9))
    inverse, columns = _axes(a[3:])[..., None], np.empty((3, 4, *b.shape[1:]), b.dtype)  # (3, 3, *b, 1), (3, 4, *b, H)
    columns[:, 0], columns[:, 1:] = b[:3] - a[:3, ..., None], _axes(b[3:])
    moved = [(inverse[:, row, None] * columns).sum(0) for row in range(3)]  # (4, *b, H)
    relative: Floats = np.stack([moved[0][0], moved[1][0], moved[2][0], *moved[0][1:], *moved[1][1:]], axis=-1)
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
    return np.ascontiguousarray(np.moveaxis(_axes(np.moveaxis(_floats(rot6d), -1, 0)), (0, 1), (-2, -1)))


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


def _axes(rot6d: Floats) -> Floats:
    """Rows of rotations ``(3, 3, *b)`` of rot6d ``(6, *b)``: columns first, since numpy is quick along long axes."""
    first, second = rot6d[:3], rot6d[3:]
    R = np.empty((3, 3, *rot6d.shape[1:]), rot6d.dtype)
    with np.errstate(invalid="ignore"):  # what is not finite is marked below
        R[0] = x = _unit(first)
        R[1] = y = _unit(second - (x * second).sum(0) * x)
    R[2] = x[[1, 2, 0]] * y[[2, 0, 1]] - x[[2, 0, 1]] * y[[1, 2, 0]]
    flat = ((R[:2] ** 2).sum(1) < 0.25).any(0)
    if flat.any():
        R[..., flat] = np.eye(3, dtype=R.dtype)[..., None]
    unknown = ~np.isfinite(rot6d).all(0)
    if unknown.any():
        R[..., unknown] = np.nan
    return R


def _unit(v: Floats) -> Floats:
    """Unit vectors of ``(3, *b)``; zero where there is no direction."""
    norm = np.sqrt((v * v).sum(0))
    unit: Floats = np.where(norm > _TINY, v / np.maximum(norm, _TINY), 0).astype(v.dtype)
    return unit


def _matrix(rows: list[list[Floats]]) -> Floats:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _floats(values: ArrayLike) -> Floats:
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)
