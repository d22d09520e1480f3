"""Windows: what a policy trains on, cut from episodes when it is asked for.

A window stands at a row of an episode, at its time t0. It holds the images and the measured state of that row (or of
several times before it), and the chunk of actions from t0 on, resampled to ``chunk_dt_s`` by time stamps and made
relative by the action space. No window crosses the end of an episode or a change of ``map_id``: what would lie beyond
is masked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.gather import Gatherer, Part, RowSource, Sampled, SegmentRows
from egoscale_sdk.data.images import Jpeg, check_size, decode_into
from egoscale_sdk.data.places import Places, Rule, Standing
from egoscale_sdk.data.prompts import Prompts
from egoscale_sdk.data.resample import Brackets
from egoscale_sdk.errors import DataError, did_you_mean
from egoscale_sdk.hands.action_space import WristHandSpace
from egoscale_sdk.interfaces import ActionSpace
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import HandSpaceSpec, RowLayout, Side

Array = NDArray[Any]
NewImages = Callable[[tuple[int, ...]], NDArray[np.uint8]]
"""Gives memory for images of a shape; what is in it does not matter."""
DEFAULT_SPACE = "egoscale/wrist_hand@1"
MAX_HORIZON = 2**16
MAX_SPAN_S = 86400.0
"""How far a window may reach to either side."""


@dataclass(frozen=True)
class Batch:
    """Windows side by side, NaN-free; B windows, H steps, D columns of the action set's layout.

    Where observation offsets were asked for, images, state and their masks have a second axis ``O`` after ``B``.

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

    def __len__(self) -> int:
        return len(self.prompts)

    def every(self, first: int, distance: int) -> Batch:
        """Return the windows ``first``, ``first + distance``, ... as views."""
        if distance == 1:
            return self
        own = slice(first, None, distance)
        arrays = ("state", "state_mask", "chunk", "mask", "prompts", "reference", "time_ns")
        views: dict[str, Any] = {name: getattr(self, name)[own] for name in arrays}
        for name in ("images", "image_mask"):
            views[name] = {camera: values[own] for camera, values in getattr(self, name).items()}
        return replace(self, **views)


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
        offsets_s: Times of the observations, in seconds after t0 and so none above 0, e.g. ``(-1.0, -0.5, 0.0)``.
            States are resampled to them, images are the newest ones then. By default t0 alone, without an axis for it.
        progress: Told segments while a dataset is indexed for the first time.

    Raises:
        DataError: unknown action set or episode, a camera of unknown size, an observation after t0, or no window;
            sizes or times that make no sense.
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
        offsets_s: Sequence[float] | None = None,
        progress: Progress = silent,
    ) -> None:
        if not (0 < horizon <= MAX_HORIZON and stride >= 1 and chunk_dt_s > 0 and horizon * chunk_dt_s <= MAX_SPAN_S):
            raise DataError(
                f"horizon {horizon}, chunk_dt_s {chunk_dt_s} and stride {stride} must be positive; a chunk has at most "
                f"{MAX_HORIZON} steps and {MAX_SPAN_S:g} s"
            )
        self.commit = dataset.digest
        self.dataset, self.horizon, self.chunk_dt_s, self.stride = dataset, horizon, chunk_dt_s, stride
        self.action_set = dataset.action_set(action_set)
        self.layout, self.state_layout = self.action_set.layout, dataset.declaration.native.layout
        self.embodiment = dataset.declaration.embodiment
        self.image_sizes = _image_sizes(dataset, cameras, image_size_px)
        self.action_space_id = (self.action_set.spec or dataset.declaration.spec).action.space
        self._space = action_space or self._default_space()
        first = 1 if self.action_set.action_source == "observed" else 0
        self._steps_ns = _nanoseconds((np.arange(horizon) + first) * chunk_dt_s)
        self.offsets_s = None if offsets_s is None else tuple(offsets_s)
        self._offsets_ns = _past(offsets_s)
        self._arguments = (action_space, image_size_px)
        self.episodes = _chosen(episodes, len(dataset.index))
        rule = Rule(self.action_set.name, int(self._steps_ns[0]), stride)
        self._places = Places(dataset, rule, self.episodes, progress)
        self._prompts = Prompts(dataset)
        if not len(self._places):
            raise DataError(
                "has no row from which a window could start",
                where=f"{self.dataset.where}: {self.action_set.name}",
                hint="look at it with: egoscale dataset show",
            )

    def __reduce__(self) -> tuple[Any, ...]:
        space, size = self._arguments
        names, chosen = tuple(self.image_sizes), (self.episodes, self.stride, space, self.offsets_s)
        return WindowDataset, (
            *(self.dataset, self.horizon, self.chunk_dt_s, self.action_set.name, names, size),
            *chosen,
        )

    def __len__(self) -> int:
        return len(self._places)

    @property
    def hand_spaces(self) -> dict[Side, HandSpaceSpec]:
        """Hand space of each side of the chunk."""
        return dict(self.layout.hand_spaces)

    @property
    def remote(self) -> bool:
        """Whether the dataset is on an object store, where neighbours should be read together."""
        return self.dataset.store.local is None

    def place(self, index: int) -> tuple[int, int]:
        """Return episode and row at which window ``index`` stands."""
        at = self._places([index])
        episode = int(at.episode[0])
        return episode, int(at.row[0] - self.dataset.index.start[episode])

    def standing(self, indices: ArrayLike) -> Standing:
        """Return at which rows of their segments the windows ``indices (B,)`` stand."""
        return self._places(indices)

    def segment_of(self, episodes: Array) -> NDArray[np.int64]:
        """Return the place in `EpisodeIndex.segments` of each episode's segment."""
        place: NDArray[np.int64] = np.searchsorted(self.dataset.index.ends, episodes, side="right") - 1
        return place

    @property
    def margins(self) -> tuple[int, int]:
        """Rows before and after the one where a window stands that it may need, at the declared rate and a bit."""
        before = 0 if self._offsets_ns is None else -int(self._offsets_ns.min())
        per_ns = 1.1 * self.dataset.declaration.fps / 1e9
        return math.ceil(before * per_ns) + (2 if before else 0), math.ceil(int(self._steps_ns.max()) * per_ns) + 3

    def by_episode(self) -> dict[int, range]:
        """Return the windows of every episode that has some."""
        return self._places.by_episode()

    def batch(self, indices: ArrayLike, *, images: bool = True, new_images: NewImages | None = None) -> Batch:
        """Read windows.

        Args:
            indices: ``(B,)`` window numbers.
            images: Whether to decode images; without, the masks are False.
            new_images: Where images go; by default into new memory.

        Raises:
            DataError: the dataset is damaged; names the file.
        """
        standing = self._places(indices)
        parts = [Part(self._rows(segment), where) for segment, where in self._by_segment(standing)]
        return self.assemble(parts, standing, images=images, new_images=new_images)

    def _rows(self, segment: int) -> RowSource:
        path = self.dataset.index.segments[segment]
        name = self.action_set.name
        derived = None if name == "native" else self.dataset.derived(name, path)
        return SegmentRows(self.dataset.segment(path), derived)

    def _by_segment(self, standing: Standing) -> list[tuple[int, Array | slice]]:
        segments = self.segment_of(standing.episode)
        if len(segments) and (segments == segments[0]).all():
            return [(int(segments[0]), slice(None))]
        return [(number, np.flatnonzero(segments == number)) for number in np.unique(segments).tolist()]

    def assemble(
        self, parts: Sequence[Part], standing: Standing, *, images: bool = True, new_images: NewImages | None = None
    ) -> Batch:
        """Make a batch of rows that somebody else has read; see `batch`."""
        rows, declaration = Gatherer(parts, standing), self.dataset.declaration
        targets = rows.sample("action", "valid", rows.around(self._steps_ns, declaration.fps), self.layout)
        seen = None if self._offsets_ns is None else rows.around(self._offsets_ns, declaration.fps)
        now = self._measured(rows, None)
        reference, reference_valid = self._reference(rows, now)
        chunk = self._space.encode(targets.values, targets.valid, reference, reference_valid)
        observed = now if seen is None else self._measured(rows, seen)
        state_mask = _columns(observed.valid, self.state_layout)
        state = np.where(state_mask, observed.values, np.float32(0))
        pictures, picture_mask = self._images(rows, seen, images, new_images or _new_images)
        once = slice(None) if seen is not None else 0
        return Batch(
            images={name: values[:, once] for name, values in pictures.items()},
            image_mask={name: mask[:, once] for name, mask in picture_mask.items()},
            state=state[:, once],
            state_mask=state_mask[:, once],
            chunk=chunk.values.astype(np.float32, copy=False),
            mask=chunk.mask,
            prompts=self._prompts(standing.episode, standing.row - self.dataset.index.start[standing.episode]),
            reference=reference,
            time_ns=rows.take("time", standing.row),
            layout=self.layout,
            state_layout=self.state_layout,
            embodiment=self.embodiment,
        )

    def _measured(self, rows: Gatherer, at: Brackets | None) -> Sampled:
        """Measured rows ``(B, O, D')`` at some times, or ``(B, 1, D')`` at t0."""
        layout, row = self.state_layout, rows.standing.row[:, None]
        if not self.dataset.declaration.has_state:
            shape = (len(row), 1 if at is None else at.before.shape[1])
            return Sampled(np.zeros((*shape, layout.dim), np.float32), np.zeros((*shape, len(layout.groups)), bool))
        if at is None:
            return Sampled(rows.take("state", row), rows.take("state_valid", row) == 1)
        return rows.sample("state", "state_valid", at, layout)

    def _reference(self, rows: Gatherer, state: Sampled) -> tuple[Array, NDArray[np.bool_]]:
        """Absolute rows ``(B, D)`` at t0 and their validity; wrists are measured ones where there is a state."""
        reference, valid = rows.take("action", rows.standing.row), rows.take("valid", rows.standing.row) == 1
        measured = self.dataset.declaration.has_state
        for number, group in enumerate(self.layout.groups[: len(self.layout.sides)]):
            if measured and group in self.state_layout.blocks:
                reference[:, self.layout.blocks[group]] = state.values[:, 0, self.state_layout.blocks[group]]
                valid[:, number] = state.valid[:, 0, self.state_layout.groups.index(group)]
            elif measured or self.action_set.action_source != "observed":
                valid[:, number] = False  # a command is no measurement
        return reference, valid

    def _images(
        self, rows: Gatherer, at: Brackets | None, decode: bool, new_images: NewImages
    ) -> tuple[dict[str, NDArray[np.uint8]], dict[str, NDArray[np.bool_]]]:
        """Images ``(B, O, h, w, 3)`` per camera and which of them there are ``(B, O)``."""
        row = rows.standing.row[:, None] if at is None else at.newest
        usable = np.ones(row.shape, bool) if at is None else at.usable
        stored = {stream.name for stream in self.dataset.declaration.cameras}
        pictures, seen = {}, {}
        for camera, size in self.image_sizes.items():
            if not decode:
                pictures[camera], seen[camera] = np.zeros((0, row.shape[1], *size, 3), np.uint8), np.zeros_like(usable)
                continue
            jpegs = rows.jpegs(camera, row, usable) if camera in stored else [None] * row.size
            pictures[camera] = new_images((*row.shape, *size, 3))
            seen[camera] = np.array([data is not None for data in jpegs], bool).reshape(row.shape)
            _decode(jpegs, pictures[camera].reshape(-1, *size, 3), f"{self.dataset.where}: camera {camera!r}")
        return pictures, seen

    def _default_space(self) -> ActionSpace:
        if self.action_space_id != DEFAULT_SPACE:
            retargeting = self.action_set.retargeting
            provider = retargeting.provider if retargeting else self.dataset.declaration.provider
            raise DataError(
                f"the dataset acts in the space {self.action_space_id!r}, which a plugin must bring",
                where=f"{self.dataset.where}: {self.action_set.name}",
                hint=f"pass action_space, as host.action_space() returns it; {provider.install_hint()}",
            )
        return WristHandSpace(self.layout)


