"""Training on two processes, as `accelerate launch` starts them."""

import json
import os
import subprocess
import sys

import pytest
from training_cases import human_data, recipe_file, robot_data

from egoscale_sdk.policy.checkpoint import Checkpoint


@pytest.mark.slow
def test_two_processes_train_one_policy(tmp_path):
    data = [robot_data(tmp_path), f"{human_data(tmp_path)}:0.5:acme"]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launch += ["--main_process_port", "0", "--module"]
    train = ["egoscale_sdk", "train", recipe_file(tmp_path), "--data", *data, "--out", str(tmp_path / "ckpt"), "--json"]
    done = subprocess.run(
        [*launch, *train], env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["step"] == 6, "one process prints"
    curve = [json.loads(line) for line in (tmp_path / "ckpt" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curve] == [2, 4, 6]
    assert list(Checkpoint.load(tmp_path / "ckpt").embodiments) == ["acme/hand@1"]
