"""Small datasets for the tests of the data layer: a made-up robot and a made-up person, smooth random motion."""

from __future__ import annotations

import numpy as np
import simplejpeg

from egoscale_sdk.data import declare
from egoscale_sdk.geometry import make_pose, rotation_from_rpy, vec9_from_pose
from egoscale_sdk.interfaces import Episode, ImageStream, LanguageSpan
from egoscale_sdk.specs import (
    CameraStream,
    ColumnSpec,
    ControlSpec,
    DatasetDeclaration,
    EmbodimentSpec,
    HandSpaceSpec,
    HandSpec,
    JointSpec,
    Provider,
)

PROVIDER = Provider(distribution="acme-hand", version="1.0")
PERIOD_NS = 33_333_333


def robot_spec(sides=("right",), joints=3, name="acme/hand@1", space="acme/claw@1") -> EmbodimentSpec:
    columns = tuple(ColumnSpec(name=f"joint_{n}", unit="rad") for n in range(joints))
    hand_space = HandSpaceSpec(id=space, columns=columns)
    hands = tuple(HandSpec(side=side, hand_space=hand_space, joints=_joints(side, joints)) for side in sides)
    return EmbodimentSpec(id=name, title="Acme", kind="robot", hands=hands, control=ControlSpec(rate_hz=30))


def _joints(side, count):
    return tuple(JointSpec(name=f"{side}_{n}", kind="revolute", lower_rad=-1.5, upper_rad=1.5) for n in range(count))


def human_spec() -> EmbodimentSpec:
    columns = tuple(ColumnSpec(name=f"p{n:02d}_{axis}", unit="m") for n in range(21) for axis in "xyz")
    space = HandSpaceSpec(id="human/keypoints21@1", columns=columns)
    hands = tuple(HandSpec(side=side, hand_space=space, representation="keypoints") for side in ("left", "right"))
    return EmbodimentSpec(
        id="human/hands@1", title="People", kind="human", hands=hands, control=ControlSpec(rate_hz=30)
    )


def robot_declaration(**fields) -> DatasetDeclaration:
    spec = fields.pop("spec", None) or robot_spec()
    return declare(spec, PROVIDER, fps=30.0, **fields)


def human_declaration(**fields) -> DatasetDeclaration:
    return declare(human_spec(), Provider(distribution="egoscale-human", version="1.0"), fps=30.0, **fields)


def camera(name="head", height=24, width=32) -> CameraStream:
    return CameraStream(name=name, height_px=height, width_px=width)


def smooth_rows(rng: np.random.Generator, rows: int, declaration: DatasetDeclaration, scale: float = 1.0) -> np.ndarray:
    """Random but smooth absolute rows: wrists that travel and turn, hands that move."""
    layout = declaration.native.layout
    out = np.zeros((rows, layout.dim), np.float32)
    t = np.arange(rows) / 30
    for group, block in layout.blocks.items():
        width = block.stop - block.start
        wave = lambda n: np.sin(rng.uniform(0.5, 3, n) * t[:, None] + rng.uniform(0, 6, n))  # noqa: E731
        if group.endswith("wrist"):
            out[:, block] = vec9_from_pose(make_pose(rotation_from_rpy(wave(3)), 0.3 * scale * wave(3)))
        else:
            out[:, block] = 0.05 * wave(width)
    return out


def jpeg(value: int, height=24, width=32) -> bytes:
    return simplejpeg.encode_jpeg(np.full((height, width, 3), value % 256, np.uint8), quality=95)


def episode(key: str, declaration: DatasetDeclaration, rows: int = 40, seed: int = 0, **fields) -> Episode:
    """An episode as declared; a camera shows an image every other row, whose grey value counts up."""
    rng = np.random.default_rng(seed)
    time_ns = 1_000_000_000 + np.arange(rows, dtype=np.int64) * PERIOD_NS
    action = smooth_rows(rng, rows, declaration)
    lag = np.maximum(np.arange(rows) - 3, 0)
    groups = len(declaration.native.layout.groups)
    images = {
        stream.name: ImageStream(
            [jpeg(2 * n, stream.height_px, stream.width_px) for n in range(0, rows, 2)], time_ns[::2], {"fx": 100.0}
        )
        for stream in declaration.cameras
    }
    values = {
        "action": action,
        "valid": np.ones((rows, groups), np.uint8),
        "state": action[lag] if declaration.has_state else None,
        "images": images,
        "language": [LanguageSpan("pick the cube", 0, rows), LanguageSpan("lift", rows // 2, rows, "subtask")],
        "labels": {"task": "pick", "success": True, "objects": ["cube", "table"], "note": 3},
    }
    return Episode(key=key, time_ns=fields.pop("time_ns", time_ns), **(values | fields))
