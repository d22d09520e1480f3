"""A recorded episode as a driver: it shows what was seen and measured, and keeps what it is told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.images import decode
from egoscale_sdk.errors import DataError, SafetyError
from egoscale_sdk.geometry import pose_from_vec9
from egoscale_sdk.interfaces import Driver, RobotCommand, RobotState
from egoscale_sdk.specs import EmbodimentSpec, Side


class ReplayDriver(Driver):
    """Plays one episode of a robot's dataset in its own time; nothing that is written changes what comes next.

    Args:
        spec: The embodiment; the dataset must be of it.
        dataset: Path of the dataset.
        episode: Its number.

    Raises:
        DataError: the dataset is of another embodiment, has no measured state, or no such episode.
    """

    def __init__(self, spec: EmbodimentSpec, *, dataset: str, episode: int = 0) -> None:
        self.spec, self._path, self._episode = spec, dataset, episode
        self._dataset = Dataset.open(dataset)
        declaration = self._dataset.declaration
        if declaration.embodiment != spec.id:
            raise DataError(f"is a recording of {declaration.embodiment}, not of {spec.id}", where=dataset)
        if not declaration.has_state:
            raise DataError("has no measured state to play back", where=dataset)
        if not 0 <= episode < len(self._dataset.episodes):
            count = len(self._dataset.episodes)
            raise DataError(f"has no episode {episode}", where=dataset, allowed=[f"0..{count - 1}"])
        self._rows = self._dataset.rows(episode, raw=False)
        self._layout = declaration.native.layout
        self.sides: tuple[Side, ...] = tuple(side for side in self._layout.sides if self._is_there(side))
        self.prompt = self._dataset.episodes[episode].task
        self.commands: list[RobotCommand] = []
        self._now_s = 0.0

    def connect(self) -> None:
        """Begin the episode."""
        self._now_s, self.commands = 0.0, []

    def read(self) -> RobotState:
        """Return what had been measured last at this time of the episode."""
        time_ns = int(self._rows.time_ns[0] + 1e9 * self._now_s)
        row = self.row
        assert self._rows.state is not None, "checked when the driver was made"
        state = np.asarray(self._rows.state[row], np.float64)
        blocks = self._layout.blocks
        wrists = {side: pose_from_vec9(state[blocks[f"{side}_wrist"]]).astype(np.float64) for side in self.sides}
        hands = {side: state[blocks[f"{side}_hand"]] for side in self.sides}
        return RobotState(time_ns, wrists, hands, self._images(row))

    def write(self, command: RobotCommand) -> None:
        """Keep the command and go on by one control period.

        Raises:
            SafetyError: the episode is over.
        """
        if self.over:
            raise SafetyError("the recorded episode is over")
        self.commands.append(command)
        self._now_s += 1 / self.spec.control.rate_hz

    def stop(self) -> None:
        """Nothing is held."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras that were recorded."""
        return tuple(camera.name for camera in self._dataset.declaration.cameras)

    def deviation(self) -> dict[str, float]:
        """Return how far the commands were, on average, from the recorded ones.

        ``wrist_m`` is a distance, ``hand`` a mean absolute difference in the units of the hand.
        """
        period_ns = 1e9 / self.spec.control.rate_hz
        times = self._rows.time_ns[0] + (np.arange(len(self.commands)) + 1) * period_ns
        rows = np.clip(np.searchsorted(self._rows.time_ns, times, side="right") - 1, 0, len(self._rows.time_ns) - 1)
        wrist, hand = [], []
        for side in self.sides:
            recorded_wrist = self._rows.action[rows][:, self._layout.blocks[f"{side}_wrist"]]
            recorded_hand = self._rows.action[rows][:, self._layout.blocks[f"{side}_hand"]]
            told = [command.wrists[side][:3, 3] for command in self.commands]
            wrist.append(np.linalg.norm(np.array(told) - recorded_wrist[:, :3], axis=1).mean())
            hand.append(np.abs(np.array([command.hands[side] for command in self.commands]) - recorded_hand).mean())
        return {"wrist_m": float(np.mean(wrist)), "hand": float(np.mean(hand))}

    @property
    def row(self) -> int:
        """The row of the episode that is played now."""
        time_ns = self._rows.time_ns[0] + 1e9 * self._now_s
        return int(np.searchsorted(self._rows.time_ns, time_ns + 1, side="right") - 1)

    @property
    def seconds(self) -> float:
        """Duration of the episode."""
        return float(self._rows.time_ns[-1] - self._rows.time_ns[0]) / 1e9

    @property
    def over(self) -> bool:
        """Whether the last row has been played."""
        return bool(self._rows.time_ns[0] + 1e9 * self._now_s > self._rows.time_ns[-1])

    def _images(self, row: int) -> dict[str, NDArray[np.uint8]]:
        episode = self._dataset.episodes[self._episode]
        segment = self._dataset.segment(episode.segment)
        names = [camera.name for camera in self._dataset.declaration.cameras]
        jpegs = {name: segment.jpeg(name, episode.start + row) for name in names}
        return {name: decode(data, f"camera {name!r}, row {row}") for name, data in jpegs.items() if data is not None}

    def _is_there(self, side: Side) -> bool:
        valid = self._rows.state_valid
        columns = [self._layout.groups.index(f"{side}_{part}") for part in ("wrist", "hand")]
        return valid is not None and bool(np.asarray(valid)[:, columns].all())
