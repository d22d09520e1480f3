"""The page of ``egoscale retarget --report``: how well the robot's hands follow the person's, and where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data import Dataset
from egoscale_sdk.retargeting import quality
from egoscale_sdk.retargeting.evidence import HandEvidence, gather
from egoscale_sdk.retargeting.quality import APART_M, NEAR_M, TOUCH_M, Floats, thumb_first
from egoscale_sdk.viewer.figures import Skeleton
from egoscale_sdk.viewer.report import Report
from egoscale_sdk.viewer.skeletons import human_skeleton, robot_skeleton
from egoscale_sdk.viewer.svg import drawn_hands

MOST_FRAMES = 200_000  # a side
WORST, APART_FRAMES = 4, 30
MOMENTS, MOMENTS_PER_S = 120, 15.0
AT_LIMIT = 0.005  # of a joint's range


def write_retarget_report(dataset: Dataset, action_set: str, path: Path) -> None:
    """Write the report of a derived action set as one page that needs nothing else."""
    chosen = dataset.action_set(action_set)
    assert chosen.retargeting is not None  # a derived set says how it was made
    report = Report(f"{dataset.name}: {chosen.embodiment}, action set {action_set}")
    settings = ", ".join(f"{key} = {value}" for key, value in chosen.retargeting.parameters.items())
    report.text(f"{chosen.retargeting.retargeter}, version {chosen.retargeting.version}. {settings}")
    for evidence in gather(dataset, action_set, MOST_FRAMES):
        report.heading(f"{evidence.hand.side} hand")
        if len(evidence.joints):
            _describe(report, evidence)
        else:
            report.text("No frame of this hand was retargeted.")
    report.write(path)


def _describe(report: Report, evidence: HandEvidence) -> None:
    episodes = len(np.unique(evidence.episode))
    median, p95 = np.percentile(1e3 * evidence.residual_m, [50, 95])
    report.text(
        f"{len(evidence.joints)} frames of {episodes} episodes. Residual: median {median:.1f} mm, p95 {p95:.1f} mm."
    )
    report.picture(_animation(evidence), "The person and the robot, in canonical wrist axes and one scale")
    if evidence.hand.fingers and evidence.hand.tree is not None:
        _fingers(report, evidence)
    _joints(report, evidence)
    report.text("Frames with the largest residual, at least a second apart:")
    for index in _worst(evidence):
        where = f"episode {evidence.episode[index]}, row {evidence.row[index]}"
        report.picture(_moment(evidence, index), f"{where}: residual {1e3 * evidence.residual_m[index]:.1f} mm")


def _fingers(report: Report, evidence: HandEvidence) -> None:
    """Shape and pinches, finger by finger."""
    robot, person = evidence.robot_points(), quality.followed_points(evidence.hand, evidence.keypoints)
    scale = quality.size_ratio(robot, person)
    tips = quality.tip_errors_m(robot, person, scale)
    angles = quality.bone_angles_rad(robot, person)
    rows = []
    for finger, tip, angle in zip(thumb_first(evidence.hand), tips, angles, strict=True):
        rows.append([finger.role, *_median_p95(np.rad2deg(angle)), *_median_p95(1e3 * tip)])
    report.table(["finger", "bones median, deg", "p95", "tip median, mm", "p95"], rows)
    report.text(f"Angles between bones, and tips beside the person's scaled by {scale:.3f} about the wrist.")
    if thumb_first(evidence.hand)[0].role == "thumb":
        _pinches(report, evidence, quality.thumb_gaps_m(robot), quality.thumb_gaps_m(person))


def _pinches(report: Report, evidence: HandEvidence, robot_m: Floats, person_m: Floats) -> None:
    rows = []
    for column, finger in enumerate(thumb_first(evidence.hand)[1:]):
        robot, person = robot_m[:, column], person_m[:, column]
        near = person < NEAR_M
        error = _median_p95(1e3 * np.abs(robot - person)[near])
        kept, invented = _share((robot < TOUCH_M)[person < TOUCH_M]), _share((robot < TOUCH_M)[person > APART_M])
        rows.append([finger.role, int(near.sum()), *error, int((person < TOUCH_M).sum()), kept, invented])
    header = ["thumb and", "frames < 20 mm", "error median, mm", "p95", "pinches < 10 mm", "kept", "invented"]
    report.table(header, rows)
    report.text(
        "Error: of the robot's distance from the person's. Kept: the robot's is below 10 mm too. Invented: it is while "
        "the person's is above 30 mm."
    )


def _joints(report: Report, evidence: HandEvidence) -> None:
    """Saturation and jitter, joint by joint."""
    acceleration = evidence.acceleration()
    jitter = np.sqrt(np.square(acceleration).sum(axis=0) / max(1, len(acceleration)))
    rows = []
    for joint, q, shake in zip(evidence.hand.actuated, evidence.joints.T, jitter, strict=True):
        lower, upper = joint.lower, joint.upper
        ends: list[object] = ["-", "-"]
        if lower is not None and upper is not None:
            margin = AT_LIMIT * (upper - lower)
            ends = [_share(q < lower + margin), _share(q > upper - margin)]
        rows.append([joint.name, *ends, float(np.median(q)), float(shake)])
    unit = "rad or m"
    report.table(["joint", "at its lower limit", "at its upper", f"median, {unit}", f"jitter RMS, {unit} / s2"], rows)


def _animation(evidence: HandEvidence) -> str:
    """The longest stretch without a gap, or its beginning, side by side."""
    breaks = np.flatnonzero((np.diff(evidence.row) != 1) | (np.diff(evidence.episode) != 0)) + 1
    stretch = max(np.split(np.arange(len(evidence.row)), breaks), key=len)
    step = max(1, round(evidence.fps / MOMENTS_PER_S))
    frames = [_pair(evidence, index) for index in stretch[::step][:MOMENTS]]
    return drawn_hands(frames, evidence.fps / step)


def _moment(evidence: HandEvidence, index: int) -> str:
    return drawn_hands([_pair(evidence, index)])


def _pair(evidence: HandEvidence, index: int) -> list[Skeleton]:
    person = human_skeleton(evidence.keypoints[index], "person")
    if evidence.hand.tree is None:
        return [person]
    return [person, robot_skeleton(evidence.hand, evidence.joints[index], "robot")]


def _worst(evidence: HandEvidence) -> list[int]:
    """Frames of the largest residuals, none near another."""
    found: list[int] = []
    for index in np.argsort(-evidence.residual_m, kind="stable"):
        if all(abs(int(index) - other) >= APART_FRAMES for other in found):
            found.append(int(index))
        if len(found) == WORST:
            break
    return found


def _median_p95(values: NDArray[np.float64]) -> list[object]:
    return [float(value) for value in np.percentile(values, [50, 95])] if values.size else ["-", "-"]


def _share(flags: NDArray[np.bool_]) -> object:
    return f"{100 * flags.mean():.1f} %" if flags.size else "-"
