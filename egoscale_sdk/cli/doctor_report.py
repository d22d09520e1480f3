"""The doctor's page: a table of findings, and pictures of what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from egoscale_sdk.data import Dataset, EpisodeRef
from egoscale_sdk.data.validation import Finding
from egoscale_sdk.viewer.figures import film_strip, motion_figure
from egoscale_sdk.viewer.report import Report

FRAMES, COLUMNS = 8, 6


def write_doctor_report(dataset: Dataset, findings: Sequence[Finding], verdict: str, file: Path) -> None:
    """Write one HTML file with every finding; those about columns or cameras have a picture of an episode.

    Raises:
        MissingExtraError: the extra ``viewer`` is not installed.
    """
    style = ".error td:first-child{color:#b3261e;font-weight:600}.warning td:first-child{color:#8a6100}"
    report = Report("Examination of a dataset", style=style)
    report.text(verdict)
    if findings:
        rows = [[f.severity, f.code, f.where, f.count, f.message, f.hint] for f in findings]
        header = ["", "finding", "where", "how many", "why", "how to mend it"]
        report.table(header, rows, [finding.severity for finding in findings])
    _pictures(report, dataset, findings)
    _glance(report, dataset)
    report.write(file)


def _pictures(report: Report, dataset: Dataset, findings: Sequence[Finding]) -> None:
    by_key = {episode.key: episode for episode in dataset.episodes}
    first = dataset.episodes[0] if len(dataset.episodes) else None
    for finding in (finding for finding in findings if finding.group and first is not None):
        episode = by_key.get(finding.keys[0]) if finding.keys else first
        if episode is not None:
            picture = _picture(dataset, finding.group, episode)
            if picture:
                report.heading(f"{finding.code}: {finding.group}")
                report.text(finding.message)
                report.picture(picture, f"{finding.group} in episode {episode.key!r}")


def _picture(dataset: Dataset, group: str, episode: EpisodeRef) -> str:
    """Draw a camera's frames or a group's columns over time; nothing where they cannot be read."""
    if group in {camera.name for camera in dataset.declaration.cameras}:
        return _film(dataset, group, episode)
    layout = dataset.declaration.native.layout
    if group not in layout.blocks:
        return ""
    rows, block = dataset.rows(episode, raw=False), layout.blocks[group]
    time_s = (rows.time_ns - rows.time_ns[0]) / 1e9
    order = np.argsort(-np.ptp(rows.action[:, block], axis=0))[:COLUMNS]
    names = [layout.names[block.start + i].partition(".")[2] for i in order]
    state = None if rows.state is None else rows.state[:, block][:, order]
    return motion_figure(time_s, rows.action[:, block][:, order], state, names, layout.units[block.start])


def _glance(report: Report, dataset: Dataset) -> None:
    if len(dataset.episodes) and dataset.declaration.cameras:
        report.heading("A glance")
        for camera in dataset.declaration.cameras:
            picture = _film(dataset, camera.name, dataset.episodes[0])
            if picture:
                report.picture(picture, f"{camera.name} in episode {dataset.episodes[0].key!r}")


def _film(dataset: Dataset, camera: str, episode: EpisodeRef) -> str:
    places = np.unique(np.linspace(0, episode.length - 1, FRAMES).astype(int)).tolist()
    frames = [image for row in places if (image := dataset.image(episode, camera, row)) is not None]
    return film_strip(frames) if frames else ""
