"""The demo's report: what was seen, learnt and done, as one page."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from egoscale_sdk.cli.demo_steps import Demo
from egoscale_sdk.data import Dataset
from egoscale_sdk.host import default_host
from egoscale_sdk.viewer.figures import Skeleton, curves_figure, film_strip, hands_figure
from egoscale_sdk.viewer.report import Report
from egoscale_sdk.viewer.skeletons import human_skeleton, robot_skeleton

MOMENTS = 5


def write_report(demo: Demo) -> Path:
    """Write ``report.html`` (and ``hands.png``) into the demo's folder and return its path."""
    report = Report("EgoScale SDK: from a person's hands to a robot's")
    report.text(
        "A simulated person picks up a red cylinder; robot hands, led by that person, do the same; one policy learns "
        "from all of it and then moves each hand by itself. The object stands somewhere else in every episode, and "
        "the policy is never told where: it sees the camera, the measured hand and the instruction."
    )
    _recordings(report, demo)
    _hands(report, demo)
    _training(report, demo)
    _rollouts(report, demo)
    _commands(report, demo)
    path = demo.folder / "report.html"
    report.write(path)
    return path


def _recordings(report: Report, demo: Demo) -> None:
    report.heading("What was recorded")
    for path in (demo.people, *(demo.dataset(robot) for robot in demo.cast.robots)):
        dataset = Dataset.open(path)
        episode = dataset.episodes[0]
        rows = np.linspace(0, episode.length - 1, 8).astype(int)
        camera = dataset.declaration.cameras[0].name
        frames = [image for row in rows if (image := dataset.image(episode, camera, int(row))) is not None]
        caption = f"{dataset.declaration.embodiment}: {len(dataset.episodes)} episodes, one of them, camera {camera!r}"
        report.picture(film_strip(frames), caption)


def _hands(report: Report, demo: Demo) -> None:
    report.heading("The person's keypoints and the robot hands that follow them")
    picture = hands_figure(_hand_rows(demo))
    (demo.folder / "hands.png").write_bytes(base64.b64decode(picture.partition(",")[2]))
    report.picture(picture, f"{MOMENTS} moments of one episode, left to right; one scale, in the canonical wrist frame")


def _hand_rows(demo: Demo) -> list[list[Skeleton]]:
    import torch

    dataset, host = Dataset.open(demo.people), default_host()
    rows = dataset.rows(0)
    block = dataset.declaration.native.layout.blocks["right_hand"]
    keypoints = rows.action[:, block].reshape(-1, 21, 3).astype(np.float64)
    moments = np.linspace(0, len(keypoints) - 1, MOMENTS).astype(int)
    grid = [[human_skeleton(keypoints[moment], "person") for moment in moments]]
    for robot in demo.cast.robots:
        hand = host.spec(robot).hand("right")
        joints = host.retargeter(hand).retarget(torch.from_numpy(keypoints)).joints.numpy()
        grid.append([robot_skeleton(hand, joints[moment], robot) for moment in moments])
    return grid


def _training(report: Report, demo: Demo) -> None:
    report.heading("Training")
    curves = {}
    for name, folder in (("person and robots", demo.policy), ("person alone", demo.people_only)):
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        points = np.array([(line["step"], line["loss"]) for line in lines if "loss" in line])
        curves[name] = points[:, 0], points[:, 1]
    report.picture(curves_figure(curves, "flow-matching loss"), "loss over training, normalised units")


def _rollouts(report: Report, demo: Demo) -> None:
    report.heading("Closed loop on unseen scenes")
    rows: list[list[object]] = []
    for name, result in demo.results.items():
        trained = "trained on the person alone" if name == "people only" else "trained on everything"
        rows.append([result["embodiment"], trained, f"{result['successes']} of {result['n']}", ""])
        for baseline, values in result.get("baselines", {}).items():
            count = f"{values['successes']} of {values['n']}"
            rows.append([result["embodiment"], baseline.replace("_", " "), count, values["p_value"]])
    report.table(["hand", "policy", "lifted", "p (trained is better)"], rows)
    report.text("p: one-sided Fisher test that the policy trained on everything lifts more often, on the same scenes.")
    for strip in sorted((demo.folder / "runs").glob("*/*.jpg")):
        report.picture(_jpeg_uri(strip), f"{strip.parent.name}: {strip.stem.replace('_', ' ')}")


def _jpeg_uri(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


def _commands(report: Report, demo: Demo) -> None:
    report.heading("The commands")
    report.table(["command", "seconds"], [[step.command, round(step.seconds)] for step in demo.steps])
    report.heading("The results as JSON")
    report.code(json.dumps({name: _brief(result) for name, result in demo.results.items()}, indent=2))


def _brief(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "episodes"}
