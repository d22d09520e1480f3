"""The text of an embodiment's files: one table per hand, the space that hands share, and what stands around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egoscale_sdk.scaffold.toml_text import comment, tables_text, toml_text
from egoscale_sdk.specs import EmbodimentSpec, HandSpaceSpec, HandSpec, Strict

_ORDER = ("side", "hand_space", "urdf", "root", "mass_kg", "T_root_wrist", "mirror_signs", "open_pose")
_WIRE_NOTE = (
    "How the device on the wire counts: q = offset + sign * scale * native, one line a value, in the order in which it "
    "sends and takes them. As written, it counts as the joints do. Change order, sign, scale, offset and native_unit "
    "to its own; native_lower and native_upper are what it can hold."
)
_RECORDING_NOTE = (
    "What `egoscale simulate` writes of one hand as LeRobot data. Recordings of your own get a table, too."
)
_CONTROL_NOTE = "How often the runtime sends a target, how fast the wrists may move, when a state is too old to act on."


def space_toml(space: HandSpaceSpec) -> str:
    """Return the text of a hand space: the columns that a policy learns, the same for left and right."""
    return comment("The columns of one hand, the same for left and right.") + toml_text(_plain(space))


def hand_toml(hand: HandSpec, *, title: str = "", comments: Mapping[str, str] | None = None) -> str:
    """Return the text of a hand's own file; its space stands beside it as ``space.toml``, its tree as ``SIDE.urdf``.

    Args:
        hand: The hand.
        title: A comment at the top.
        comments: A comment for the line above a field.
    """
    table: dict[str, Any] = _plain(hand) | {"hand_space": "space.toml"}
    if table.pop("tree", None):
        table["urdf"] = f"{hand.side}.urdf"
    provenance = table.pop("provenance", [])
    ordered = {key: table[key] for key in (*_ORDER, *table) if key in table}
    return comment(title) + toml_text(ordered, comments) + tables_text("provenance", provenance)


def embodiment_toml(spec: EmbodimentSpec) -> str:
    """Return the text of the file that brings the hands together, with control, wires and recordings.

    Fields of the wires are all written, defaults too: they are what a vendor has to look at.
    """
    top = {key: getattr(spec, key) for key in ("id", "title", "kind", "base_frame")}
    top |= {"license": spec.license} if spec.license else {}
    parts = (
        toml_text(top | {"hands": [f"{hand.side}.toml" for hand in spec.hands]}),
        "\n[action]\n" + toml_text({"wrist": spec.action.wrist}),
        f"\n{comment(_CONTROL_NOTE)}[control]\n" + toml_text(spec.control.model_dump()),
        tables_text("wires", [wire.model_dump(exclude_none=True) for wire in spec.wires], [_WIRE_NOTE]),
        tables_text("recordings", [_plain(layout) for layout in spec.recordings], [_RECORDING_NOTE]),
        tables_text("provenance", [_plain(item) for item in spec.provenance]),
    )
    return "".join(parts)


def _plain(model: Strict) -> dict[str, Any]:
    """Return what a spec says beyond its defaults, as TOML can hold it."""
    return model.model_dump(mode="json", exclude_defaults=True)
