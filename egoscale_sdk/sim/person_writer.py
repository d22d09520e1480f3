"""Writing what a simulated person was seen to do: keypoints, head camera and pictures, in the exchange form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from egoscale_sdk.data.importers.exchange import ExchangeImages, write_exchange_episode
from egoscale_sdk.sim.demonstration import Demonstration
from egoscale_sdk.sim.task import PROMPT
from egoscale_sdk.sim.world import intrinsics
from egoscale_sdk.specs import SIDES, Side


class PersonWriter:
    """Writes one NPZ per episode; the other hand is absent, which is said, not zero-filled as if seen."""

    def __init__(self, folder: Path, side: Side, image_px: int) -> None:
        self._folder, self._column, self._image_px = folder, SIDES.index(side), image_px
        self._count = 0

    def add(self, episode: Demonstration, jpegs: Sequence[bytes]) -> None:
        """Write the next episode."""
        assert episode.keypoints is not None, "a person's demonstration has keypoints"
        keypoints = np.zeros((len(jpegs), 2, 21, 3))
        keypoints[:, self._column] = episode.keypoints
        valid = np.zeros((len(jpegs), 2))
        valid[:, self._column] = 1
        write_exchange_episode(
            self._folder / f"episode_{self._count:06d}.npz",
            time_ns=episode.time_ns,
            keypoints=keypoints,
            valid=valid,
            T_world_camera=episode.camera,
            images=ExchangeImages(jpegs, episode.time_ns, intrinsics(self._image_px, self._image_px)),
            task=PROMPT,
            labels={"success": episode.success},
        )
        self._count += 1

    def finish(self) -> None:
        """Nothing is left to write: every episode stands alone."""
