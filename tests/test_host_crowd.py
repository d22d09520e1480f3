"""A hundred installed plugins, ten of them broken: all are listed, and whoever names one imports no other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from egoscale_sdk.data import Dataset
from tests.broken_plugins import install_crowd
from tests.data_kit import episode
from tests.plugin_kit import declaration_of, toy_spec

IMPORTED = (
    "import sys; print(*[m for m in sys.modules if m.startswith('egoscale_') and not m.startswith('egoscale_sdk')])"
)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    site = tmp_path_factory.mktemp("site")
    return site, install_crowd(site)


def python(code: str, site: Path) -> str:
    """Run code in a process that sees the crowd; returns its standard output."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("EGOSCALE_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env | {"PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def cli(*argv: str) -> str:
    return f"from egoscale_sdk.cli import main; main({list(argv)!r})"


def test_every_plugin_is_listed_and_the_broken_ones_say_at_which_stage(crowd):
    site, stages = crowd
    listed = {item["namespace"]: item for item in json.loads(python(cli("plugin", "list", "--json"), site))}
    ours = {name: item for name, item in listed.items() if name.startswith("crowd_")}
    assert len(ours) == 100
    assert {name: item["failure"]["stage"] for name, item in ours.items() if item["failure"]} == stages
    assert len(stages) == 10
    whole = [name for name in ours if name not in stages]
    assert [ours[name]["embodiments"] for name in whole] == [[f"{name}/hand@1"] for name in whole]


def test_the_table_for_people_names_each_broken_one(crowd):
    site, stages = crowd
    lines = python(cli("plugin", "list"), site).splitlines()
    failed = {line.split()[0]: line for line in lines if "FAILED" in line}
    assert all(f"stage {stage}" in failed[name] for name, stage in stages.items())


def test_a_dataset_imports_its_own_plugin_and_no_other(crowd, tmp_path):
    site, _ = crowd
    declaration = declaration_of(toy_spec("crowd_042/hand@1"))
    path = tmp_path / "toy.zarr"
    Dataset.create(path, declaration).append([episode("one", declaration)])
    *_, imported = python(f"{cli('dataset', 'validate', str(path), '-q')}; {IMPORTED}", site).splitlines()
    assert set(imported.split()) == {"egoscale_crowd_042", "egoscale_crowd_042.plugin"}


def test_looking_at_a_dataset_imports_no_plugin(crowd, tmp_path):
    site, _ = crowd
    path = tmp_path / "toy.zarr"
    Dataset.create(path, declaration_of(toy_spec("crowd_042/hand@1")))
    *_, imported = python(f"{cli('dataset', 'show', str(path))}; {IMPORTED}", site).splitlines()
    assert imported == ""


def test_asking_for_one_embodiment_imports_its_plugin_and_no_other(crowd):
    site, _ = crowd
    code = f"from egoscale_sdk.host import PluginHost; PluginHost().spec('crowd_007/hand@1'); {IMPORTED}"
    assert set(python(code, site).split()) == {"egoscale_crowd_007", "egoscale_crowd_007.plugin"}


def test_the_benchmark_measures_against_the_import_alone(tmp_path):
    script, file = Path(__file__).resolve().parents[1] / "benchmarks/discovery.py", tmp_path / "figures.json"
    command = [sys.executable, str(script), "--repeats", "1", "--plugins", "20", "--json", str(file)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(file.read_text())
    assert (found["plugins"], found["broken"]) == (20, 2)
    for kind in ("wall_s", "processor_s"):
        figures = found[kind]
        assert figures["added"] == pytest.approx(figures["list"] - figures["import"], abs=2e-3)
    assert "more than the import" in printed
