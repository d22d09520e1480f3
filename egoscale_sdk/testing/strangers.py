"""Declarations that a plugin cannot know: its own spec with other columns, other kinematics or another space."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from egoscale_sdk.specs import ColumnSpec, EmbodimentSpec, HandSpec, JointSpec, PoseSpec, RowLayout, TreeJoint

Columns = tuple[tuple[ColumnSpec, JointSpec | None], ...]
_FOREIGN = "joint_that_nobody_has"
_FOREIGN_SPACE = "somebody/else@1"
_SHIFT_M = 0.05


def strangers(spec: EmbodimentSpec) -> dict[str, EmbodimentSpec]:
    """Return specs of the same id that mean something else, by what is strange about them.

    Their hands have one column more, one less, two exchanged, or a foreign one; or the columns are the same, and the
    wrist frame is elsewhere, an axis points the other way, or the action space is another.
    """
    changes: dict[str, Callable[[Columns], Columns]] = {
        "one column more": lambda columns: (*columns, _foreign(columns[-1])),
        "one column less": lambda columns: columns[:-1],
        "two columns exchanged": lambda columns: (*columns[:-2], *columns[:-3:-1]),
        "a foreign column": lambda columns: (*columns[:-1], _foreign(columns[-1])),
    }
    fewest = min(hand.hand_space.dim for hand in spec.hands)
    found = {
        what: _with_hands(spec, partial(_with, change=change))
        for what, change in changes.items()
        if fewest > 1 or what in ("one column more", "a foreign column")
    }
    found["another wrist frame"] = _with_hands(spec, _with_other_wrist)
    if any(hand.tree for hand in spec.hands):
        found["a joint about the opposite axis"] = _with_hands(spec, _with_opposite_axis)
    action = spec.action.model_copy(update={"space": _FOREIGN_SPACE})
    found["another action space"] = spec.model_copy(update={"action": action})
    return found


def meaning(spec: EmbodimentSpec) -> dict[str, object]:
    """Return what `strangers` differ in, by name: whoever reads rows as another spec must leave all of it as it was."""
    return {
        "columns": columns_and_joints(spec),
        "wrist frames": [hand.T_root_wrist for hand in spec.hands],
        "axes": [[joint.axis for joint in hand.tree.joints] for hand in spec.hands if hand.tree],
        "action space": spec.action.space,
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


def _with_hands(spec: EmbodimentSpec, change: Callable[[HandSpec], HandSpec]) -> EmbodimentSpec:
    return spec.model_copy(update={"hands": tuple(change(hand) for hand in spec.hands)})


def _with_other_wrist(hand: HandSpec) -> HandSpec:
    """Turn the wrist frame by half a turn about its z and shift it."""
    (x, y, z), (qw, qx, qy, qz) = hand.T_root_wrist.xyz_m, hand.T_root_wrist.quat_wxyz
    other = PoseSpec(xyz_m=(x, y, z + _SHIFT_M), quat_wxyz=(-qz, qy, -qx, qw))
    return hand.model_copy(update={"T_root_wrist": other})


def _with_opposite_axis(hand: HandSpec) -> HandSpec:
    """Reverse the first driven joint."""
    if hand.tree is None or not hand.actuated:
        return hand

    def reverse(joint: TreeJoint) -> TreeJoint:
        x, y, z = joint.axis
        return joint.model_copy(update={"axis": (-x, -y, -z)}) if joint.name == hand.actuated[0].name else joint

    return hand.model_copy(
        update={"tree": hand.tree.model_copy(update={"joints": tuple(map(reverse, hand.tree.joints))})}
    )


def _foreign(pair: tuple[ColumnSpec, JointSpec | None]) -> tuple[ColumnSpec, JointSpec | None]:
    column, joint = pair
    renamed = joint and joint.model_copy(update={"name": f"{joint.name}_{_FOREIGN}"})
    return column.model_copy(update={"name": _FOREIGN}), renamed
