"""An embodiment as people read it: a list of rows, and a card with its joints, columns, cameras and digests."""

from __future__ import annotations

from collections.abc import Iterator
from math import degrees
from typing import Any

from rich.table import Table
from rich.text import Text

from egoscale_sdk.cli.console import render
from egoscale_sdk.specs import (
    EmbodimentSpec,
    HandSpec,
    JointSpec,
    Provider,
    RowLayout,
    action_fingerprint,
    safety_digest,
)


def table_of(rows: list[dict[str, Any]]) -> str:
    """Lay out what ``embodiments list`` found."""
    if not rows:
        return "no embodiment is installed; run: pip install the package of a hand, then: egoscale plugin list"
    table = _table("id", "hands", ">joints", "provided by", "title")
    for row in rows:
        provider = row["provider"]
        package = f"{provider['distribution']} {provider['version']}"
        if row["error"]:
            table.add_row(row["id"], "", "", package, Text(f"BROKEN: {row['error']}"))
        else:
            sides = " + ".join(row["hand_spaces"])
            table.add_row(row["id"], sides, str(row["joints"]), package, Text(row["title"]))
    return render(table)


def card_of(spec: EmbodimentSpec, provider: Provider) -> str:
    """Lay out a spec as a readable card."""
    sections = [_head(spec, provider), *(_hand(hand) for hand in spec.hands), *_arms(spec), _columns(spec)]
    sections += [section for section in (_sensors(spec), _wires(spec), _provenance(spec)) if section]
    return "\n\n".join(sections)


def _head(spec: EmbodimentSpec, provider: Provider) -> str:
    control = spec.control
    facts = {
        "id": f"{spec.id}  ({spec.kind})",
        "aliases": ", ".join(spec.aliases),
        "provided by": f"{provider.distribution} {provider.version}",
        "fingerprint": action_fingerprint(spec),
        "safety digest": safety_digest(spec),
        "base frame": spec.base_frame,
        "action space": f"{spec.action.space}, wrists: {spec.action.wrist}, hands: {spec.action.hand}",
        "control": f"{control.rate_hz:g} Hz, stale after {control.stale_after_s:g} s",
        "wrist limits": f"{control.wrist_speed_m_s:g} m/s, {control.wrist_turn_rad_s:g} rad/s",
        "licence": spec.license,
    }
    return "\n".join([spec.title, *(f"  {key:<14} {value}" for key, value in facts.items() if value)])


def _hand(hand: HandSpec) -> str:
    title = f"{hand.side} hand: {hand.hand_space.id}, {hand.hand_space.dim} columns"
    if hand.representation == "keypoints":
        return f"{title}: 21 keypoints in the wrist frame, x y z in metres"
    fingers = ", ".join(f"{finger.role} ({len(finger.frames)} frames)" for finger in hand.fingers)
    lines = [title, f"  fingers  {fingers}" if fingers else "", _joints(hand.joints)]
    if hand.aperture is not None:
        lines.insert(1, f"  opening  set by {hand.aperture.joint}")
    return "\n".join(line for line in lines if line)


def _arms(spec: EmbodimentSpec) -> Iterator[str]:
    for arm in spec.arms:
        mount = "" if arm.mount_calibrated else "; the hand's mount must be calibrated"
        yield f"{arm.side} arm: {arm.base} -> {arm.tip}{mount}\n{_joints(arm.joints)}"


def _joints(joints: tuple[JointSpec, ...]) -> str:
    table = _table("joint", "kind", ">lower", ">upper", "unit", ">speed /s", ">force N(m)", "follows")
    for joint in joints:
        force = joint.effort_n if joint.unit == "m" else joint.effort_nm
        limits = ["" if value is None else f"{value:.4g}" for value in (joint.lower, joint.upper)]
        mimic = joint.mimic
        follows = f"{mimic.multiplier:g} x {mimic.joint} + {mimic.offset:g}" if mimic else ""
        table.add_row(joint.name, joint.kind, *limits, _unit(joint), _figure(joint.velocity), _figure(force), follows)
    return _indent(render(table))


def _unit(joint: JointSpec) -> str:
    if joint.unit == "m" or joint.lower is None or joint.upper is None:
        return joint.unit
    return f"rad ({degrees(joint.lower):.0f}..{degrees(joint.upper):.0f} deg)"


def _columns(spec: EmbodimentSpec) -> str:
    layout = RowLayout.of(spec.hand_spaces)
    lines = [f"  {block.start:>3}..{block.stop - 1:<3} {group}" for group, block in layout.blocks.items()]
    return "\n".join([f"action columns: {layout.dim}", *lines])


def _sensors(spec: EmbodimentSpec) -> str:
    lines = []
    for sensor in spec.sensors:
        if sensor.kind == "camera":
            what = f"camera, {sensor.width_px} x {sensor.height_px} px at {sensor.rate_hz:g} Hz, on {sensor.mount}"
        else:
            what = f"tactile, {' x '.join(map(str, sensor.shape))} {sensor.unit} at {sensor.rate_hz:g} Hz"
        lines.append(f"  {sensor.name:<20} {what}")
    return "\n".join(["sensors:", *lines]) if lines else ""


def _wires(spec: EmbodimentSpec) -> str:
    lines = [f"  {wire.device:<20} {wire.part}, {len(wire.joints)} values" for wire in spec.wires]
    return "\n".join(["wires:", *lines]) if lines else ""


def _provenance(spec: EmbodimentSpec) -> str:
    parts = [("", spec.provenance), *((f"{hand.side} hand: ", hand.provenance) for hand in spec.hands)]
    parts += [(f"{arm.side} arm: ", arm.provenance) for arm in spec.arms]
    rows = [(f"{part}{item.fields}", item.source, item.note) for part, items in parts for item in items]
    table = _table("figures", "source", "note")
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    return f"where the figures come from:\n{_indent(render(table))}" if rows else ""


def _table(*headings: str) -> Table:
    """Return a plain table; a heading that begins with ``>`` makes a right-aligned column."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading.lstrip(">"), justify="right" if heading.startswith(">") else "left")
    return table


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
