"""What the tests of importers share: running the command as a user does, and hands that move in a world."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from egoscale_sdk.cli import main
from egoscale_sdk.cli.importing import import_with
from egoscale_sdk.data import Dataset
from egoscale_sdk.errors import EgoscaleError
from egoscale_sdk.host import PluginHost
from tests.human_hand import mirrored, right_hand


class Import:
    """Runs ``egoscale import`` in this process, with the installed plugins or with those of ``host``."""

    def __init__(self, capsys, host: PluginHost | None = None) -> None:
        self.capsys, self.host = capsys, host

    def __call__(self, *words: object) -> dict:
        """Import, expecting success; returns the JSON summary."""
        self.capsys.readouterr()
        self._run([*map(str, words), "--json", "-q"])
        said = self.capsys.readouterr()
        assert said.err == ""
        return json.loads(said.out)

    def refused(self, *words: object) -> str:
        """Import, expecting exit code 2; returns the one line of the error."""
        self.capsys.readouterr()
        with pytest.raises((SystemExit, EgoscaleError)) as caught:
            self._run([*map(str, words), "-q"])
        said = self.capsys.readouterr().err
        if isinstance(caught.value, SystemExit):
            assert caught.value.code == 2
        lines = (said or str(caught.value)).splitlines()
        assert len(lines) == 1, lines
        return lines[0]

    def _run(self, words: list[str]) -> None:
        if self.host is None:
            main(["import", *words])
        else:
            import_with(self.host, words)


def only_rows(path: Path | str):
    """Rows of the only episode of a dataset."""
    dataset = Dataset.open(path)
    assert len(dataset.episodes) == 1
    return dataset.rows(0)


def moving_hands(rows: int = 12, seed: int = 0) -> np.ndarray:
    """World keypoints ``(T, 2, 21, 3)`` of two hands that wander, turn and close; x right, y down, z forward."""
    rng = np.random.default_rng(seed)
    out = np.zeros((rows, 2, 21, 3))
    for t in range(rows):
        curl = 0.3 + 0.4 * t / rows + 0.01 * rng.random(4)
        hand = right_hand(curl, thumb=(0.3, 0.2, 0.2))
        for side, points in enumerate((mirrored(hand), hand)):
            turn = _turn(0.1 * t + side, 0.05 * t)
            out[t, side] = points @ turn.T + [0.2 * (2 * side - 1) + 0.01 * t, 0.1, 0.5]
    return out


def walking_camera(rows: int) -> np.ndarray:
    """T_world_camera ``(T, 4, 4)`` of a head that moves a little; it looks along the world's z."""
    poses = np.tile(np.eye(4), (rows, 1, 1))
    for t in range(rows):
        poses[t, :3, :3] = _turn(0.02 * t, 0.01 * t)
        poses[t, :3, 3] = [0.005 * t, 0.002 * t, -0.003 * t]
    return poses


def in_camera(points: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """World points ``(T, 2, 21, 3)`` in the frame of each row's camera."""
    return np.stack([(p - T[:3, 3]) @ T[:3, :3] for p, T in zip(points, poses, strict=True)])


def _turn(yaw: float, roll: float) -> np.ndarray:
    c, s, d, e = np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.array([[d, -e, 0], [e, d, 0], [0, 0, 1]])
