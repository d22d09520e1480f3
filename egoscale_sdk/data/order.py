"""In which order windows are drawn: permutations of any size in constant memory, one by one or by blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Indices = NDArray[np.int64]
_ROUNDS = 8
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # the finaliser of SplitMix64


class Permutation:
    """A bijection of ``range(size)`` chosen by a key; any part of it is computed alone, in constant memory.

    A Feistel network on a grid that is hardly larger than ``size``; what falls outside is sent through once more.

    Args:
        size: How many places there are.
        key: Selects the permutation.
        lanes: How many permutations the key stands for.
    """

    def __init__(self, size: int, *key: int, lanes: int = 1) -> None:
        self.size = size
        self._rows = max(1, math.isqrt(max(size, 1) - 1) + 1)
        self._columns = max(1, -(-size // self._rows))
        self._keys = np.random.SeedSequence(key).generate_state(_ROUNDS * lanes, np.uint64).reshape(_ROUNDS, lanes)

    def __call__(self, places: ArrayLike, lane: ArrayLike = 0) -> Indices:
        """Return where ``places (N,)``, each below ``size``, are sent, by the permutation ``lane`` or ``lane (N,)``."""
        values, lanes = np.asarray(places).astype(np.uint64), np.broadcast_to(lane, np.shape(places))
        values = self._shuffle(values, lanes)
        while (outside := values >= self.size).any():
            values[outside] = self._shuffle(values[outside], lanes[outside])
        return values.astype(np.int64)

    def _shuffle(self, values: NDArray[np.uint64], lane: Indices) -> NDArray[np.uint64]:
        rows, columns = np.uint64(self._rows), np.uint64(self._columns)
        row, column = np.divmod(values, columns)
        for first, second in self._keys.reshape(-1, 2, self._keys.shape[1]):
            row = (row + _hash(column, first[lane]) % rows) % rows
            column = (column + _hash(row, second[lane]) % columns) % columns
        shuffled: NDArray[np.uint64] = row * columns + column
        return shuffled


@lru_cache(maxsize=256)
def _permutation(size: int, lanes: int, *key: int) -> Permutation:
    return Permutation(size, *key, lanes=lanes)


def _hash(values: NDArray[np.uint64], key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = values ^ key
    x = (x ^ (x >> np.uint64(30))) * _MIX[0]
    x = (x ^ (x >> np.uint64(27))) * _MIX[1]
    hashed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return hashed


@dataclass(frozen=True)
class Blocks:
    """How windows are drawn where neighbours are cheap to read together, as from an object store.

    Windows are cut into blocks of neighbours, blocks are drawn at random, and those of ``buffer`` windows are shuffled
    together. Each of ``streams`` has its own blocks and its part of the buffer, and gives every step its part, so that
    a process that reads some of the streams reads none of the others' blocks.

    Attributes:
        block: Windows of a block; 1 draws every window alone.
        buffer: Windows that are shuffled together, over all streams.
        streams: A multiple of the number of processes.
    """

    block: int = 256
    buffer: int = 4096
    streams: int = 8

    @property
    def together(self) -> int:
        """Blocks of one stream that are shuffled together."""
        return max(1, self.buffer // (self.block * self.streams))


class BlockOrder:
    """One epoch in blocks: a bijection of ``range(size)`` whose every part is computed alone.

    Draw ``p`` belongs to stream ``p % streams``; the few draws at the end that make no whole block for every stream
    belong to all of them.
    """

    def __init__(self, size: int, blocks: Blocks, *key: int) -> None:
        self.size, self.blocks, self._key = size, blocks, key
        self._whole = size // blocks.block
        self._rounds = self._whole // blocks.streams  # blocks of each stream
        self.body = self._rounds * blocks.streams * blocks.block
        self._pick = Permutation(self._whole, *key, 0)
        state = np.random.SeedSequence((*key, 1)).generate_state(1, np.uint64)[0]
        self._shift = int(state) % max(size, 1)  # where the first block begins differs from epoch to epoch

    def __call__(self, places: ArrayLike) -> Indices:
        """Return the windows that are drawn at ``places (N,)``, each below ``size``."""
        p = np.asarray(places, np.int64)
        if self.blocks.block == 1:
            return self._pick(p)
        turn, offset = np.divmod(self._mixed(p), self.blocks.block)  # the place of the block among those drawn
        whole = turn < self._whole
        turn[whole] = self._pick(turn[whole])
        return self._shifted(turn * self.blocks.block + offset)

    def block_of(self, windows: ArrayLike) -> Indices:
        """Return the number of the block in which each window lies."""
        return self.place_of(windows)[0]

    def place_of(self, windows: ArrayLike) -> tuple[Indices, Indices]:
        """Return the number of each window's block, and its place there."""
        return np.divmod((np.asarray(windows, np.int64) - self._shift) % self.size, self.blocks.block)

    def windows_of(self, block: int) -> Indices:
        """Return the windows of a block, neighbours; the last window may be followed by the first."""
        first = block * self.blocks.block
        return self._shifted(np.arange(first, min(first + self.blocks.block, self.size)))

    def _mixed(self, p: Indices) -> Indices:
        """Shuffle places within the buffers of their streams, and those at the end among themselves."""
        block, streams, together = self.blocks.block, self.blocks.streams, self.blocks.together
        stream, at = p % streams, p // streams
        group = np.where(p < self.body, at // (together * block), -1)
        found = np.empty(len(p), np.int64)
        for number in np.unique(group).tolist():
            here = group == number
            if number < 0:
                mixed = _permutation(self.size - self.body, 1, *self._key, 2)(p[here] - self.body)
                found[here] = mixed + self.body
                continue
            first = number * together
            size = min(together, self._rounds - first) * block
            mixed = _permutation(size, streams, *self._key, 3, number)(at[here] - first * block, stream[here])
            found[here] = ((first + mixed // block) * streams + stream[here]) * block + mixed % block
        return found

    def _shifted(self, values: Any) -> Indices:
        shifted: Indices = (values + self._shift) % self.size
        return shifted
