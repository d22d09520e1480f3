"""The default action space: chunk-relative wrist poses and absolute hand columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import Floats, apply_relative, pose_from_vec9, relative_vec9, vec9_from_pose
from egoscale_sdk.interfaces.action_space import ActionSpace, Chunk
from egoscale_sdk.specs import WRIST_DIM, RowLayout


class WristHandSpace(ActionSpace):
    """``dW^k = (W^0)^-1 W^k`` for every wrist (9 columns each), hand columns as they are.

    Two hands of 22 joints make the 62 columns of EgoScale. A motion of the world, ``G W`` for any constant G,
    leaves a chunk unchanged; a masked column is 0 whatever stood there, and changes no other column.
    """

    def __init__(self, layout: RowLayout) -> None:
        self.layout = layout
        self._wrists = [layout.blocks[f"{side}_wrist"] for side in layout.sides]
        widths = [block.stop - block.start for block in layout.blocks.values()]
        self._group_of_column = np.repeat(np.arange(len(widths)), widths)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every column of a chunk."""
        return self.layout.names

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of every column: m, rad or 1."""
        return self.layout.units

    def encode(
        self, trajectory: Floats, valid: NDArray[np.bool_], state: Floats, state_valid: NDArray[np.bool_]
    ) -> Chunk:
        """Make the chunk of target rows ``(*b, H, D)`` relative to the measured row ``(*b, D)``.

        ``valid (*b, H, G)`` and ``state_valid (*b, G)`` are per group; only the wrists of the state are read.
        Computed in float64, returned in the trajectory's dtype.
        """
        known = np.asarray(state_valid, bool).copy()
        known[..., len(self._wrists) :] = True  # a hand needs no reference
        mask = self.column_mask(np.asarray(valid, bool) & known[..., None, :])
        values = np.where(mask, trajectory, trajectory.dtype.type(0))
        wrists = slice(0, WRIST_DIM * len(self._wrists))  # they come first
        rows = values[..., wrists].astype(np.float64)
        reference = np.where(mask.any(-2), state, 0)[..., wrists].astype(np.float64)
        by_wrist = (*mask.shape[:-1], len(self._wrists), WRIST_DIM)  # (*b, H, W, 9)
        relative = relative_vec9(
            reference.reshape(*by_wrist[:-3], *by_wrist[-2:]), rows.reshape(by_wrist).swapaxes(-3, -2)
        )
        values[..., wrists] = np.where(mask[..., wrists], relative.swapaxes(-3, -2).reshape(rows.shape), 0)
        return Chunk(values, mask)

    def decode(self, chunk: Floats, state: Floats) -> Floats:
        """Make absolute rows ``(*b, H, D)`` of a chunk and the measured row ``(*b, D)``.

        rot6d is re-orthonormalised, never clipped; a masked wrist (zeros) decodes to the measured pose.
        """
        rows = np.asarray(chunk, np.float64).copy()
        for block in self._wrists:
            reference = pose_from_vec9(np.asarray(state, np.float64)[..., block])
            rows[..., block] = vec9_from_pose(apply_relative(reference, pose_from_vec9(rows[..., block])))
        return rows.astype(chunk.dtype)

    def column_mask(self, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Spread a mask over groups ``(*b, G)`` to one over columns ``(*b, D)``."""
        return valid[..., self._group_of_column]
