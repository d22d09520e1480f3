"""Synthetic recording sessions whose truth is known at every instant; shares nothing with the importer.

The truth is a function of the master clock: wrists that travel and turn, fingers that close. Every device samples it
at its own rate and writes stamps of its own clock, ``t_own = (t_master - offset) / (1 + drift)``.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import simplejpeg

from tests.human_hand import mirrored, right_hand
from tests.lerobot_v3_fixture import write_video

START, STOP = 1000.0, 1006.0  # of the master clock, seconds
CLOCKS = {"vive": (900.25, 80e-6), "manus": (-4321.125, -120e-6), "cam": (990.0, 0.0)}
SIDES = ("left", "right")
FINGERS = {"Thumb": 1, "Index": 5, "Middle": 9, "Ring": 13, "Pinky": 17}
PARTS = ("Proximal", "Intermediate", "Distal", "Tip")
MOUNT = {"left": (0.01, -0.02, -0.06), "right": (0.015, 0.01, -0.05)}  # of the wrist in the tracker's axes
MOUNT_QUAT = (np.cos(0.35), 0.0, np.sin(0.35), 0.0)


@cache
def wrist_pose(t: float, side: str) -> np.ndarray:
    """T_world_wrist at a time of the master clock."""
    s, sign = t - START, 1 if side == "right" else -1
    pose = _turn([0.4 * np.sin(0.7 * s) + 0.2, 0.5 * np.cos(0.4 * s), 0.3 * sign])
    pose[:3, 3] = [0.25 * sign + 0.05 * np.sin(s), 0.1 * np.cos(0.8 * s), 0.9 + 0.04 * np.sin(0.5 * s)]
    return pose


@cache
def head_camera_pose(t: float) -> np.ndarray:
    """T_world_camera at a time of the master clock."""
    pose = _turn([0.1 * np.sin(0.3 * (t - START)), 0.2, 0.0])
    pose[:3, 3] = [0.0, -0.2, 1.5 + 0.01 * np.sin(t - START)]
    return pose


@cache
def hand_points(t: float, side: str) -> np.ndarray:
    """Canonical keypoints ``(21, 3)`` in the canonical wrist frame: z to the middle knuckle, x out of the palm."""
    curl = 0.45 + 0.35 * np.sin(0.9 * (t - START) + np.arange(4) * 0.3)
    hand = right_hand(curl, thumb=(0.3, 0.2, 0.2))
    z = hand[9] / np.linalg.norm(hand[9])
    x = np.cross(hand[5] - hand[17], z)
    x /= np.linalg.norm(x)
    hand = hand @ np.stack([x, np.cross(z, x), z], axis=1)
    return hand if side == "right" else mirrored(hand)


def joint_turns(t: float) -> np.ndarray:
    """Rotations ``(21, 3, 3)`` of the canonical joints in wrist axes."""
    return np.stack([_turn([0.05 * n, 0.3 * np.sin(t - START + n), 0.1])[:3, :3] for n in range(21)])


def own_time(t: np.ndarray, clock: str) -> np.ndarray:
    """Stamps of a device's clock."""
    offset, drift = CLOCKS.get(clock, (0.0, 0.0))
    return (t - offset) / (1 + drift)


def write_session(folder: Path, *, clocks="sync", cameras=True, labels=None, **changes) -> Path:
    """Write a human session: two Vive trackers, one on the head, two Manus gloves, a head and two wrist cameras."""
    folder.mkdir(parents=True)
    trackers = np.arange(START - 0.5, STOP + 0.5, 1 / 90)
    gloves = np.arange(START - 0.5, STOP + 0.5, 1 / 120)
    for side in SIDES:
        write_poses(folder / f"{side}.csv", trackers, [tracker_pose(t, side) for t in trackers])
        np.savez(folder / f"{side}_glove.npz", time_s=own_time(gloves, "manus"), transforms=glove_frames(gloves, side))
    write_poses(folder / "head.csv", trackers, [head_camera_pose(t) for t in trackers])
    text = ['format = "egoscale-mocap/1"', 'kind = "human"', 'master = "host"', 'task = "fold the towel"']
    if clocks == "sync":
        write_sync(folder / "sync.csv")
        text.append('sync = "sync.csv"')
    text.append(f"labels = {_inline(labels or {'aligned_group': 'towel_07', 'scene': 'lab'})}")
    for name, (offset, drift) in CLOCKS.items():
        text += ["[[clocks]]", f'name = "{name}"']
        text += ["sync = true"] if clocks == "sync" else [f"offset_s = {offset}", f"drift_ppm = {drift * 1e6}"]
    for side in SIDES:
        text += ["[[trackers]]", f'target = "{side}_wrist"', f'file = "{side}.csv"', 'clock = "vive"']
        mount = {"xyz_m": list(MOUNT[side]), "quat_wxyz": list(map(float, MOUNT_QUAT))}
        text.append(f"T_tracker_target = {_inline(mount)}")
        text += ["[[gloves]]", f'side = "{side}"', f'file = "{side}_glove.npz"', 'clock = "manus"', 'layout = "manus"']
    text += ["[[trackers]]", 'target = "head"', 'file = "head.csv"', 'clock = "vive"', "T_tracker_target = {}"]
    if cameras:
        text += write_cameras(folder)
    body = "\n".join(text) + "\n"
    for old, new in changes.get("replace", ()):
        assert old in body
        body = body.replace(old, new)
    (folder / "session.toml").write_text(body + changes.get("more", ""))
    return folder


