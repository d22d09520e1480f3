"""Writes small LeRobot v3.0 datasets in the documented layout, several episodes to a file; shares nothing with us."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np

CAMERAS = ("observation.images.eye", "observation.images.side")
FPS = 20
HEIGHT, WIDTH = 48, 64


def write_lerobot_v3(root: Path, lengths=(12, 7, 15, 9), *, per_file=2, tasks=None, stats=True, groups=None) -> Path:
    """Write a dataset of two cameras; ``per_file`` episodes share a parquet file and a video, each with its own.

    Episode e has the task e % 2, or ``tasks(e)`` (rows). ``groups``: rows per row group; an episode each if None.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("reach", "lift")
    tables = [_table(e, n, sum(lengths[:e]), (tasks or (lambda e: None))(e)) for e, n in enumerate(lengths)]
    records = []
    for first in range(0, len(lengths), per_file):
        chosen = range(first, min(first + per_file, len(lengths)))
        file = first // per_file
        path = root / f"data/chunk-000/file-{file:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        if groups is None:
            with pq.ParquetWriter(path, tables[first].schema) as writer:
                for e in chosen:
                    writer.write_table(tables[e])
        else:
            pq.write_table(pa.concat_tables([tables[e] for e in chosen]), path, row_group_size=groups)
        for camera in CAMERAS:
            write_video(
                root / f"videos/{camera}/chunk-000/file-{file:03d}.mp4",
                [frame(camera, e, n) for e in chosen for n in range(lengths[e])],
            )
        for e in chosen:
            seconds = sum(lengths[first:e]) / FPS
            record = {
                "episode_index": e,
                "tasks": [names[e % 2]],
                "length": lengths[e],
                "data/chunk_index": 0,
                "data/file_index": file,
                "dataset_from_index": sum(lengths[:e]),
                "dataset_to_index": sum(lengths[: e + 1]),
            }
            for camera in CAMERAS:
                record |= {f"videos/{camera}/chunk_index": 0, f"videos/{camera}/file_index": file}
                record |= {f"videos/{camera}/from_timestamp": seconds}
                record |= {f"videos/{camera}/to_timestamp": seconds + lengths[e] / FPS}
            if stats:
                record |= {"stats/action/mean": vectors(e, lengths[e])[1].mean(0).tolist()}
            records.append(record)
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(records), root / "meta/episodes/chunk-000/file-000.parquet")
    table = pa.table({"task_index": [0, 1], "__index_level_0__": list(names)})
    pq.write_table(table, root / "meta/tasks.parquet")
    (root / "meta/info.json").write_text(json.dumps(_info(lengths)))
    return root


def vectors(episode: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """State and action ``(rows, 9)`` float32."""
    t = np.arange(rows)[:, None] * 0.05 + np.arange(9) + episode
    return (0.3 * np.sin(t)).astype(np.float32), (0.3 * np.sin(t) + 0.01).astype(np.float32)


def frame(camera: str, episode: int, row: int) -> np.ndarray:
    """An image whose grey value tells camera, episode and row."""
    value = 20 * episode + 8 * row + 10
    return np.full((HEIGHT, WIDTH, 3), value if camera == CAMERAS[0] else 255 - value, np.uint8)


def write_video(path: Path, frames, fps: int = FPS, codec: str = "libx264") -> None:
    """Write frames at a constant rate."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps), options={"g": "4", "crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def _table(episode: int, rows: int, start: int, tasks):
    import pyarrow as pa

    state, action = vectors(episode, rows)
    row = np.arange(rows)
    wide = pa.list_(pa.float32(), 9)
    return pa.table(
        {
            "observation.state": pa.array(state.tolist(), wide),
            "action": pa.array(action.tolist(), wide),
            "timestamp": pa.array(row / FPS, pa.float32()),
            "frame_index": pa.array(row, pa.int64()),
            "episode_index": pa.array(np.full(rows, episode), pa.int64()),
            "index": pa.array(start + row, pa.int64()),
            "task_index": pa.array(np.full(rows, episode % 2) if tasks is None else tasks, pa.int64()),
        }
    )


def _info(lengths) -> dict:
    vector = {"dtype": "float32", "shape": [9], "names": [f"joint_{n}" for n in range(9)]}
    video = {"dtype": "video", "shape": [HEIGHT, WIDTH, 3], "names": ["height", "width", "channels"]}
    number = {"dtype": "int64", "shape": [1], "names": None}
    return {
        "codebase_version": "v3.0",
        "robot_type": "toy_arm",
        "total_episodes": len(lengths),
        "total_frames": sum(lengths),
        "total_tasks": 2,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": FPS,
        "splits": {"train": f"0:{len(lengths)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {
            "observation.state": vector,
            "action": vector,
            **dict.fromkeys(CAMERAS, video),
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), number),
        },
    }
