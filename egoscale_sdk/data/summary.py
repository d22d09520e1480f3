"""A dataset in a few numbers, from what it declares and holds; needs no plugin."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from egoscale_sdk.data.dataset import Dataset


def summarise(dataset: Dataset) -> dict[str, Any]:
    """Return what ``egoscale dataset show --json`` prints."""
    declaration = dataset.declaration
    seconds, known, rows = 0.0, np.zeros(len(declaration.native.layout.groups)), 0
    for episode in dataset.episodes:
        arrays = dataset.rows(episode, raw=False)
        seconds += float(arrays.time_ns[-1] - arrays.time_ns[0]) / 1e9 + 1 / declaration.fps
        known += (arrays.valid == 1).sum(0)
        rows += episode.length
    shares = (known / max(rows, 1)).round(4).tolist()
    return {
        "path": str(dataset.path),
        "embodiment": declaration.embodiment,
        "kind": declaration.kind,
        "version": dataset.version,
        "uid": declaration.uid,
        "provider": declaration.provider.model_dump(mode="json"),
        "action_fingerprint": declaration.action_fingerprint,
        "episodes": len(dataset.episodes),
        "rows": rows,
        "hours": round(seconds / 3600, 6),
        "fps": declaration.fps,
        "base_frame": declaration.base_frame,
        "has_state": declaration.has_state,
        "valid_share": dict(zip(declaration.native.layout.groups, shares, strict=True)),
        "action_sets": [_action_set(dataset, name) for name in (s.name for s in declaration.action_sets)],
        "cameras": [camera.model_dump(mode="json") for camera in declaration.cameras],
        "raw": list(declaration.raw),
        "census": _census(dataset),
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


def _census(dataset: Dataset) -> dict[str, dict[str, int]]:
    """How many episodes have which label, the most frequent first; labels that no episode has are left out."""
    names = ("task", "scene", "category", "operator", "split", "success")
    counts = {name: Counter(str(ref.labels[name]) for ref in dataset.episodes if name in ref.labels) for name in names}
    return {name: dict(count.most_common(50)) for name, count in counts.items() if count}


def as_text(summary: dict[str, Any]) -> str:
    """Lay a summary out for people."""
    provider = summary["provider"]
    lines = [
        f"{summary['path']} (version {summary['version']})",
        f"  embodiment   {summary['embodiment']} ({summary['kind']}), from {provider['distribution']} "
        f"{provider['version']}",
        f"  episodes     {summary['episodes']}, {summary['rows']} rows, {summary['hours']:.3g} h at "
        f"{summary['fps']:g} Hz",
        f"  state        {'measured' if summary['has_state'] else 'none'}; wrists in frame '{summary['base_frame']}'",
        "  valid        " + ", ".join(f"{group} {share:.1%}" for group, share in summary["valid_share"].items()),
    ]
    lines += [_action_set_line(item) for item in summary["action_sets"]]
    lines += [
        f"  camera       {item['name']}: {item['width_px']}x{item['height_px']}, on {item['mount']}"
        for item in summary["cameras"]
    ]
    for name, counts in summary["census"].items():
        shown = ", ".join(f"{value} ({count})" for value, count in list(counts.items())[:8])
        lines.append(f"  {name:<12} {shown}{', ...' if len(counts) > 8 else ''}")
    lines += [f"  assumed      {text}" for text in summary["assumptions"]]
    return "\n".join(lines)


def _action_set_line(item: dict[str, Any]) -> str:
    made = f", by {item['retargeter']}" if item["retargeter"] else ""
    columns = f"{item['columns']} columns, {item['action_source']}"
    return f"  action set   {item['name']}: {item['embodiment']}, {columns}{made}"
