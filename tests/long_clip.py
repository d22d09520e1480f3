"""Retarget one long clip in a process of its own and print its peak memory."""

import resource
import sys

import numpy as np
import torch

from egoscale_sdk.data import Dataset
from egoscale_sdk.host import default_host
from egoscale_sdk.interfaces import Episode
from egoscale_sdk.retargeting import KeypointRetargeter
from egoscale_sdk.retargeting.dataset import retarget_dataset
from egoscale_sdk.specs import Provider
from tests import human_hand
from tests.data_kit import human_declaration

PIECE, PER_HOUR = 3000, 108_000
IDENTITY = [0, 0, 0, 1, 0, 0, 0, 1, 0]


def build(path, hours):
    """One episode: a motion of 100 s, there and back again, as often as it takes."""
    declaration, rows = human_declaration(), int(hours * PER_HOUR)
    layout = declaration.native.layout
    action = np.zeros((rows, layout.dim), np.float32)
    hands = {"right": human_hand.clip(PIECE, 1), "left": human_hand.mirrored(human_hand.clip(PIECE, 2))}
    for side, points in hands.items():
        there = points.reshape(PIECE, 63).astype(np.float32)
        both = np.concatenate([there, there[::-1]])
        action[:, layout.blocks[f"{side}_wrist"]] = IDENTITY
        action[:, layout.blocks[f"{side}_hand"]] = np.resize(both, (rows, 63))
    time_ns = np.arange(rows, dtype=np.int64) * 33_333_333
    valid = np.ones((rows, len(layout.groups)), np.uint8)
    Dataset.create(path, declaration).append([Episode(key="long", time_ns=time_ns, action=action, valid=valid)])


def retarget(path):
    torch.set_num_threads(1)
    target = default_host().spec("unitree/g1_dex3")
    retargeters = {hand.side: KeypointRetargeter(hand, iterations=1, rounds=1) for hand in target.hands}
    summary = retarget_dataset(Dataset.open(path), target, retargeters, Provider(distribution="x", version="1"))
    print(summary.hand_frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(sys.argv[2], float(sys.argv[3]))
    else:
        retarget(sys.argv[2])
