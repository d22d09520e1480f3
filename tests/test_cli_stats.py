"""``egoscale dataset stats`` against numpy on all rows."""

import json

import numpy as np
import pytest

from egoscale_sdk.cli import main
from egoscale_sdk.data import Dataset, WindowDataset
from tests.data_kit import episode, human_declaration, robot_declaration, robot_spec
from tests.test_data_dataset import derived_arrays, derived_set


@pytest.fixture
def robot(tmp_path):
    declaration = robot_declaration(spec=robot_spec(("left", "right")))
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    for seed in range(3):
        valid = np.ones((50, 4), np.uint8)
        valid[:, 2] = 0
        valid[10:20, 1] = 0
        dataset.append([episode(str(seed), declaration, rows=50, seed=seed, valid=valid)])
    return dataset


def stats(capsys, *words):
    capsys.readouterr()
    main(["dataset", "stats", *map(str, words), "--json", "-q"])
    return json.loads(capsys.readouterr().out)


def test_rows_against_numpy(robot, capsys):
    value = stats(capsys, robot.path)
    assert (value["action_set"], value["horizon"], value["version"]) == ("native", None, 3)
    layout = robot.declaration.native.layout
    rows = [robot.rows(n) for n in range(3)]
    for array, flags in (("action", "valid"), ("state", "state_valid")):
        table = value["arrays"][array]
        assert [row["column"] for row in table] == list(layout.names)
        for number, block in enumerate(layout.blocks.values()):
            known = np.concatenate([getattr(part, flags)[:, number] == 1 for part in rows])
            own = np.concatenate([getattr(part, array)[:, block] for part in rows])[known].astype(float)
            for column, row in enumerate(table[block]):
                assert row["count"] == known.sum()
                if not known.any():
                    assert row["mean"] is row["q50"] is None
                    continue
                x = own[:, column]
                close = {"mean": x.mean(), "std": x.std(), "min": x.min(), "max": x.max()}
                assert {name: row[name] for name in close} == pytest.approx(close, abs=1e-6)
                quantiles = {name: np.quantile(x, q, method="lower") for name, q in (("q01", 0.01), ("q50", 0.5))}
                assert {name: row[name] for name in quantiles} == pytest.approx(quantiles, rel=5e-3, abs=2e-4)


def test_chunks_per_step(robot, capsys):
    value = stats(capsys, robot.path, "--horizon", 4, "--chunk-dt", 0.1)
    windows = WindowDataset(robot, 4, 0.1, cameras=())
    batch = windows.batch(range(len(windows)), images=False)
    table = value["arrays"]["chunk"]
    assert len(table) == 4 * robot.declaration.native.layout.dim
    for row in table[:8]:
        column = robot.declaration.native.layout.names.index(row["column"])
        mask = batch.mask[:, row["step"], column]
        assert row["count"] == mask.sum()
        assert row["mean"] == pytest.approx(float(batch.chunk[mask, row["step"], column].mean()), abs=1e-5)


def test_a_derived_set_has_its_own_columns(tmp_path, capsys):
    declaration = human_declaration()
    dataset = Dataset.create(tmp_path / "h.zarr", declaration)
    dataset.append([episode("a", declaration)])
    claw = derived_set(declaration)
    dataset.add_action_set(claw, dict(derived_arrays(dataset, claw)))
    table = stats(capsys, dataset.path, "--action-set", "claw")["arrays"]["action"]
    assert [row["column"] for row in table] == list(claw.layout.names)
    assert table[-1]["mean"] == table[-1]["q99"] == 0.25


def test_the_table_for_people(robot, capsys):
    main(["dataset", "stats", str(robot.path), "-q"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["column", "step", "unit", "count", "mean", "std", "min", "q01", "q50", "q99", "max"]
    assert lines[2].split()[:3] == ["left_wrist.x", "m", "150"]


@pytest.mark.parametrize(
    "words",
    [
        ("--horizon", "4"),
        ("--chunk-dt", "0.1"),
        ("--action-set", "none"),
        ("--stride", "0"),
        ("--horizon", "4", "--chunk-dt", "nan"),
    ],
)
def test_mistakes_are_one_line(robot, capsys, words):
    with pytest.raises(SystemExit) as stop:
        main(["dataset", "stats", str(robot.path), *words])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