def write_cameras(folder: Path) -> list[str]:
    """A head camera as a video and two wrist cameras as JPEG folders; the grey value counts the frames."""
    text = []
    for name, rate in (("head", 30), ("left_wrist", 15), ("right_wrist", 15)):
        stamps = camera_stamps(rate)
        images = [np.full((24, 32, 3), n % 200 + 20, np.uint8) for n in range(len(stamps))]
        lines = ["time_s", *(repr(float(t)) for t in own_time(stamps, "cam"))]
        (folder / f"{name}.times.csv").write_text("\n".join(lines))
        text += ["[[cameras]]", f'name = "{name}"', f'mount = "{name}"', f'times = "{name}.times.csv"', 'clock = "cam"']
        if name == "head":
            write_video(folder / "head.mp4", images, rate)
            text += ['video = "head.mp4"', "intrinsics = [[50, 0, 16], [0, 50, 12], [0, 0, 1]]"]
            text += ["height_px = 24", "width_px = 32", "distortion = [0.1, 0.0]"]
        else:
            (folder / name).mkdir()
            for n, image in enumerate(images):
                data = simplejpeg.encode_jpeg(image, quality=95)
                (folder / name / f"{n:06d}.jpg").write_bytes(data)
            text.append(f'images = "{name}"')
    return text


def camera_stamps(rate: int) -> np.ndarray:
    """Times of the master clock at which a camera took its pictures; they jitter by up to 2 ms."""
    steady = np.arange(START, STOP, 1 / rate)
    return steady + np.random.default_rng(rate).uniform(0, 0.002, len(steady))


def write_poses(path: Path, times: np.ndarray, poses: list[np.ndarray], clock: str = "vive") -> None:
    """A tracker's CSV; a pose of None is a row of empty cells."""
    lines = ["time_s,x,y,z,qw,qx,qy,qz"]
    for t, pose in zip(own_time(times, clock), poses, strict=True):
        cells = [""] * 7 if pose is None else map(repr, map(float, [*pose[:3, 3], *_quaternion(pose[:3, :3])]))
        lines.append(",".join([repr(float(t)), *cells]))
    path.write_text("\n".join(lines))


@cache
def tracker_pose(t: float, side: str) -> np.ndarray:
    """Where the tracker is whose mounting is `MOUNT`: T_world_wrist @ inv(T_tracker_wrist)."""
    mount = _matrix_of(MOUNT_QUAT)
    mount[:3, 3] = MOUNT[side]
    return wrist_pose(t, side) @ np.linalg.inv(mount)


def glove_frames(times: np.ndarray, side: str) -> np.ndarray:
    """25 transforms ``(N, 25, 4, 4)`` in the glove's own axes, in Manus's order."""
    return _glove_frames(tuple(times.tolist()), side).copy()


@lru_cache(maxsize=32)
def _glove_frames(times: tuple[float, ...], side: str) -> np.ndarray:
    own = _turn([0.5, -1.0, 2.0])
    own[:3, 3] = [0.3, 0.2, 0.1]
    out = np.tile(np.eye(4), (len(times), 25, 1, 1))
    for n, t in enumerate(times):
        points = hand_points(t, side) @ own[:3, :3].T + own[:3, 3]
        turns = own[:3, :3] @ joint_turns(t)
        out[n, :5, :3, :3] = turns[:5]
        out[n, :5, :3, 3] = points[:5]
        for finger in range(4):
            first = 5 + 4 * finger
            out[n, 5 + 5 * finger, :3, 3] = 0.6 * points[0] + 0.4 * points[first]  # the metacarpal's base
            out[n, 6 + 5 * finger : 10 + 5 * finger, :3, 3] = points[first : first + 4]
            out[n, 6 + 5 * finger : 10 + 5 * finger, :3, :3] = turns[first : first + 4]
    return out


def write_sync(path: Path, noise_s: float = 0.0002, outlier: bool = True) -> None:
    """Eight claps over a minute that every clock saw, with 0.2 ms of noise; one clock missed one by far."""
    rng, lines = np.random.default_rng(1), ["event,clock,time_s"]
    for n, t in enumerate(np.linspace(START - 30, STOP + 30, 8)):
        lines.append(f"clap{n},host,{float(t)!r}")
        for clock in CLOCKS:
            wrong = 0.4 if outlier and clock == "manus" and n == 3 else 0.0
            lines.append(f"clap{n},{clock},{float(own_time(t, clock) + rng.normal(0, noise_s) + wrong)!r}")
    path.write_text("\n".join(lines))


def _inline(value) -> str:
    """A TOML inline value."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def _turn(rpy) -> np.ndarray:
    pose, (a, b, c) = np.eye(4), rpy
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    pose[:3, :3] = z @ y @ x
    return pose


def _matrix_of(wxyz) -> np.ndarray:
    w, x, y, z = wxyz
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return pose


def _quaternion(R: np.ndarray) -> list[float]:
    """Wxyz of a rotation whose angle is below 180 degrees."""
    w = np.sqrt(max(0.0, 1 + np.trace(R))) / 2
    return [w, (R[2, 1] - R[1, 2]) / (4 * w), (R[0, 2] - R[2, 0]) / (4 * w), (R[1, 0] - R[0, 1]) / (4 * w)]
