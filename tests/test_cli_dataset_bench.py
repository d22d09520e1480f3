"""`egoscale dataset bench` says how fast a dataset is read, on a disk and from afar."""

import json

import pytest

from benchmarks.range_server import RangeServer
from egoscale_sdk.cli import main
from egoscale_sdk.data import Dataset
from tests.data_kit import camera, episode, robot_declaration


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("EGOSCALE_CACHE", str(tmp_path / "cache"))
    declaration = robot_declaration(cameras=(camera(), camera("wrist")))
    made = Dataset.create(tmp_path / "d.zarr", declaration)
    made.append([episode("a", declaration, rows=300)])
    return made


def bench(capsys, *arguments):
    main(["dataset", "bench", *map(str, arguments), "--steps", "4", "--json", "-q"])
    return json.loads(capsys.readouterr().out)


def test_a_disk_has_a_ceiling_and_no_requests(dataset, capsys):
    report = bench(capsys, dataset.path, "--batch-size", "8")
    assert (report["windows"], report["samples"], report["cameras"]) == (300, 32, ["head", "wrist"])
    assert report["samples_per_s"] > 0
    assert report["share_of_decode_ceiling"] == pytest.approx(
        report["decode_us_per_sample"] / report["cpu_us_per_sample"]
    )
    assert report["gets_per_sample"] is None


def test_an_object_store_counts_requests(dataset, capsys):
    with RangeServer(dataset.path.parent) as server:
        report = bench(capsys, f"{server.url}/d.zarr")
        main(["dataset", "bench", f"{server.url}/d.zarr", "--steps", "2"])
    assert 0 < report["gets_per_sample"] < 1
    assert "requests per sample" in capsys.readouterr().out


def test_a_dataset_without_cameras_is_read_all_the_same(tmp_path, capsys):
    declaration = robot_declaration()
    made = Dataset.create(tmp_path / "d.zarr", declaration)
    made.append([episode("a", declaration)])
    report = bench(capsys, made.path)
    assert report["share_of_decode_ceiling"] is None
