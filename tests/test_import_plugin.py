"""A plugin adds an importer, as docs/importers.md shows: the code of that page is installed and run."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from egoscale_sdk.data import Dataset
from egoscale_sdk.host import PluginHost
from tests.import_kit import Import
from tests.plugin_kit import toml

PAGE = (Path(__file__).resolve().parents[1] / "docs/importers.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# egoscale_acme/(\w+)\.py\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def imports(tmp_path, monkeypatch, capsys):
    """The command with the page's plugin installed."""
    package = tmp_path / "site/egoscale_acme"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "hand.toml").write_text(toml("acme/hand@1"))
    entry = "from egoscale_sdk.host import EmbodimentEntry\n\n\n@hookimpl\ndef egoscale_embodiments():\n"
    entry += '    return [EmbodimentEntry(id="acme/hand@1", spec="egoscale_acme:hand.toml")]\n'
    for name, code in BLOCKS.items():
        (package / f"{name}.py").write_text(code + (entry if name == "plugin" else ""))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield Import(capsys, PluginHost(plugins={"acme": __import__("egoscale_acme.plugin").plugin}))
    for name in [name for name in sys.modules if name.startswith("egoscale_acme")]:
        del sys.modules[name]


def write_log(path: Path, rows: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    still = np.tile([0, 0, 0, 1, 0, 0, 0, 1, 0, 0.2, 0.01], (rows, 1)).astype(np.float32)
    still[:, 9] += np.linspace(0, 0.5, rows)
    np.savez(path, time_ns=np.arange(rows, dtype=np.int64) * 20_000_000, state=still, action=still + 0.001)
    return path


def test_the_importer_of_the_page_imports(imports, tmp_path):
    for n in range(2):
        write_log(tmp_path / f"logs/{n}.npz", rows=20 + n)
    summary = imports("acme", tmp_path / "logs", tmp_path / "d.zarr", "--fps", 25, "--licence", "mine")
    assert (summary["embodiment"], summary["imported"], summary["rows"]) == ("acme/hand@1", 2, 41)
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert (dataset.declaration.importer, dataset.declaration.fps, dataset.declaration.licence) == ("acme", 25, "mine")
    assert imports("acme", tmp_path / "logs", tmp_path / "d.zarr", "--fps", 25)["imported"] == 0


def test_its_mistakes_are_one_line_and_cost_one_episode(imports, tmp_path):
    write_log(tmp_path / "logs/good.npz")
    (tmp_path / "logs/bad.npz").write_bytes(b"PK")
    line = imports.refused("acme", tmp_path / "logs", tmp_path / "d.zarr")
    assert "1 of 2 episodes left out" in line
    assert "is no log of the controller" in line
    assert "--fps" in imports.refused("acme", tmp_path / "logs", tmp_path / "e.zarr", "--fps", 0)
    assert "did you mean 'acme'" in imports.refused("acm", tmp_path / "logs", tmp_path / "e.zarr")
