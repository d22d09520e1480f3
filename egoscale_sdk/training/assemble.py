"""What training starts from: statistics, adapters for every embodiment of the mixture, fresh or inherited weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from egoscale_sdk.data import RelativeStatistics, Statistics, pool_statistics, relative_statistics
from egoscale_sdk.data.store import StoreError
from egoscale_sdk.errors import DataError, RecipeError
from egoscale_sdk.policy.checkpoint import Checkpoint, TrainedEmbodiment
from egoscale_sdk.policy.config import PolicyConfig
from egoscale_sdk.policy.pretrained import load_backbone
from egoscale_sdk.policy.vla import VLA
from egoscale_sdk.progress import Progress, silent
from egoscale_sdk.specs import RowLayout, action_fingerprint, action_meaning
from egoscale_sdk.specs.compare import diff_meaning
from egoscale_sdk.training.recipe import Recipe
from egoscale_sdk.training.sources import Source

MAX_TASKS = 200
SHOWN_DIFFERENCES = 6


def assemble(
    recipe: Recipe, sources: Sequence[Source], init: Checkpoint | None = None, progress: Progress = silent
) -> Checkpoint:
    """Build the checkpoint of step 0.

    Args:
        recipe: What to build.
        sources: The mixture.
        init: A checkpoint to go on from; its architecture and weights are kept and what is new is added.
        progress: Told while statistics are computed.

    Raises:
        RecipeError: recipe, data and checkpoint do not fit together; says how.
    """
    skip = recipe.data.on_damage == "skip"
    parts = [relative_statistics(source.windows, progress, skip_damaged=skip) for source in sources]
    statistics = _statistics(recipe.data.statistics, pool_statistics(parts), init)
    embodiments = dict(init.embodiments) if init else {}
    for source, part in zip(sources, parts, strict=True):
        entry = _entry(source, part, skip)
        before = embodiments.get(entry.id)
        embodiments[entry.id] = entry if before is None else _union(before, entry, source.name)
    cameras = tuple(dict.fromkeys(camera for source in sources for camera in source.windows.image_sizes))
    policy = _inherited(recipe.policy, init, cameras) if init else _fresh(recipe, cameras)
    for entry in embodiments.values():
        policy.grow(entry.layout)
        if entry.state_layout is not None:
            policy.grow_state(entry.id, entry.state_layout)
    return Checkpoint(policy, statistics, embodiments, recipe.model_dump(mode="json"))


def _statistics(choice: Literal["recompute", "inherit"] | None, new: Statistics, init: Checkpoint | None) -> Statistics:
    if init is None and choice == "inherit":
        raise RecipeError("there is no checkpoint to inherit statistics from", hint="name it with --init")
    if init is not None and choice is None:
        raise RecipeError(
            "must be said when training goes on from a checkpoint",
            where="data.statistics",
            allowed=("inherit", "recompute"),
            hint="inherit keeps the meaning of the policy's numbers: --set data.statistics=inherit",
        )
    return init.statistics.inherited_by(new) if init is not None and choice == "inherit" else new


def _fresh(recipe: Recipe, cameras: tuple[str, ...]) -> VLA:
    torch.manual_seed(recipe.training.seed)
    config = recipe.policy.model_copy(update={"cameras": cameras})
    return load_backbone(config) if config.backbone.weights else VLA.from_config(config)


def _inherited(asked: PolicyConfig, init: Checkpoint, cameras: tuple[str, ...]) -> VLA:
    """Take over the checkpoint's policy; of the recipe's only the dropout of states may differ."""
    have = init.policy.config
    lines = diff_meaning(_architecture(have), _architecture(asked), a_is="checkpoint", b_is="recipe")
    if lines:
        raise RecipeError(
            f"the recipe's policy is not the checkpoint's: {'; '.join(lines[:SHOWN_DIFFERENCES])}", where="policy"
        )
    union = tuple(dict.fromkeys((*have.cameras, *cameras)))
    config = have.model_copy(update={"cameras": union, "state_dropout": asked.state_dropout})
    policy = VLA.from_config(config, init.policy.tokenizer)
    for entry in init.embodiments.values():
        policy.grow(entry.layout)
        if entry.state_layout is not None:
            policy.grow_state(entry.id, entry.state_layout)
    policy.load_state_dict(policy.state_dict() | init.policy.state_dict())
    return policy


def _architecture(config: PolicyConfig) -> dict[str, Any]:
    free = {"cameras": True, "state_dropout": True, "preset": True, "backbone": {"weights": True}}
    return config.model_dump(mode="json", exclude=free)  # type: ignore[arg-type]  # pydantic's own recursive type


def _entry(source: Source, part: RelativeStatistics, skip_damaged: bool) -> TrainedEmbodiment:
    seen = _seen(part.layout, part.chunk.count.sum(0))
    state = _seen(part.state_layout, part.state.count) if source.measured else ()
    if not seen:
        raise RecipeError("has no valid action at all", where=source.name)
    return TrainedEmbodiment(
        id=source.spec.id,
        spec=source.spec,
        action_fingerprint=action_fingerprint(source.spec),
        hand_spaces=dict(part.layout.hand_spaces),
        groups=seen,
        state_hand_spaces=dict(part.state_layout.hand_spaces) if state else None,
        state_groups=state,
        cameras=tuple(source.windows.image_sizes),
        tasks=_tasks(source, skip_damaged),
    )


def _seen(layout: RowLayout, count: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(group for group, block in layout.blocks.items() if count[block].any())


def _tasks(source: Source, skip_damaged: bool) -> tuple[str, ...]:
    dataset = source.dataset
    texts: dict[str, None] = {}
    for episode in source.windows.episodes:
        try:
            spans = [span.text for span in dataset.language(episode) if span.kind == "task"]
        except DataError as error:
            if not skip_damaged or isinstance(error, StoreError):
                raise
            continue
        texts |= {text: None for text in spans or [dataset.episodes[episode].task] if text}
        if len(texts) >= MAX_TASKS:
            break
    return tuple(texts)[:MAX_TASKS]


def _union(a: TrainedEmbodiment, b: TrainedEmbodiment, where: str) -> TrainedEmbodiment:
    """Join what two sources, or a checkpoint and a source, say of one embodiment."""
    if a.action_fingerprint != b.action_fingerprint:
        lines = diff_meaning(action_meaning(a.spec), action_meaning(b.spec), a_is="before", b_is=where)
        raise RecipeError(f"{a.id} means something else in {where}: {'; '.join(lines[:SHOWN_DIFFERENCES])}")
    return a.model_copy(
        update={
            "hand_spaces": {**a.hand_spaces, **b.hand_spaces},
            "groups": tuple(dict.fromkeys((*a.groups, *b.groups))),
            "state_hand_spaces": a.state_hand_spaces or b.state_hand_spaces,
            "state_groups": tuple(dict.fromkeys((*a.state_groups, *b.state_groups))),
            "cameras": tuple(dict.fromkeys((*a.cameras, *b.cameras))),
            "tasks": tuple(dict.fromkeys((*a.tasks, *b.tasks)))[:MAX_TASKS],
        }
    )
