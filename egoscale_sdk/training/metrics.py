"""The loss curve: per dataset, wrists and hands apart, in normalised and in native units, as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from egoscale_sdk.data import Statistics
from egoscale_sdk.policy.vla import GroupLoss
from egoscale_sdk.specs import RowLayout
from egoscale_sdk.training.sources import Source

COLUMNS = ("wrist", "wrist_n", "hand", "hand_n", "wrist_m", "wrist_m_n", "hand_native", "hand_native_n")


class Tally:
    """Sums squared errors over steps, per source.

    ``wrist`` and ``hand`` are mean squared velocity errors of normalised columns, as in the loss; ``wrist_mm`` and
    ``hand_rad`` (or ``hand_m``) are root mean squares of how far the clean action that each noisy one is taken to
    lies from the true one, in native units.
    """

    def __init__(self, sources: Sequence[Source], statistics: Statistics) -> None:
        self._sources, self._statistics = sources, statistics
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.sums = torch.zeros(len(self._sources), len(COLUMNS), dtype=torch.float64)
        self.loss, self.steps = 0.0, 0

    def add(self, number: int, part: GroupLoss) -> None:
        """Add the errors of one group of source ``number``."""
        source = self._sources[number]
        layout = source.windows.layout
        half = torch.from_numpy(self._statistics.chunk(layout).half).double()
        squared, denoised, count = (x.double().cpu() for x in (part.squared, part.denoised, part.count))
        wrist, hand, translation = _masks(layout)
        native = denoised * half**2
        for column, (values, mask) in enumerate(
            [(squared, wrist), (squared, hand), (native, translation), (native, hand)]
        ):
            self.sums[number, 2 * column] += values[:, mask].sum()
            self.sums[number, 2 * column + 1] += count[:, mask].sum()

    def line(self, sums: Tensor) -> dict[str, dict[str, float]]:
        """Return the means of ``sums`` by source; what no column of was seen is left out."""
        return {
            source.name: _means(dict(zip(COLUMNS, row.tolist(), strict=True)), _hand_unit(source.windows.layout))
            for source, row in zip(self._sources, sums, strict=True)
        }


class CurveFile:
    """``metrics.jsonl`` in a checkpoint folder; only ever appended to, or cut where training resumes."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "metrics.jsonl"

    def cut(self, step: int) -> None:
        """Drop what was written after ``step``."""
        if self._file.is_file():
            lines = self._file.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            self._file.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def add(self, line: dict[str, Any]) -> None:
        """Append one line."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")


def _means(sums: dict[str, float], unit: str) -> dict[str, float]:
    found = {}
    for name, key, power, factor in (
        ("wrist", "wrist", 1.0, 1.0),
        ("hand", "hand", 1.0, 1.0),
        ("wrist_mm", "wrist_m", 0.5, 1e3),
        (f"hand_{unit}", "hand_native", 0.5, 1.0),
    ):
        if sums[f"{key}_n"]:
            found[name] = factor * (sums[key] / sums[f"{key}_n"]) ** power
    return found


def _hand_unit(layout: RowLayout) -> str:
    """Unit of the hand columns, ``mixed`` where a hand has both."""
    units = {column.unit for _, space in layout.hand_spaces for column in space.columns}
    return units.pop() if len(units) == 1 else "mixed"


def _masks(layout: RowLayout) -> tuple[Tensor, Tensor, Tensor]:
    """Which columns are a wrist's, a hand's, a wrist's translation."""
    wrist = torch.tensor([name.split(".")[0].endswith("_wrist") for name in layout.names])
    metres = torch.tensor([unit == "m" for unit in layout.units])
    return wrist, ~wrist, wrist & metres
