"""A dataset in a few numbers, from what it declares and holds; needs no plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from egoscale_sdk.data.census import take_census, valid_rows
from egoscale_sdk.data.dataset import Dataset

SHOWN = 8


def summarise(dataset: Dataset) -> dict[str, Any]:
    """Return what ``egoscale dataset show --json`` prints."""
    declaration = dataset.declaration
    groups, rows = declaration.native.layout.groups, int(dataset.index.length.sum())
    shares = (valid_rows(dataset) / max(rows, 1)).round(4).tolist()
    return {
        "path": dataset.where,
        "embodiment": declaration.embodiment,
        "kind": declaration.kind,
        "version": dataset.version,
        "uid": declaration.uid,
        "provider": declaration.provider.model_dump(mode="json"),
        "action_fingerprint": declaration.action_fingerprint,
        "episodes": len(dataset.episodes),
        "segments": len(dataset.segments),
        "rows": rows,
        "fps": declaration.fps,
        "base_frame": declaration.base_frame,
        "has_state": declaration.has_state,
        "valid_share": dict(zip(groups, shares, strict=True)),
        "action_sets": [_action_set(dataset, name) for name in (s.name for s in declaration.action_sets)],
        "cameras": [camera.model_dump(mode="json") for camera in declaration.cameras],
        "raw": list(declaration.raw),
        **take_census(dataset),
        "importer": declaration.importer,
        "source": declaration.source,
        "assumptions": list(declaration.assumptions),
        "licence": declaration.licence,
        "written_by": declaration.written_by,
    }


def _action_set(dataset: Dataset, name: str) -> dict[str, Any]:
    action_set = dataset.action_set(name)
    return {
        "name": name,
        "embodiment": action_set.embodiment,
        "action_fingerprint": action_set.action_fingerprint,
        "action_source": action_set.action_source,
        "lead_s": action_set.lead_s,
        "columns": action_set.layout.dim,
        "hand_spaces": {side: space.id for side, space in action_set.hand_spaces.items()},
        "retargeter": action_set.retargeting.retargeter if action_set.retargeting else None,
    }


def as_text(summary: dict[str, Any]) -> str:
    """Lay a summary out for people."""
    provider = summary["provider"]
    lines = [
        f"{summary['path']} (version {summary['version']})",
        f"  embodiment   {summary['embodiment']} ({summary['kind']}), from {provider['distribution']} "
        f"{provider['version']}",
        f"  episodes     {summary['episodes']}, {summary['rows']} rows, {summary['hours']:.3g} h at "
        f"{summary['fps']:g} Hz, in {summary['segments']} segments",
        f"  state        {'measured' if summary['has_state'] else 'none'}; wrists in frame '{summary['base_frame']}'",
        "  valid        " + ", ".join(f"{group} {share:.1%}" for group, share in summary["valid_share"].items()),
    ]
    lines += [_action_set_line(item) for item in summary["action_sets"]]
    lines += [
        f"  camera       {item['name']}: {item['width_px']}x{item['height_px']}, on {item['mount']}"
        for item in summary["cameras"]
    ]
    lines += [f"  assumed      {text}" for text in summary["assumptions"]]
    return "\n".join([*lines, *_census_lines(summary)])


def _action_set_line(item: dict[str, Any]) -> str:
    made = f", by {item['retargeter']}" if item["retargeter"] else ""
    columns = f"{item['columns']} columns, {item['action_source']}"
    return f"  action set   {item['name']}: {item['embodiment']}, {columns}{made}"


def _census_lines(summary: dict[str, Any]) -> list[str]:
    """Totals, pairs, then a table of episodes and hours by label and value."""
    totals = ", ".join(f"{count} {name}" for name, count in summary["totals"].items() if count)
    lines = [f"  census       {totals or 'no labels'}"]
    pairs = summary["pairs"]
    if pairs["groups"]:
        lines.append(
            f"  aligned      {pairs['episodes']} episodes in {pairs['groups']} groups, {pairs['paired_here']} of them "
            "with two or more episodes here"
        )
    rows: list[tuple[str, ...]] = []
    for label, counts in summary["census"].items():
        hours, shares = summary["hours_by_label"].get(label, {}), _shares(summary, label)
        listed = [
            (value, str(count), _hour(hours.get(value)), shares.get(value, "")) for value, count in counts.items()
        ]
        rows += [(label if number == 0 else "", *row) for number, row in enumerate(listed[:SHOWN])]
        rows += [("", f"and {len(listed) - SHOWN} more", "", "", "")] if len(listed) > SHOWN else []
    return [*lines, *_table(("", "", "episodes", "hours", "share"), rows)] if rows else lines


def _shares(summary: dict[str, Any], label: str) -> dict[str, str]:
    shares = summary["category_shares"] if label == "category" else {}
    return {value: f"{share:.1%}" for value, share in shares.items()}


def _hour(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
