"""A checkpoint at work: observation in, absolute rows out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egoscale_sdk.data.images import resize_area
from egoscale_sdk.data.scales import hand_key
from egoscale_sdk.errors import CheckpointError, did_you_mean
from egoscale_sdk.hands.action_space import WristHandSpace
from egoscale_sdk.ids import parse_id
from egoscale_sdk.interfaces.action_space import Bools, Floats
from egoscale_sdk.policy.checkpoint import Checkpoint, TrainedEmbodiment
from egoscale_sdk.policy.normalise import normalise_columns
from egoscale_sdk.policy.vla import GroupBatch
from egoscale_sdk.specs import EmbodimentSpec, RowLayout, Side, action_fingerprint, action_meaning
from egoscale_sdk.specs.compare import diff_meaning

Images = Mapping[str, NDArray[np.uint8]]
SHOWN_DIFFERENCES = 6
log = logging.getLogger("egoscale.policy")


class LoadedPolicy:
    """A policy that drives every embodiment it was trained for, and those that share their hands.

    Attributes:
        horizon: Rows H of one action.
        chunk_dt_s: Seconds from row to row.
        cameras: Names of the cameras that the policy looks at.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        self.checkpoint, self.device = checkpoint, device
        self._policy = checkpoint.policy.to(device).eval()
        config = self._policy.config
        self.horizon, self.chunk_dt_s, self.cameras = config.horizon, config.chunk_dt_s, config.cameras
        self._entries = dict(checkpoint.embodiments)
        self._said: set[str] = set()

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Self:
        """Read a checkpoint folder.

        Raises:
            CheckpointError: it is not a sound checkpoint.
        """
        return cls(Checkpoint.load(Path(folder)), device)

    @property
    def embodiments(self) -> dict[str, TrainedEmbodiment]:
        """Everything the policy has actions for, by id."""
        return dict(self._entries)

    @property
    def drivable(self) -> tuple[str, ...]:
        """Ids of the robots among them."""
        return tuple(key for key, entry in self._entries.items() if entry.drivable)

    def choose(self, embodiment: str | None = None) -> TrainedEmbodiment:
        """Return the embodiment of that id, or without one the only robot.

        Raises:
            CheckpointError: there is none, or several and no id.
        """
        if embodiment is None and len(self.drivable) == 1:
            return self._entries[self.drivable[0]]
        if embodiment is None:
            what = "can drive several embodiments; name one" if self.drivable else "holds no robot's actions"
            raise CheckpointError(f"the checkpoint {what}", allowed=self.drivable or self._entries)
        if embodiment not in self._entries:
            hint = did_you_mean(embodiment, self._entries)
            raise CheckpointError(f"the checkpoint cannot drive {embodiment!r}", allowed=self._entries, hint=hint)
        return self._entries[embodiment]

    def bind(self, spec: EmbodimentSpec, *, cameras: Sequence[str] | None = None) -> TrainedEmbodiment:
        """Hold the spec of a robot against the checkpoint; afterwards `act` knows it by its id.

        An embodiment that was not trained itself but whose hands were is taken in; it runs on the placeholder.

        Args:
            spec: As the robot's driver declares it.
            cameras: Names of the cameras that are there, by default those of the spec.

        Raises:
            CheckpointError: actions mean something else on this robot, its hands were not trained, or a camera is
                missing; shows what differs.
        """
        entry = self._entries.get(spec.id) or self._take_in(spec)
        if action_fingerprint(spec) != entry.action_fingerprint:
            meanings = action_meaning(entry.spec), action_meaning(spec)
            lines = diff_meaning(*meanings, a_is="checkpoint", b_is="robot")
            shown = lines[:SHOWN_DIFFERENCES] + [f"and {len(lines) - SHOWN_DIFFERENCES} more"] * (
                len(lines) > SHOWN_DIFFERENCES
            )
            raise CheckpointError(f"checkpoint and robot disagree on {spec.id}: {'; '.join(shown)}")
        there = tuple(camera.name for camera in spec.cameras) if cameras is None else tuple(cameras)
        missing = [camera for camera in entry.cameras if camera not in there]
        if missing:
            raise CheckpointError(
                f"checkpoint and robot disagree on {spec.id}: cameras {', '.join(missing)} (checkpoint) are not among "
                f"{', '.join(there) or 'none'} (robot)"
            )
        self._entries[spec.id] = entry
        return entry

    def act(
        self,
        embodiment: str,
        images: Images,
        state_row: Floats | None,
        state_valid: Bools | None,
        prompt: str,
        samples: int = 4,
        seed: int = 0,
    ) -> tuple[Floats, Bools]:
        """Say what to do next.

        Args:
            embodiment: Id, as in `embodiments`.
            images: RGB uint8 ``(h, w, 3)`` per camera; one that is missing is masked.
            state_row: Measured absolute row ``(D,)`` in the layout of the embodiment's spec: what wrists are relative
                to, and the state where a state encoder was trained. None if nothing is measured.
            state_valid: ``(G,)`` which groups of it were measured; None means all. A wrist that was not measured
                cannot be commanded, and a side of which nothing was measured is taken for absent.
            prompt: Instruction.
            samples: Chunks that are drawn and averaged.
            seed: Of the noise; the same observation and seed give the same action.

        Returns:
            Absolute rows ``(H, D)`` in the same layout, row k in force from ``t0 + k chunk_dt_s``, and ``(H, D)`` bool
            which columns are commanded; the others hold what was measured, or 0.

        Raises:
            CheckpointError: the embodiment is unknown.
            ValueError: a shape is wrong.
        """
        entry = self.choose(embodiment)
        outer, inner = RowLayout.of(entry.spec.hand_spaces), entry.layout
        row = np.zeros(outer.dim) if state_row is None else np.asarray(state_row, np.float64)
        known = np.full(len(outer.groups), state_row is not None) if state_valid is None else np.asarray(state_valid)
        if row.shape != (outer.dim,) or known.shape != (len(outer.groups),):
            shapes = f"rows ({outer.dim},) and groups ({len(outer.groups)},), not {row.shape} and {known.shape}"
            raise ValueError(f"{embodiment} has {shapes}")
        measured = {group for group, flag in zip(outer.groups, known.tolist(), strict=True) if flag}
        mask = np.repeat(_wanted(entry, measured, state_row is None)[None], self.horizon, axis=0)
        chunk = self._sample(self._observation(entry, images, row, measured, mask, prompt), samples, seed)
        places = np.concatenate([np.arange(outer.dim)[outer.blocks[group]] for group in inner.groups])
        decoded = WristHandSpace(inner).decode(np.where(mask, chunk, 0), row[places])
        rows, commanded = np.repeat(row[None], self.horizon, axis=0), np.zeros((self.horizon, outer.dim), bool)
        rows[:, places], commanded[:, places] = np.where(mask, decoded, rows[:, places]), mask
        return rows, commanded

    def _sample(self, group: GroupBatch, samples: int, seed: int) -> Floats:
        """Return the mean of several chunks ``(H, D)`` in physical units."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(samples, *group.chunk.shape, generator=generator).to(self.device)
        chunk = self._policy.sample(group, noise).mean(0)[0].double().cpu().numpy()
        return self.checkpoint.statistics.chunk(group.layout).restore(chunk)

    def _observation(
        self, entry: TrainedEmbodiment, images: Images, row: Floats, measured: set[str], mask: Bools, prompt: str
    ) -> GroupBatch:
        state, state_mask = self._state(entry, row, measured)
        size = (self._policy.config.backbone.image_height_px, self._policy.config.backbone.image_width_px)
        seen = {name: self._tensor(resize_area(image, size)) for name, image in images.items() if name in self.cameras}
        return GroupBatch(
            embodiment=entry.id,
            layout=entry.layout,
            images=seen,
            image_mask={name: torch.ones(1, dtype=torch.bool, device=self.device) for name in seen},
            prompts=[prompt],
            state=self._tensor(state),
            state_mask=self._tensor(state_mask),
            chunk=torch.zeros(1, *mask.shape, device=self.device),
            mask=self._tensor(mask),
        )

    def _state(self, entry: TrainedEmbodiment, row: Floats, measured: set[str]) -> tuple[NDArray[np.float32], Bools]:
        """Return the normalised state and its mask, all masked where there is no trained encoder for it."""
        layout, outer = entry.state_layout, RowLayout.of(entry.spec.hand_spaces)
        if layout is None:
            if entry.id not in self._said:
                log.warning("no state of %s was ever trained: the placeholder takes its place", entry.id)
                self._said.add(entry.id)
            return np.zeros(outer.dim, np.float32), np.zeros(outer.dim, bool)
        columns, known = np.zeros(layout.dim), np.zeros(layout.dim, bool)
        for group in measured.intersection(entry.state_groups):
            columns[layout.blocks[group]], known[layout.blocks[group]] = row[outer.blocks[group]], True
        scale, clip = self.checkpoint.statistics.state(entry.id), self._policy.config.clip
        return normalise_columns(scale, layout, columns, known, clip), known

    def _take_in(self, spec: EmbodimentSpec) -> TrainedEmbodiment:
        """Make an entry for an embodiment whose hands were trained with another body."""
        stem = parse_id(spec.id).stem
        older = next((key for key in self._entries if parse_id(key).stem == stem), None)
        if older is not None:
            raise CheckpointError(
                f"the checkpoint was trained for {older}, the robot is {spec.id}: they move differently"
            )
        trained = self.checkpoint.statistics.hands
        sides: dict[Side, str] = {side: hand_key(space.id, side) for side, space in spec.hand_spaces.items()}
        hands = {side: space for side, space in spec.hand_spaces.items() if sides[side] in trained}
        if not hands:
            raise CheckpointError(
                f"the checkpoint cannot drive {spec.id}: none of its hands ({', '.join(sides.values())}) was trained",
                allowed=self._entries,
            )
        kin = [e for e in self._entries.values() if any(e.hand_spaces.get(side) == hands[side] for side in hands)]
        cameras = tuple(dict.fromkeys(camera for entry in kin for camera in entry.cameras))
        tasks = tuple(dict.fromkeys(task for entry in kin for task in entry.tasks))
        log.warning("%s was not trained itself; it shares its hands with %s", spec.id, ", ".join(e.id for e in kin))
        return TrainedEmbodiment(
            id=spec.id,
            spec=spec,
            action_fingerprint=action_fingerprint(spec),
            hand_spaces=hands,
            groups=tuple(dict.fromkeys(group for entry in kin for group in entry.groups)),
            cameras=cameras,
            tasks=tasks,
        )

    def _tensor(self, value: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(value))[None].to(self.device)


def _wanted(entry: TrainedEmbodiment, measured: set[str], blind: bool) -> Bools:
    """Return which columns ``(D,)`` of an embodiment's layout can be commanded, given what was measured."""
    wanted = []
    for group in entry.layout.groups:
        side, part = group.split("_")
        there = group in measured or (part == "hand" and (blind or f"{side}_wrist" in measured))
        wanted.append(there and group in entry.groups)
    return WristHandSpace(entry.layout).column_mask(np.array(wanted))
