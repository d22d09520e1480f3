"""Writes small LeRobot datasets for tests; shares nothing with the importer."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np


def write_lerobot(root: Path, *, episodes=2, rows=10, robot_type="toy_arm", version="v2.1", **change) -> Path:
    """Write a dataset with ``image`` pictures (JPEG and PNG in turn) in the parquet files.

    ``change``: state, action (functions of the episode number), fps, tasks (function), pictures (bool).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    state, action = change.get("state", _wave), change.get("action", lambda n: _wave(n) + 0.01)
    pictures, fps = change.get("pictures", True), change.get("fps", 20)
    (root / "meta").mkdir(parents=True)
    (root / "data/chunk-000").mkdir(parents=True)
    features = {
        "observation.state": {"dtype": "float32", "shape": [state(0).shape[1]], "names": None},
        "action": {"dtype": "float32", "shape": [action(0).shape[1]], "names": None},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        "task_index": {"dtype": "int64", "shape": [1], "names": None},
    }
    if pictures:
        features["observation.images.eye"] = {"dtype": "image", "shape": [8, 12, 3], "names": ["h", "w", "c"]}
    for n in range(episodes):
        columns = {
            "observation.state": pa.array(state(n).tolist(), pa.list_(pa.float32())),
            "action": pa.array(action(n).tolist(), pa.list_(pa.float32())),
            "timestamp": pa.array(np.arange(rows) / fps, pa.float32()),
            "task_index": pa.array(change.get("tasks", lambda n: [0] * rows)(n), pa.int64()),
        }
        if pictures:
            cells = [{"bytes": picture(row), "path": f"{row}.png"} for row in range(rows)]
            columns["observation.images.eye"] = pa.array(
                cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            )
        pq.write_table(pa.table(columns), root / f"data/chunk-000/episode_{n:06d}.parquet")
    info = {
        "codebase_version": version,
        "robot_type": robot_type,
        "fps": fps,
        "chunks_size": 1000,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": features,
    }
    (root / "meta/info.json").write_text(json.dumps(info))
    lines = [{"episode_index": n, "tasks": ["reach"], "length": rows} for n in range(episodes)]
    (root / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    tasks = [{"task_index": n, "task": task} for n, task in enumerate(("reach", "lift"))]
    (root / "meta/tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    return root


def picture(row: int) -> bytes:
    """An 8 x 12 picture whose red channel grows with the row: JPEG for even rows, PNG for odd ones."""
    from PIL import Image

    out = io.BytesIO()
    pixels = np.zeros((8, 12, 3), np.uint8)
    pixels[..., 0] = 20 * row
    Image.fromarray(pixels).save(out, "PNG" if row % 2 else "JPEG", **({} if row % 2 else {"quality": 95}))
    return out.getvalue()


def _wave(episode: int) -> np.ndarray:
    t = np.arange(10)[:, None]
    return 0.3 * np.sin(0.2 * t + np.arange(9)[None] + episode)
