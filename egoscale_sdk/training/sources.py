"""Which datasets are trained on, in which proportion, and which of their episodes are kept out."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egoscale_sdk.data import Dataset, WindowDataset
from egoscale_sdk.data.validation import action_equals_state
from egoscale_sdk.errors import DataError, RecipeError, did_you_mean
from egoscale_sdk.policy.config import PolicyConfig
from egoscale_sdk.specs import EmbodimentSpec


@dataclass(frozen=True)
class DataArgument:
    """``D.zarr[:weight[:action_set]]`` as given on the command line."""

    path: str
    weight: float
    action_set: str | None

    @classmethod
    def parse(cls, text: str) -> DataArgument:
        """Parse; an empty weight counts as 1.

        Raises:
            RecipeError: the weight is not a positive number.
        """
        head, mark, tail = text.rpartition(".zarr")
        path, rest = (head + mark, tail) if mark else (text, "")
        weight, _, action_set = rest.lstrip("/").removeprefix(":").partition(":")
        try:
            value = float(weight or 1)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise RecipeError(
                f"weight {weight!r} is not a positive number", where=f"--data {text}", hint="write D.zarr:0.5:native"
            )
        return cls(path, value, action_set or None)


@dataclass(frozen=True)
class Source:
    """A dataset in a mixture.

    ``spec`` is of the embodiment that the actions are for; ``measured`` says whether the state is of the same one,
    so that it may train its state encoder. ``held`` holds the windows of the episodes that are kept out.
    """

    name: str
    weight: float
    spec: EmbodimentSpec
    measured: bool
    windows: WindowDataset
    held: WindowDataset | None

    @property
    def dataset(self) -> Dataset:
        """Where the windows come from."""
        return self.windows.dataset

    def describe(self) -> dict[str, str | float | int | list[int]]:
        """Return what a checkpoint remembers, and what must be the same to resume."""
        return {
            "dataset": self.dataset.name,
            "uid": self.dataset.declaration.uid,
            "version": self.dataset.version,
            "digest": self.dataset.digest,
            "action_set": self.windows.action_set.name,
            "weight": self.weight,
            "embodiment": self.spec.id,
            "episodes": list(self.windows.episodes),
        }


def open_sources(
    data: Sequence[str],
    config: PolicyConfig,
    *,
    stride: int = 1,
    holdout: str = "",
    allow_action_equals_state: bool = False,
    skip_damaged: bool = False,
) -> list[Source]:
    """Open the datasets of a mixture.

    Args:
        data: ``D.zarr[:weight[:action_set]]`` each.
        config: For horizon, step, cameras and image size.
        stride: Rows from window to window.
        holdout: What is kept out of each dataset: the last episodes, by a number or a fraction below 1; or those of
            a split by its name, e.g. ``val``: then only episodes of no split, or of ``train``, are trained on.
        allow_action_equals_state: Train even where a robot's actions are its measured states.
        skip_damaged: Compare actions and states in sound segments only.

    Raises:
        RecipeError, DataError, DeclarationError: an argument, a dataset or its action set is not usable.
    """
    if not data:
        raise RecipeError("there is nothing to train on", hint="name at least one dataset: --data D.zarr")
    arguments = [DataArgument.parse(text) for text in data]
    sources = [
        _open(argument, config, stride, holdout, allow_action_equals_state, skip_damaged) for argument in arguments
    ]
    names = [source.name for source in sources]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RecipeError(f"{twice!r} is named twice", hint="give it once, with a weight")
    return sources


def held_out(count: int, holdout: str) -> int:
    """Return how many of ``count`` episodes are kept out.

    Raises:
        RecipeError: it is no number, or nothing would be left to train on.
    """
    try:
        value = float(holdout or 0)
        number = int(value) if value >= 1 else math.ceil(value * count)
    except (ValueError, OverflowError):
        value, number = -1.0, 0
    if value < 0 or (value >= 1 and value != number):
        raise RecipeError(f"{holdout!r} is neither a number of episodes nor a fraction", where="--holdout")
    if number >= count:
        raise RecipeError(f"would keep out {number} of {count} episodes", where="--holdout", hint="keep out fewer")
    return number


def divided(dataset: Dataset, holdout: str) -> tuple[list[int], list[int]]:
    """Return which episodes are trained on, and which are kept out.

    Raises:
        RecipeError: ``holdout`` is neither a number nor a split of the dataset, or nothing would be left.
    """
    count = len(dataset.episodes)
    if not re.match(r"[A-Za-z_]", holdout) or holdout in ("inf", "nan"):
        number = held_out(count, holdout)
        return list(range(count - number)), list(range(count - number, count))
    codes, names = dataset.index.codes("split"), dataset.index.texts("split")
    if holdout not in names:
        raise RecipeError(
            f"{holdout!r} is neither a number of episodes nor a fraction nor a split of {dataset.where}",
            where="--holdout",
            allowed=names,
            hint=did_you_mean(holdout, names) or f"divide it with: egoscale dataset split {dataset.where}",
        )
    trained = [-1, *(number for number, name in enumerate(names) if name == "train" != holdout)]
    train = np.flatnonzero(np.isin(codes, trained)).tolist()
    if not train:
        raise RecipeError(f"{dataset.where} has no episode to train on beside {holdout!r}", where="--holdout")
    return train, np.flatnonzero(codes == names.index(holdout)).tolist()


def _open(
    argument: DataArgument, config: PolicyConfig, stride: int, holdout: str, allow: bool, skip_damaged: bool
) -> Source:
    dataset = Dataset.open(argument.path)
    action_set = dataset.action_set(argument.action_set)
    native = action_set.name == "native"
    finding = None if allow or not native else action_equals_state(dataset, skip_damaged=skip_damaged)
    if finding is not None:
        raise DataError(
            f"{finding.message}; training on it teaches to stay still",
            where=argument.path,
            hint=f"{finding.hint}; or train all the same with --allow-action-equals-state",
        )
    spec = dataset.declaration.spec if native else action_set.spec
    if spec is None:
        raise DataError(f"action set {action_set.name!r} has no spec of {action_set.embodiment}", where=argument.path)
    train, held = divided(dataset, holdout)
    return Source(
        name=f"{Path(argument.path).stem}:{action_set.name}",
        weight=argument.weight,
        spec=spec,
        measured=native and dataset.declaration.has_state,
        windows=_windows(dataset, config, action_set.name, train, stride),
        held=_windows(dataset, config, action_set.name, held, 1) if held else None,
    )


def _windows(
    dataset: Dataset, config: PolicyConfig, action_set: str, episodes: Sequence[int], stride: int
) -> WindowDataset:
    present = [camera.name for camera in dataset.declaration.cameras]
    return WindowDataset(
        dataset,
        config.horizon,
        config.chunk_dt_s,
        action_set,
        cameras=[name for name in config.cameras or present if name in present],
        image_size_px=(config.backbone.image_height_px, config.backbone.image_width_px),
        episodes=episodes,
        stride=stride,
    )
