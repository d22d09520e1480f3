"""Every example of docs/training-data.md runs, one after the other."""

import re
from pathlib import Path

import pytest

from egoscale_sdk.data import Dataset
from tests.data_kit import camera, episode, human_declaration, robot_declaration

PAGE = Path(__file__).resolve().parents[1] / "docs" / "training-data.md"


def test_the_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, declaration in (
        ("robot", robot_declaration(cameras=(camera(),))),
        ("people", human_declaration()),
    ):
        dataset = Dataset.create(f"{name}.zarr", declaration)
        dataset.append([episode(str(n), declaration, rows=80, seed=n) for n in range(2)])
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == 7
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)
    assert names["state"]["step"] == 10
    assert "(1, 3, 224, 224, 3)" in capsys.readouterr().out


def test_a_page_that_is_linked_exists():
    for target in re.findall(r"\]\((?!http)([^)#]+)", PAGE.read_text()):
        assert (PAGE.parent / target).exists(), pytest.fail(target)
