"""What a retargeting did to a dataset, hand by hand: keypoints and joints of the same frames, for judging them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from egoscale_sdk.data import Dataset, EpisodeRef
from egoscale_sdk.geometry import inverse_pose, transform_points
from egoscale_sdk.hands import keypoints_in_wrist, wrist_frame
from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.retargeting.quality import Floats, Points, thumb_first
from egoscale_sdk.specs import HandSpec


@dataclass(frozen=True)
class HandEvidence:
    """Frames of one side, N of them, all valid.

    Attributes:
        hand: The robot's.
        keypoints: ``(N, 21, 3)`` of the person, metres, canonical wrist axes.
        joints: ``(N, J)``.
        residual_m: ``(N,)``.
        episode: ``(N,)`` number of the episode.
        row: ``(N,)`` in the episode.
        fps: Frames per second.
    """

    hand: HandSpec
    keypoints: Floats
    joints: Floats
    residual_m: Floats
    episode: NDArray[np.int64]
    row: NDArray[np.int64]
    fps: float

    def robot_points(self) -> Points:
        """Points of the robot's fingers in its canonical wrist axes, the thumb first; see `quality`."""
        assert self.hand.tree is not None
        fingers = thumb_first(self.hand)
        frames = [frame.frame for finger in fingers for frame in finger.frames]
        ends = np.cumsum([0, *(len(finger.frames) for finger in fingers)])
        poses = ForwardKinematics(self.hand.tree, self.hand.joints, frames, self.hand.root)(
            torch.from_numpy(self.joints)
        )
        points = transform_points(inverse_pose(self.hand.T_root_wrist.matrix()), poses[..., :3, 3].numpy())
        return [np.asarray(points[:, start:stop], np.float64) for start, stop in pairwise(ends)]

    def acceleration(self) -> Floats:
        """Joint accelerations ``(M, J)``, rad/s2, of all frames between two neighbours."""
        next_row = (np.diff(self.row) == 1) & (np.diff(self.episode) == 0)
        both: Floats = np.diff(self.joints, n=2, axis=0)[next_row[1:] & next_row[:-1]]
        return both * self.fps**2


def gather(dataset: Dataset, action_set: str, most_frames: int) -> list[HandEvidence]:
    """Read the frames of a derived action set: of all episodes or evenly spread ones, at most so many a side."""
    target = dataset.action_set(action_set).spec
    assert target is not None  # a derived set holds its target
    rows = sum(episode.length for episode in dataset.episodes)
    episodes = dataset.episodes[:: max(1, -(-rows // most_frames))]
    return [_hand(dataset, action_set, hand, episodes, most_frames) for hand in target.hands]


def _hand(
    dataset: Dataset, action_set: str, hand: HandSpec, episodes: Sequence[EpisodeRef], most_frames: int
) -> HandEvidence:
    parts = [_episode(dataset, action_set, episode, hand, most_frames) for episode in episodes]
    empty = (np.zeros((0, 21, 3)), np.zeros((0, len(hand.actuated))), np.zeros(0), np.zeros(0), np.zeros(0))
    whole = [np.concatenate(columns)[:most_frames] for columns in zip(empty, *parts, strict=True)]
    keypoints, joints, residual, episode, row = whole
    numbers = episode.astype(np.int64), row.astype(np.int64)
    return HandEvidence(hand, keypoints, joints, residual, *numbers, dataset.declaration.fps)


def _episode(
    dataset: Dataset, action_set: str, episode: EpisodeRef, hand: HandSpec, most_frames: int
) -> tuple[Floats, ...]:
    """Keypoints, joints, residual, number of the episode and row of its valid frames."""
    person, robot = dataset.rows(episode, raw=False), dataset.rows(episode, action_set)
    layout, block = dataset.action_set(action_set).layout, f"{hand.side}_hand"
    group = layout.groups.index(block)
    rows = np.flatnonzero(robot.valid[:, group])[:most_frames]
    if block not in dataset.declaration.native.layout.blocks:
        rows = rows[:0]
    columns = dataset.declaration.native.layout.blocks.get(block, slice(0, 63))
    keypoints = person.action[rows, columns].reshape(-1, 21, 3).astype(np.float64)
    frame, known = wrist_frame(keypoints, hand.side)
    rows, keypoints = rows[known], np.asarray(keypoints_in_wrist(keypoints, frame)[known], np.float64)
    joints = robot.action[rows, layout.blocks[block]].astype(np.float64)
    residual = robot.raw["residual_m"][rows, group].astype(np.float64)
    return keypoints, joints, residual, np.full(len(rows), float(episode.index)), rows.astype(np.float64)
