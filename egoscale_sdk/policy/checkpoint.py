"""Checkpoints: a folder of safetensors and JSON that says all by itself what was trained, for whom, on what.

``config.json`` (format, policy), ``weights.safetensors``, ``statistics.json``, ``embodiments.json`` (full spec
snapshots), ``recipe.json``, ``training.json``, for pretrained tokenizers ``tokenizer.json``; to resume,
``optimizer.safetensors``. A folder is replaced as a whole, so that a killed run leaves the one before.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from torch import Tensor

from egoscale_sdk.data.scales import Statistics, hand_key
from egoscale_sdk.errors import CheckpointError
from egoscale_sdk.policy.config import PolicyConfig
from egoscale_sdk.policy.files import load_tensors, read_json, save_tensors
from egoscale_sdk.policy.tokens import FileTokenizer
from egoscale_sdk.policy.vla import VLA
from egoscale_sdk.specs import EmbodimentSpec, HandSpaceSpec, RowLayout, Side, Strict, action_fingerprint
from egoscale_sdk.specs.base import Name

FORMAT = 1
KEPT = ("metrics.jsonl",)
Model = TypeVar("Model", bound=BaseModel)


class TrainedEmbodiment(Strict):
    """An embodiment that the policy was trained for.

    ``hand_spaces`` give the columns of its chunks and ``groups`` those blocks of them that were trained (also by a
    retargeting for this embodiment). ``state_hand_spaces`` and ``state_groups`` say the same of its state encoder,
    None if no state of it was ever seen. ``tasks`` are the instructions it was trained with.
    """

    id: str
    spec: EmbodimentSpec
    action_fingerprint: str
    hand_spaces: dict[Side, HandSpaceSpec] = Field(min_length=1)
    groups: tuple[str, ...]
    state_hand_spaces: dict[Side, HandSpaceSpec] | None = None
    state_groups: tuple[str, ...] = ()
    cameras: tuple[Name, ...] = ()
    tasks: tuple[str, ...] = ()

    @property
    def layout(self) -> RowLayout:
        """Columns of its chunks."""
        return RowLayout.of(self.hand_spaces)

    @property
    def state_layout(self) -> RowLayout | None:
        """Columns of its measured rows, or None if its state encoder was never trained."""
        return None if self.state_hand_spaces is None else RowLayout.of(self.state_hand_spaces)

    @property
    def drivable(self) -> bool:
        """Whether it is a robot."""
        return self.spec.kind == "robot"


class _ConfigFile(Strict):
    format: int = FORMAT
    written_by: str
    policy: PolicyConfig


@dataclass
class Checkpoint:
    """A policy and everything that is needed to use it or to train it on.

    Attributes:
        policy: The model.
        statistics: The scales of its inputs and outputs.
        embodiments: By id.
        recipe: The recipe of the last stage.
        training: What the trainer notes: step, seed, data, losses.
    """

    policy: VLA
    statistics: Statistics
    embodiments: dict[str, TrainedEmbodiment]
    recipe: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path, optimizer: dict[str, Tensor] | None = None) -> None:
        """Write the folder, replacing a checkpoint that is there.

        Raises:
            CheckpointError: there is something else.
        """
        from egoscale_sdk import __version__

        config = _ConfigFile(written_by=f"egoscale-sdk {__version__}", policy=self.policy.config)
        with _replacing(folder) as new:
            _write_json(new / "config.json", config.model_dump(mode="json"))
            entries = {key: entry.model_dump(mode="json") for key, entry in self.embodiments.items()}
            _write_json(new / "embodiments.json", entries)
            _write_json(new / "recipe.json", self.recipe)
            _write_json(new / "training.json", self.training)
            self.statistics.save(new / "statistics.json")
            save_tensors(new / "weights.safetensors", self.policy.state_dict())
            if optimizer is not None:
                save_tensors(new / "optimizer.safetensors", optimizer)
            if isinstance(self.policy.tokenizer, FileTokenizer):
                (new / "tokenizer.json").write_text(self.policy.tokenizer.text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder; nothing in it is trusted, and nothing beside it is looked at.

        Raises:
            CheckpointError: a file is missing, malformed, truncated, newer than this SDK, or contradicts another.
        """
        config = _read_config(folder)
        where = folder / "embodiments.json"
        embodiments = _validate(dict[str, TrainedEmbodiment], read_json(where), where)
        statistics = Statistics.load(folder / "statistics.json")
        _check_consistent(config, embodiments, statistics, folder)
        weights = folder / "weights.safetensors"
        with torch.device("meta"):
            expected = {
                name: tuple(value.shape) for name, value in _build(config, embodiments, None).state_dict().items()
            }
        tensors = load_tensors(weights, expected)  # before memory is taken for what the config promises
        policy = _build(config, embodiments, _read_tokenizer(config, folder))
        policy.load_state_dict(tensors)
        recipe, training = read_json(folder / "recipe.json"), read_json(folder / "training.json")
        return cls(policy.eval(), statistics, embodiments, recipe, training)


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder looks like a checkpoint."""
    return (folder / "config.json").is_file() and (folder / "weights.safetensors").is_file()


def _build(config: PolicyConfig, embodiments: dict[str, TrainedEmbodiment], tokenizer: FileTokenizer | None) -> VLA:
    policy = VLA.from_config(config, tokenizer)
    for entry in embodiments.values():
        policy.grow(entry.layout)
        if entry.state_layout is not None:
            policy.grow_state(entry.id, entry.state_layout)
    return policy


def _check_consistent(
    config: PolicyConfig, embodiments: dict[str, TrainedEmbodiment], statistics: Statistics, folder: Path
) -> None:
    if (statistics.horizon, statistics.chunk_dt_s) != (config.horizon, config.chunk_dt_s):
        raise CheckpointError("config.json and statistics.json have different chunks", where=str(folder))
    for key, entry in embodiments.items():
        where = f"{folder}/embodiments.json:{key}"
        if key != entry.id or entry.id != entry.spec.id:
            raise CheckpointError(f"is filed under {key!r} but describes {entry.spec.id!r}", where=where)
        if entry.action_fingerprint != action_fingerprint(entry.spec):
            raise CheckpointError("the fingerprint is not that of the spec: the file was edited", where=where)
        for side, space in entry.layout.hand_spaces:
            scale = statistics.hands.get(hand_key(space.id, side))
            if scale is None or scale.center.shape != (config.horizon, space.dim):
                raise CheckpointError(
                    f"statistics.json lacks the {side} hand {space.id} or has other columns", where=where
                )
        if entry.state_layout is not None:
            states = statistics.states.get(entry.id)
            if states is None or states.center.shape != (entry.state_layout.dim,):
                raise CheckpointError("statistics.json lacks its state or has other columns", where=where)


def _read_config(folder: Path) -> PolicyConfig:
    where = folder / "config.json"
    if not where.is_file():
        raise CheckpointError("is not a checkpoint: it has no config.json", where=str(folder))
    value = read_json(where)
    written = value.get("format")
    if isinstance(written, int) and written > FORMAT:
        raise CheckpointError(
            f"has format {written}, this SDK reads up to {FORMAT}",
            where=str(where),
            hint="upgrade with: pip install -U egoscale-sdk",
        )
    file: _ConfigFile = _validate(_ConfigFile, value, where)
    return file.policy


def _read_tokenizer(config: PolicyConfig, folder: Path) -> FileTokenizer | None:
    return FileTokenizer.read(folder / "tokenizer.json") if config.backbone.tokenizer == "file" else None


def _validate(kind: type[Any], value: Any, where: Path) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(first["msg"].removeprefix("Value error, "), where=f"{where}:{place}") from None


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")


def check_place(folder: Path) -> None:
    """Refuse a place where no checkpoint can be written, before hours are spent on one.

    Raises:
        CheckpointError: there is something else, or nothing can be written.
    """
    foreign = folder.exists() and not is_checkpoint(folder)
    if foreign and (not folder.is_dir() or any(file.name not in KEPT for file in folder.iterdir())):
        raise CheckpointError("is there already and is no checkpoint", where=str(folder), hint="choose another --out")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent):
            pass
    except OSError as error:
        raise CheckpointError(f"cannot be written: {error.strerror}", where=str(folder)) from None


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which then takes the place of ``folder``."""
    check_place(folder)
    mark = uuid.uuid4().hex[:8]
    new, old = (folder.with_name(f".{folder.name}.{mark}.{word}") for word in ("new", "old"))
    new.mkdir(parents=True)
    try:
        yield new
        if folder.exists():
            for name in KEPT:
                if (folder / name).is_file():
                    shutil.copy2(folder / name, new / name)
            folder.rename(old)
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists():  # interrupted between the two
            old.rename(folder)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
