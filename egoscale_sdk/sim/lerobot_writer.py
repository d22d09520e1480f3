"""Writing demonstrations of a robot hand as a LeRobot v2.1 dataset: images inside the parquet files, no video."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from egoscale_sdk.errors import require_extra
from egoscale_sdk.geometry import Floats, vec9_from_pose
from egoscale_sdk.sim.demonstration import Demonstration
from egoscale_sdk.sim.task import PROMPT, RATE_HZ
from egoscale_sdk.sim.world import CAMERA
from egoscale_sdk.specs import WRIST_DIM, EmbodimentSpec, RecordingLayout, Side
from egoscale_sdk.specs.layout import WRIST_COLUMNS

CHUNK = 1000
OWN = "egoscale_sim_"
_IMAGES = f"observation.images.{CAMERA}"
_INDEX_COLUMNS = ("frame_index", "episode_index", "index", "task_index")


class LeRobotWriter:
    """Writes one episode after another; the folder is a readable dataset once `finish` has written its metadata.

    ``observation.state`` is measured and ``action`` is commanded, both ``[wrist xyz and rot6d | hand joints]``.
    """

    def __init__(self, folder: Path, spec: EmbodimentSpec, side: Side, image_px: int) -> None:
        require_extra("pyarrow", "lerobot", "writing a LeRobot dataset")
        self._folder, self._image_px = folder, image_px
        self._robot_type = robot_type(spec, side)
        columns = [column.name for column in spec.hand(side).hand_space.columns]
        self._names = [f"{side}_wrist.{name}" for name in WRIST_COLUMNS] + [f"{side}_hand.{name}" for name in columns]
        self._lengths: list[int] = []

    def add(self, episode: Demonstration, jpegs: Sequence[bytes]) -> None:
        """Write the next episode."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        index, length = len(self._lengths), len(jpegs)
        frames = np.arange(length)
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns: dict[str, Any] = {
            _IMAGES: pa.array([{"bytes": jpeg, "path": None} for jpeg in jpegs], image),
            "observation.state": _vectors(episode.wrist, episode.joints),
            "action": _vectors(episode.wrist_command, episode.joint_command),
            "timestamp": pa.array((episode.time_ns / 1e9).astype(np.float32)),
            "frame_index": pa.array(frames),
            "episode_index": pa.array(np.full(length, index)),
            "index": pa.array(frames + sum(self._lengths)),
            "task_index": pa.array(np.zeros(length, np.int64)),
        }
        path = self._folder / f"data/chunk-{index // CHUNK:03d}/episode_{index:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        self._lengths.append(length)

    def finish(self) -> None:
        """Write ``meta/``."""
        meta = self._folder / "meta"
        meta.mkdir(parents=True, exist_ok=True)
        rows = [{"episode_index": i, "tasks": [PROMPT], "length": n} for i, n in enumerate(self._lengths)]
        _write_lines(meta / "episodes.jsonl", rows)
        _write_lines(meta / "tasks.jsonl", [{"task_index": 0, "task": PROMPT}])
        (meta / "info.json").write_text(json.dumps(self._info(), indent=2))

    def _info(self) -> dict[str, Any]:
        episodes = len(self._lengths)
        vector = {"dtype": "float32", "shape": [len(self._names)], "names": [self._names]}
        image = {
            "dtype": "image",
            "shape": [self._image_px, self._image_px, 3],
            "names": ["height", "width", "channels"],
        }
        index = {"dtype": "int64", "shape": [1], "names": None}
        return {
            "codebase_version": "v2.1",
            "robot_type": self._robot_type,
            "total_episodes": episodes,
            "total_frames": sum(self._lengths),
            "total_tasks": 1,
            "total_videos": 0,
            "total_chunks": -(-episodes // CHUNK),
            "chunks_size": CHUNK,
            "fps": round(RATE_HZ),
            "splits": {"train": f"0:{episodes}"},
            "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
            "video_path": None,
            "features": {
                "observation.state": vector,
                "action": vector,
                _IMAGES: image,
                "timestamp": {"dtype": "float32", "shape": [1], "names": None},
                **dict.fromkeys(_INDEX_COLUMNS, index),
            },
        }


def robot_type(spec: EmbodimentSpec, side: Side) -> str:
    """Return the name under which the spec says it knows our own simulation's recordings of one hand.

    A spec that says nothing gets a name of the same form; importing it then needs a table of that name.
    """
    known = (layout.robot_type for layout in spec.recordings if _is_ours(layout, spec, side))
    return next(known, OWN + spec.id.split("@")[0].replace("/", "_") + f"_{side}")


def _is_ours(layout: RecordingLayout, spec: EmbodimentSpec, side: Side) -> bool:
    end = WRIST_DIM + spec.hand(side).hand_space.dim
    wanted = [(0, WRIST_DIM, f"{side}_wrist"), (WRIST_DIM, end, f"{side}_hand")]
    blocks = [(block.start, block.stop, block.part) for block in layout.action]
    return layout.robot_type.startswith(OWN) and blocks == wanted


def _vectors(wrist: Floats, joints: Floats) -> Any:
    import pyarrow as pa

    rows = np.concatenate([vec9_from_pose(wrist), joints], axis=1).astype(np.float32)
    return pa.array(list(rows), pa.list_(pa.float32()))


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
