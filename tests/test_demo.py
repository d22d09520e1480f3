"""The demo, small: every command of the whole path really runs, and says as JSON what the docs promise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from egoscale_sdk.cli.demo_steps import MARK, fresh_folder, read_cast
from egoscale_sdk.errors import DataError, SpecError


def egoscale(*words):
    done = subprocess.run([sys.executable, "-m", "egoscale_sdk", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_the_whole_path(tmp_path):
    pytest.importorskip("mujoco")
    out = tmp_path / "demo"
    said = egoscale("demo", "--out", out, "--episodes", 4, "--steps", 4, "-n", 1, "-q")
    report = Path(said.strip().removeprefix("report: "))
    page = report.read_text()
    assert page.count("data:image/png") >= 5
    assert "trained on the person alone" in page
    run = json.loads((out / "runs/sharpa_wave/run.json").read_text())
    assert {"embodiment", "n", "successes", "seed", "baselines", "episodes", "placeholder_state"} <= set(run)
    assert set(run["baselines"]) == {"untrained", "blank_camera", "mean_demonstration"}
    assert all({"n", "successes", "p_value"} <= set(values) for values in run["baselines"].values())
    assert run["embodiment"] == "sharpa/wave@1"
    shown = json.loads(egoscale("dataset", "show", out / "people.zarr", "--json"))
    assert [action_set["name"] for action_set in shown["action_sets"]] == ["native", "sharpa_wave"]


def test_only_a_demos_own_folder_is_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="not made by a demo"):
        fresh_folder(tmp_path / "mine")
    assert (tmp_path / "mine/thesis.tex").read_text() == "years of work"
    old = fresh_folder(tmp_path / "demo")
    (old / "report.html").write_text("old")
    assert [file.name for file in fresh_folder(old).iterdir()] == [MARK]


def test_the_cast_is_data():
    cast = read_cast("egoscale_embodiments:demo.toml")
    assert cast.person == "human/hands"
    assert len(cast.robots) == 2
    with pytest.raises(SpecError, match="is not a cast"):
        read_cast("egoscale_embodiments:nobody.toml")
