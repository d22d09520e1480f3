"""Runs in an environment with the published lerobot package (``make lerobot-env``), not in the project's own.

    python lerobot_package.py write ROOT          a dataset of three episodes, two cameras, three tasks
    python lerobot_package.py read ROOT OUT.npz   every item of a dataset as the package gives it, and its statistics
    python lerobot_package.py edit ROOT OUT       the dataset without its first episode, joined with itself

Decoders: torchcodec if it finds FFmpeg, else pyav; ``read`` notes which.
"""

import json
import sys

import numpy as np

TASKS = ("reach", "lift", "put")
LENGTHS = (12, 7, 15)


def write(root: str) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    vector = {"dtype": "float32", "shape": (9,), "names": [f"joint_{n}" for n in range(9)]}
    video = {"dtype": "video", "shape": (48, 64, 3), "names": ["height", "width", "channels"]}
    features = {"observation.state": vector, "action": vector}
    features |= {f"observation.images.{name}": video for name in ("eye", "side")}
    dataset = LeRobotDataset.create("test/toy", 20, features, root=root, robot_type="toy_arm")
    rng = np.random.default_rng(0)
    for episode, rows in enumerate(LENGTHS):
        for row in range(rows):
            grey = 20 * episode + 8 * row + 10
            dataset.add_frame(
                {
                    "observation.state": rng.normal(size=9).astype(np.float32),
                    "action": rng.normal(size=9).astype(np.float32),
                    "observation.images.eye": np.full((48, 64, 3), grey, np.uint8),
                    "observation.images.side": np.full((48, 64, 3), 255 - grey, np.uint8),
                    "task": TASKS[episode] if row < 5 else TASKS[0],
                }
            )
        dataset.save_episode()
    dataset.finalize()


def read(root: str, out: str) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    backend = _backend()
    dataset = LeRobotDataset("test/any", root=root, video_backend=backend)
    items = [dataset[index] for index in range(len(dataset))]
    arrays = {"backend": np.array(backend), "features": np.array(json.dumps(dataset.meta.features))}
    arrays["tasks"] = np.array([item["task"] for item in items])
    for name in items[0]:
        if name.startswith("observation.images."):
            arrays[name] = np.stack([np.round(item[name].numpy() * 255).astype(np.uint8) for item in items])
        elif name != "task":
            arrays[name] = np.stack([item[name].numpy() for item in items])
    for name, figures in dataset.meta.stats.items():
        arrays |= {f"stats/{name}/{figure}": values for figure, values in figures.items()}
    delta = {"action": [0.0, 1 / dataset.fps], **{name: [-1 / dataset.fps, 0.0] for name in dataset.meta.camera_keys}}
    chunks = LeRobotDataset("test/any", root=root, video_backend=backend, delta_timestamps=delta)
    arrays["chunk"] = chunks[3]["action"].numpy()
    np.savez(out, **arrays)


def edit(root: str, out: str) -> None:
    from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("test/any", root=root, video_backend=_backend())
    rest = delete_episodes(dataset, [0], output_dir=f"{out}.rest", repo_id="test/rest")
    merge_datasets([dataset, rest], output_repo_id="test/merged", output_dir=out)


def _backend() -> str:
    try:
        from torchcodec.decoders import VideoDecoder  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        return "pyav"
    return "torchcodec"


if __name__ == "__main__":
    {"write": write, "read": read, "edit": edit}[sys.argv[1]](*sys.argv[2:])