def _decode(jpegs: Sequence[Jpeg | None], out: NDArray[np.uint8], where: str) -> None:
    """Decode into ``out (N, h, w, 3)``; black where there is none."""
    for data, image in zip(jpegs, out, strict=True):
        if data is None:
            image[:] = 0
        else:
            decode_into(data, image, where)


def _new_images(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


def _nanoseconds(seconds: Array) -> NDArray[np.int64]:
    return np.round(seconds * 1e9).astype(np.int64)


def _past(offsets_s: Sequence[float] | None) -> NDArray[np.int64] | None:
    if offsets_s is None:
        return None
    offsets = np.array(offsets_s, np.float64)
    if not len(offsets) or not ((offsets >= -MAX_SPAN_S) & (offsets <= 0)).all():
        raise DataError(
            f"observations at {list(offsets_s)} s: name at least one, and none after the window's t0 or more than "
            f"{MAX_SPAN_S:g} s before it"
        )
    return _nanoseconds(offsets)


def _chosen(episodes: Sequence[int] | None, count: int) -> Sequence[int]:
    """Return the episodes that are used; a range where they are neighbours."""
    if episodes is None:
        return range(count)
    numbers = np.asarray(episodes, np.int64).reshape(-1)
    for episode in numbers[(numbers < 0) | (numbers >= count)][:1].tolist():
        raise DataError(f"there is no episode {episode}", allowed=[f"0..{count - 1}"])
    if len(numbers) and (np.diff(numbers) == 1).all():
        return range(int(numbers[0]), int(numbers[-1]) + 1)
    return tuple(numbers.tolist())


def _columns(valid: Array, layout: RowLayout) -> NDArray[np.bool_]:
    widths = [block.stop - block.start for block in layout.blocks.values()]
    return np.repeat(valid == 1, widths, axis=-1)


def _image_sizes(
    dataset: Dataset, cameras: Sequence[str] | None, size: int | tuple[int, int] | None
) -> dict[str, tuple[int, int]]:
    stored = {camera.name: (camera.height_px, camera.width_px) for camera in dataset.declaration.cameras}
    names = tuple(stored) if cameras is None else tuple(cameras)
    if size is not None:
        both = (size, size) if isinstance(size, int) else size
        return dict.fromkeys(names, check_size(both, "image_size_px"))
    for name in names:
        if name not in stored:
            raise DataError(
                f"has no camera {name!r}, and no image size is given for its place",
                where=dataset.where,
                allowed=stored,
                hint=did_you_mean(name, stored),
            )
    return {name: stored[name] for name in names}
