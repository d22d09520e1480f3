"""One fault each, for the checks of the family ACT."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import Floats, inverse_pose, pose_from_vec9, vec9_from_pose
from egoscale_sdk.hands import WristHandSpace
from egoscale_sdk.interfaces import Chunk
from egoscale_sdk.testing.fakes.good import good
from egoscale_sdk.testing.subject import Subject

Bools = NDArray[np.bool_]


class _NamesWithoutSides(WristHandSpace):
    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name.split(".")[1] for name in super().names)


class _MultipliesFromTheRight(WristHandSpace):
    """``dW^k = W^k (W^0)^-1``, both ways."""

    def encode(self, trajectory: Floats, valid: Bools, state: Floats, state_valid: Bools) -> Chunk:
        chunk = super().encode(trajectory, valid, state, state_valid)
        for block in self._wrists:
            reference = inverse_pose(pose_from_vec9(state[..., None, block]))
            chunk.values[..., block] = vec9_from_pose(pose_from_vec9(trajectory[..., block]) @ reference)
        return chunk

    def decode(self, chunk: Floats, state: Floats) -> Floats:
        rows = np.array(chunk)
        for block in self._wrists:
            reference = pose_from_vec9(state[..., None, block])
            rows[..., block] = vec9_from_pose(pose_from_vec9(chunk[..., block]) @ reference)
        return rows


class _DecodesInTheWorld(WristHandSpace):
    """Adds the decoded translation along the axes of the world."""

    def decode(self, chunk: Floats, state: Floats) -> Floats:
        rows = super().decode(chunk, state)
        for block in self._wrists:
            place = slice(block.start, block.start + 3)
            rows[..., place] = state[..., None, place] + chunk[..., place]
        return rows


class _TranslatesInTheWorld(WristHandSpace):
    """Wrist translations along the axes of the world, both ways."""

    def encode(self, trajectory: Floats, valid: Bools, state: Floats, state_valid: Bools) -> Chunk:
        chunk = super().encode(trajectory, valid, state, state_valid)
        for block in self._wrists:
            place = slice(block.start, block.start + 3)
            chunk.values[..., place] = trajectory[..., place] - state[..., None, place]
        return chunk

    decode = _DecodesInTheWorld.decode


class _AbsoluteWrists(WristHandSpace):
    def encode(self, trajectory: Floats, valid: Bools, state: Floats, state_valid: Bools) -> Chunk:
        origin = np.zeros_like(state)  # decodes to the identity
        return super().encode(trajectory, valid, origin, state_valid)

    def decode(self, chunk: Floats, state: Floats) -> Floats:
        return super().decode(chunk, np.zeros_like(state))


class _MultipliesByTheMask(WristHandSpace):
    def encode(self, trajectory: Floats, valid: Bools, state: Floats, state_valid: Bools) -> Chunk:
        mask = super().encode(trajectory, valid, state, state_valid).mask
        return Chunk(super().encode(trajectory, np.ones_like(valid), state, state_valid).values * mask, mask)


class _AnyReference(WristHandSpace):
    def encode(self, trajectory: Floats, valid: Bools, state: Floats, state_valid: Bools) -> Chunk:
        return super().encode(trajectory, valid, state, np.ones_like(state_valid))


class _ClipsToOne(WristHandSpace):
    def decode(self, chunk: Floats, state: Floats) -> Floats:
        return super().decode(np.clip(chunk, -1, 1), state)


class _OneReferencePerCall(WristHandSpace):
    """Takes the first reference of a batch for all of it, if it has more than one leading dimension."""

    def encode(self, trajectory: Floats, valid: Bools, state: Floats, state_valid: Bools) -> Chunk:
        if state.ndim > 2:
            state = np.broadcast_to(state[..., :1, :], state.shape)
        return super().encode(trajectory, valid, state, state_valid)


def _space(kind: type[WristHandSpace]) -> Callable[[], Subject]:
    return lambda: good(action_space=kind(good().layout))


MUTANTS: dict[str, Callable[[], Subject]] = {
    "ACT001": _space(_NamesWithoutSides),
    "ACT002": _space(_MultipliesFromTheRight),
    "ACT003": _space(_DecodesInTheWorld),
    "ACT004": _space(_TranslatesInTheWorld),
    "ACT005": _space(_AbsoluteWrists),
    "ACT006": _space(_MultipliesByTheMask),
    "ACT007": _space(_AnyReference),
    "ACT008": _space(_ClipsToOne),
    "ACT009": _space(_OneReferencePerCall),
}
