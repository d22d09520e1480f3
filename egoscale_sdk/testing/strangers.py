"""Declarations that a plugin cannot know: its own spec with other columns."""

from __future__ import annotations

from collections.abc import Callable

from egoscale_sdk.specs import ColumnSpec, EmbodimentSpec, HandSpec, JointSpec, RowLayout

Columns = tuple[tuple[ColumnSpec, JointSpec | None], ...]
_FOREIGN = "joint_that_nobody_has"


def strangers(spec: EmbodimentSpec) -> dict[str, EmbodimentSpec]:
    """Return specs of the same id whose hands have one column more, one less, two exchanged, or a foreign one."""
    changes: dict[str, Callable[[Columns], Columns]] = {
        "one column more": lambda columns: (*columns, _foreign(columns[-1])),
        "one column less": lambda columns: columns[:-1],
        "two columns exchanged": lambda columns: (*columns[:-2], *columns[:-3:-1]),
        "a foreign column": lambda columns: (*columns[:-1], _foreign(columns[-1])),
    }
    fewest = min(hand.hand_space.dim for hand in spec.hands)
    return {
        what: spec.model_copy(update={"hands": tuple(_with(hand, change) for hand in spec.hands)})
        for what, change in changes.items()
        if fewest > 1 or what in ("one column more", "a foreign column")
    }


def columns_and_joints(spec: EmbodimentSpec) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return what the columns of a row are: their names and units, and the joints of the hands."""
    layout = RowLayout.of(spec.hand_spaces)
    return layout.names, layout.units, tuple(joint.name for hand in spec.hands for joint in hand.actuated)


def _with(hand: HandSpec, change: Callable[[Columns], Columns]) -> HandSpec:
    joints: tuple[JointSpec | None, ...] = hand.actuated or (None,) * hand.hand_space.dim
    columns = change(tuple(zip(hand.hand_space.columns, joints, strict=True)))
    space = hand.hand_space.model_copy(update={"columns": tuple(column for column, _ in columns)})
    driven = tuple(joint for _, joint in columns if joint is not None)
    followers = tuple(joint for joint in hand.joints if joint.mimic is not None)
    kept = {"hand_space": space, "joints": (*driven, *followers)}
    return hand.model_copy(update=kept | {"mirror_signs": (), "open_pose": (), "dynamics": ()})


def _foreign(pair: tuple[ColumnSpec, JointSpec | None]) -> tuple[ColumnSpec, JointSpec | None]:
    column, joint = pair
    renamed = joint and joint.model_copy(update={"name": f"{joint.name}_{_FOREIGN}"})
    return column.model_copy(update={"name": _FOREIGN}), renamed
