"""The commands around a dataset, on an object store: the same results, or one line that says why not."""

import json

import pytest

from egoscale_sdk.cli import main
from egoscale_sdk.data import Dataset
from tests.data_kit import camera, robot_declaration
from tests.test_data_maintenance import contents, make

pytest.importorskip("moto", reason="needs the extra 'dev'")
from tests.remote_kit import bucket, s3_server  # noqa: F401

pytestmark = pytest.mark.slow


def printed(capsys, *words):
    capsys.readouterr()
    main([*map(str, words), "--json"])
    return json.loads(capsys.readouterr().out)


def test_a_dataset_is_merged_to_a_store_looked_at_divided_compacted_and_copied_back(tmp_path, capsys, bucket):  # noqa: F811
    declaration = robot_declaration(cameras=(camera(),))
    parts = [make(tmp_path / "a.zarr", declaration, "ab"), make(tmp_path / "b.zarr", declaration, "c", 5)]
    there, back = f"{bucket}/all.zarr", str(tmp_path / "back.zarr")
    expected = contents(parts[0]) | contents(parts[1])
    assert printed(capsys, "dataset", "merge", *(d.path for d in parts), "--out", there, "-q")["episodes"] == 3
    assert contents(Dataset.open(there)) == expected
    assert printed(capsys, "dataset", "show", there)["census"]["task"] == {"pick": 3}
    assert printed(capsys, "dataset", "validate", there, "-q")["errors"] == 0
    assert printed(capsys, "dataset", "stats", there, "-q")["arrays"]["action"][0]["count"] == 20 + 23 + 35
    assert printed(capsys, "dataset", "compact", there, "-q")["after"] == 1
    assert contents(Dataset.open(there)) == expected
    assert printed(capsys, "dataset", "rechunk", there, "--out", back, "-q")["episodes"] == 3
    assert contents(Dataset.open(back)) == expected
    splits = printed(capsys, "dataset", "split", there, "--shares", "train=0.5", "val=0.5")["splits"]
    assert sum(part["episodes"] for part in splits.values()) == 3
    codes = {finding["code"] for finding in printed(capsys, "doctor", there, "-q")["findings"]}
    assert codes == {"image_black", "image_flat", "plugin"}  # the images of the kit are grey, and they are seen


def test_leftovers_of_a_store_are_refused_in_one_line(tmp_path, capsys, bucket):  # noqa: F811
    Dataset.create(f"{bucket}/d.zarr", robot_declaration())
    with pytest.raises(SystemExit) as stop:
        main(["dataset", "gc", f"{bucket}/d.zarr"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "lies on an object store" in error
    assert error.count("\n") == 1
