"""Draw shuffled samples from a LeRobot dataset as its own package reads them; run with that package's Python.

Prints CPU microseconds per sample. Arguments: folder, steps of a chunk, seconds per step, samples, seed.
"""

import json
import random
import sys
import time

import lerobot
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset

folder, horizon, dt, samples, seed = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
torch.set_num_threads(1)
chunk = {"action": [step * dt for step in range(horizon)]}
dataset = LeRobotDataset("made/up", root=folder, delta_timestamps=chunk, video_backend="torchcodec")
order = random.Random(seed).sample(range(len(dataset)), samples + 8)
for number in order[:8]:  # decoders are opened
    dataset[number]
began, batch = time.process_time(), []
for number in order[8:]:
    batch.append(dataset[number])
    if len(batch) == 32:
        for camera in dataset.meta.camera_keys:
            torch.stack([sample[camera] for sample in batch])
        batch = []
used = time.process_time() - began
print(json.dumps({"us": used / samples * 1e6, "version": lerobot.__version__}))
