"""Which embodiment a run drives, and with which of a checkpoint's meanings; no flag needs to name one."""

from __future__ import annotations

from collections.abc import Sequence

from egoscale_sdk.data import Dataset
from egoscale_sdk.errors import CheckpointError, DataError
from egoscale_sdk.specs import ActionSetSpec


def choose_embodiment(
    drivable: Sequence[str], action_set: ActionSetSpec | None = None, declared: Sequence[str] = (), named: str = ""
) -> str:
    """Return the id of what is driven.

    The first of these that says it: the name that was given, a dataset's action set, the only embodiment that the
    driver declares, the only one that the checkpoint can drive.

    Args:
        drivable: Robots of the checkpoint.
        action_set: The dataset's action set, if there is a dataset.
        declared: Ids that the driver declares, without globs.
        named: What the user named, if anything.

    Raises:
        CheckpointError: nothing says it and the checkpoint can drive several.
    """
    if named:
        return named
    if action_set is not None:
        return action_set.embodiment
    if len(declared) == 1:
        return declared[0]
    if len(drivable) == 1:
        return drivable[0]
    raise CheckpointError(
        "the checkpoint can drive several embodiments, and nothing says which"
        if drivable
        else "the checkpoint has no robot's actions",
        allowed=drivable,
        hint="name a dataset of that robot with --dataset, or the robot with --embodiment",
    )


def drivable_set(dataset: Dataset, name: str | None = None) -> ActionSetSpec:
    """Return the action set of a dataset that a robot can carry out: the named one, or the only one there is.

    Raises:
        DataError: it is a person's, or there are several and none is named.
    """
    sets = dataset.declaration.action_sets
    robots = [action_set for action_set in sets if not _is_a_persons(action_set, dataset)]
    where = dataset.where
    if name is not None:
        chosen = dataset.action_set(name)
        if _is_a_persons(chosen, dataset):
            raise DataError(f"action set {name!r} is a person's own: no robot can carry it out", where=where)
        return chosen
    if not robots:
        raise DataError(
            "holds people's actions only", where=where, hint=f"add a robot's with: egoscale retarget {where} --to ID"
        )
    if len(robots) > 1:
        names = [action_set.name for action_set in robots]
        raise DataError("has several robots' action sets", where=where, allowed=names, hint="choose with --action-set")
    return robots[0]


def _is_a_persons(action_set: ActionSetSpec, dataset: Dataset) -> bool:
    return (action_set.spec or dataset.declaration.spec).kind == "human"
