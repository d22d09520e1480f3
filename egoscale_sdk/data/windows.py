"""Windows: what a policy trains on, cut from episodes when it is asked for.

A window stands at a row of an episode, at its time t0. It holds the images and the measured state of that row, and
the chunk of actions from t0 on, resampled to ``chunk_dt_s`` by time stamps and made relative by the action space.
No window crosses the end of an episode or a change of ``map_id``: what would lie beyond is masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.images import decode_into
from egoscale_sdk.data.resample import bracket, mix_rows, valid_between
from egoscale_sdk.data.segment import EpisodeRows
from egoscale_sdk.errors import DataError, did_you_mean
from egoscale_sdk.hands.action_space import WristHandSpace
from egoscale_sdk.interfaces import ActionSpace
from egoscale_sdk.specs import HandSpaceSpec, RowLayout, Side

Array = NDArray[Any]
DEFAULT_SPACE = "egoscale/wrist_hand@1"


@dataclass(frozen=True)
class Batch:
    """Windows side by side, NaN-free; B windows, H steps, D columns of the action set's layout.

    Attributes:
        images: RGB uint8 ``(B, h, w, 3)`` per camera; black where the mask is False.
        image_mask: ``(B,)`` bool per camera.
        state: ``(B, D')`` float32 measured row in ``state_layout``; 0 where masked.
        state_mask: ``(B, D')`` bool; all False for people.
        chunk: ``(B, H, D)`` float32: wrists relative to ``reference``, hands absolute; 0 where masked.
        mask: ``(B, H, D)`` bool.
        prompts: Instruction of each window.
        reference: ``(B, D)`` float32 absolute row at t0: measured wrists, and the hand columns in force at t0.
        time_ns: ``(B,)`` t0.
        layout: Columns of chunk and reference.
        state_layout: Columns of the state.
        embodiment: Id of who moved.
    """

    images: dict[str, NDArray[np.uint8]]
    image_mask: dict[str, NDArray[np.bool_]]
    state: NDArray[np.float32]
    state_mask: NDArray[np.bool_]
    chunk: NDArray[np.float32]
    mask: NDArray[np.bool_]
    prompts: list[str]
    reference: NDArray[np.float32]
    time_ns: NDArray[np.int64]
    layout: RowLayout
    state_layout: RowLayout
    embodiment: str

    @property
    def hand_spaces(self) -> dict[Side, HandSpaceSpec]:
        """Hand space of each side of the chunk."""
        return dict(self.layout.hand_spaces)


@dataclass(frozen=True)
class _Span:
    """Rows ``[start, stop)`` of an episode within which windows lie."""

    episode: int
    start: int
    stop: int


class WindowDataset:
    """All windows of a dataset, or of some of its episodes.

    Args:
        dataset: Where the rows are.
        horizon: Steps H of a chunk.
        chunk_dt_s: Seconds per step.
        action_set: Name of the action set; may be left out where there is one.
        cameras: Names of the views, in order; one that the dataset lacks is masked. By default those it has.
        image_size_px: Height and width (or one number for both) that images are resized to; by default as stored.
        episodes: Indices of the episodes to use, by default all.
        stride: Rows from one window to the next.
        action_space: Needed where the embodiment's action space is not the SDK's own.

    Raises:
        DataError: unknown action set or episode, a camera of unknown size, or no window at all.
    """

    def __init__(
        self,
        dataset: Dataset,
        horizon: int,
        chunk_dt_s: float,
        action_set: str | None = None,
        cameras: Sequence[str] | None = None,
        image_size_px: int | tuple[int, int] | None = None,
        episodes: Sequence[int] | None = None,
        stride: int = 1,
        action_space: ActionSpace | None = None,
    ) -> None:
        if horizon < 1 or chunk_dt_s <= 0 or stride < 1:
            raise DataError(f"horizon {horizon}, chunk_dt_s {chunk_dt_s} and stride {stride} must be positive")
        self.dataset, self.horizon, self.chunk_dt_s, self.stride = dataset, horizon, chunk_dt_s, stride
        self.action_set = dataset.action_set(action_set)
        self.layout, self.state_layout = self.action_set.layout, dataset.declaration.native.layout
        self.embodiment = dataset.declaration.embodiment
        self.episodes = tuple(range(len(dataset.episodes)) if episodes is None else episodes)
        self.image_sizes = _image_sizes(dataset, cameras, image_size_px)
        self.action_space_id = (self.action_set.spec or dataset.declaration.spec).action.space
        self._space = action_space or self._default_space()
        first = 1 if self.action_set.action_source == "observed" else 0
        self._steps_ns = np.round((np.arange(horizon) + first) * chunk_dt_s * 1e9).astype(np.int64)
        self._spans, self._span_of, self._row_of = self._index()

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def hand_spaces(self) -> dict[Side, HandSpaceSpec]:
        """Hand space of each side of the chunk."""
        return dict(self.layout.hand_spaces)

    def place(self, index: int) -> tuple[int, int]:
        """Return episode and row at which window ``index`` stands."""
        return self._spans[self._span_of[index]].episode, int(self._row_of[index])

    def batch(self, indices: ArrayLike, *, images: bool = True) -> Batch:
        """Read windows.

        Args:
            indices: ``(B,)`` window numbers.
            images: Whether to decode images; without, the masks are False.

        Raises:
            DataError: the dataset is damaged; names the file.
        """
        wanted = np.asarray(indices, np.int64)
        windows = [self._window(self._spans[self._span_of[i]], int(self._row_of[i])) for i in wanted.tolist()]
        state = np.stack([window.state for window in windows])
        state_mask = _columns(np.stack([window.state_valid for window in windows]), self.state_layout)
        reference = np.stack([window.reference for window in windows])
        chunk = self._space.encode(
            mix_rows(
                np.stack([window.before for window in windows]),
                np.stack([window.after for window in windows]),
                np.stack([window.share for window in windows]),
                self.layout,
            ).astype(np.float32),
            np.stack([window.valid for window in windows]),
            reference,
            np.stack([window.reference_valid for window in windows]),
        )
        pictures, seen = self._images(windows, images)
        return Batch(
            images=pictures,
            image_mask=seen,
            state=np.where(state_mask, state, np.float32(0)),
            state_mask=state_mask,
            chunk=chunk.values.astype(np.float32),
            mask=chunk.mask,
            prompts=[self._prompt(window.episode, window.row) for window in windows],
            reference=reference,
            time_ns=np.array([window.time_ns for window in windows], np.int64),
            layout=self.layout,
            state_layout=self.state_layout,
            embodiment=self.embodiment,
        )

    def _default_space(self) -> ActionSpace:
        if self.action_space_id != DEFAULT_SPACE:
            retargeting = self.action_set.retargeting
            provider = retargeting.provider if retargeting else self.dataset.declaration.provider
            raise DataError(
                f"the dataset acts in the space {self.action_space_id!r}, which a plugin must bring",
                where=f"{self.dataset.path}: {self.action_set.name}",
                hint=f"pass action_space, as host.action_space() returns it; {provider.install_hint()}",
            )
        return WristHandSpace(self.layout)

    def _index(self) -> tuple[list[_Span], NDArray[np.int32], NDArray[np.int32]]:
        spans: list[_Span] = []
        span_of, row_of = [], []
        for episode in self.episodes:
            if not 0 <= episode < len(self.dataset.episodes):
                raise DataError(f"there is no episode {episode}", allowed=[f"0..{len(self.dataset.episodes) - 1}"])
            rows = self.dataset.rows(episode, self.action_set.name, raw=False)
            for start, stop in _runs(rows.map_id):
                anchors = np.arange(start, stop, self.stride)
                reachable = rows.time_ns[anchors] + self._steps_ns[0] <= rows.time_ns[stop - 1]
                anchors = anchors[reachable & (rows.valid[anchors] == 1).any(1)]
                span_of.append(np.full(len(anchors), len(spans), np.int32))
                row_of.append(anchors.astype(np.int32))
                spans.append(_Span(episode, start, stop))
        if not sum(map(len, row_of)):
            raise DataError(
                "has no row from which a window could start",
                where=f"{self.dataset.path}: {self.action_set.name}",
                hint="look at it with: egoscale dataset show",
            )
        return spans, np.concatenate(span_of), np.concatenate(row_of)

    def _window(self, span: _Span, row: int) -> _Window:
        rows = self.dataset.rows(span.episode, self.action_set.name, raw=False)
        inside = slice(span.start, span.stop)
        action, valid = rows.action[inside], rows.valid[inside]
        time_ns = int(rows.time_ns[row])
        at = bracket(rows.time_ns[inside], time_ns + self._steps_ns, self.dataset.declaration.fps)
        reference, reference_valid = self._reference(rows, row)
        return _Window(
            episode=span.episode,
            row=row,
            time_ns=time_ns,
            before=action[at.before],
            after=action[at.after],
            share=at.share,
            valid=valid_between(valid[at.before], valid[at.after], at.share) & at.usable[:, None],
            reference=reference,
            reference_valid=reference_valid,
            state=np.zeros(self.state_layout.dim, np.float32) if rows.state is None else rows.state[row],
            state_valid=np.zeros(len(self.state_layout.groups), np.uint8)
            if rows.state_valid is None
            else rows.state_valid[row],
        )

    def _reference(self, rows: EpisodeRows, row: int) -> tuple[Array, NDArray[np.bool_]]:
        """Absolute row at t0 and its validity; wrists are measured ones where there is a state."""
        reference, valid = rows.action[row].copy(), rows.valid[row] == 1
        observed = self.action_set.action_source == "observed" and rows.state is None
        for number, group in enumerate(self.layout.groups[: len(self.layout.sides)]):
            if rows.state is not None and rows.state_valid is not None and group in self.state_layout.blocks:
                reference[self.layout.blocks[group]] = rows.state[row, self.state_layout.blocks[group]]
                valid[number] = rows.state_valid[row, self.state_layout.groups.index(group)] == 1
            elif not observed:
                valid[number] = False  # a command is no measurement
        return reference, valid

    def _images(
        self, windows: Sequence[_Window], decode: bool
    ) -> tuple[dict[str, NDArray[np.uint8]], dict[str, NDArray[np.bool_]]]:
        pictures, seen = {}, {}
        for camera, size in self.image_sizes.items():
            out = np.zeros((len(windows) if decode else 0, *size, 3), np.uint8)
            here = np.zeros(len(windows), bool)
            if decode and camera in {stream.name for stream in self.dataset.declaration.cameras}:
                for number, window in enumerate(windows):
                    data = self.dataset.jpeg(window.episode, camera, window.row)
                    here[number] = data is not None
                    if data is not None:
                        decode_into(data, out[number], f"{self.dataset.path}: episode {window.episode}, {camera!r}")
            pictures[camera], seen[camera] = out, here
        return pictures, seen

    def _prompt(self, episode: int, row: int) -> str:
        spans = [span for span in self.dataset.language(episode) if span.start <= row < span.stop]
        tasks = [span for span in spans if span.kind == "task"]
        return next((span.text for span in (*tasks, *spans)), self.dataset.episodes[episode].task)


@dataclass(frozen=True)
class _Window:
    """One window before its rows are mixed."""

    episode: int
    row: int
    time_ns: int
    before: Array  # (H, D)
    after: Array  # (H, D)
    share: Array  # (H,)
    valid: Array  # (H, G)
    reference: Array  # (D,)
    reference_valid: Array  # (G,)
    state: Array  # (D',)
    state_valid: Array  # (G',)


def _runs(map_id: Array) -> Iterable[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(np.diff(map_id)) + 1).tolist(), len(map_id)]
    return pairwise(edges)


def _columns(valid: Array, layout: RowLayout) -> NDArray[np.bool_]:
    widths = [block.stop - block.start for block in layout.blocks.values()]
    return np.repeat(valid == 1, widths, axis=-1)


def _image_sizes(
    dataset: Dataset, cameras: Sequence[str] | None, size: int | tuple[int, int] | None
) -> dict[str, tuple[int, int]]:
    stored = {camera.name: (camera.height_px, camera.width_px) for camera in dataset.declaration.cameras}
    names = tuple(stored) if cameras is None else tuple(cameras)
    if size is not None:
        return dict.fromkeys(names, (size, size) if isinstance(size, int) else size)
    for name in names:
        if name not in stored:
            raise DataError(
                f"has no camera {name!r}, and no image size is given for its place",
                where=str(dataset.path),
                allowed=stored,
                hint=did_you_mean(name, stored),
            )
    return {name: stored[name] for name in names}
