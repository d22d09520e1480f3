"""A dataset outlives its plugin: recorded where ``acme/hand@1`` is installed, it is used where nobody knows acme."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from egoscale_sdk.data import Dataset, WindowDataset, declare, relative_statistics, validate_dataset
from egoscale_sdk.errors import DataError, UnknownIdError
from egoscale_sdk.host import PluginHost, resolve_declaration
from egoscale_sdk.specs import ActionSpec, Provider
from tests.data_kit import episode
from tests.plugin_kit import install, toy_spec

PIP = "pip install 'egoscale-acme==1.2.3'"


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Record with the plugin installed; afterwards it is gone from the path and from memory."""
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path / "site"))
        package = install(tmp_path / "site", "acme")
        host = PluginHost()
        declaration = declare(host.spec("acme/hand@1"), host.provider("acme"), fps=30.0)
        made = Dataset.create(tmp_path / "acme.zarr", declaration)
        made.append([motion("one", declaration), motion("two", declaration)])
        assert resolve_declaration(host, declaration).notes == ()
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
    return made.path


def motion(key, declaration):
    """Rows within the toy hand's limits; the state follows the command."""
    action = episode(key, declaration).action
    action[:, 9:] = np.linspace([0.0, 0.01], [1.0, 0.03], len(action))
    return episode(key, declaration, action=action, state=np.roll(action, 2, axis=0))


def egoscale(*argv):
    env = {key: value for key, value in os.environ.items() if not key.startswith("EGOSCALE_")}
    command = [sys.executable, "-m", "egoscale_sdk", *argv]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_it_opens_validates_and_gives_statistics(dataset):
    opened = Dataset.open(dataset)
    assert opened.declaration.spec == toy_spec()
    assert validate_dataset(opened) == []
    windows = WindowDataset(opened, 4, 0.1)
    statistics = relative_statistics(windows)
    assert statistics.q01.shape == (4, 11)
    assert (statistics.q99 > statistics.q01).any(axis=1).all()
    assert np.isfinite(windows.batch(range(len(windows))).chunk).all()


def test_show_needs_no_plugin(dataset):
    done = egoscale("dataset", "show", str(dataset), "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["embodiment"], shown["episodes"], shown["provider"]["distribution"]) == (
        "acme/hand@1",
        2,
        "egoscale-acme",
    )


def test_validate_passes_and_names_the_package_that_is_missing(dataset):
    done = egoscale("dataset", "validate", str(dataset), "--json", "-q")
    assert done.returncode == 0, done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["code"], finding["severity"]) == ("plugin", "warning")
    assert PIP in finding["hint"]


def test_what_needs_the_plugin_says_which_package_to_install(dataset):
    with pytest.raises(UnknownIdError) as caught:
        resolve_declaration(PluginHost({}), Dataset.open(dataset).declaration)
    assert PIP in str(caught.value)


def test_an_action_space_of_the_plugins_own_is_code_that_names_its_package(tmp_path):
    spec = toy_spec().model_copy(update={"action": ActionSpec(space="acme/joints@1")})
    declaration = declare(spec, Provider(distribution="egoscale-acme", version="1.2.3"), fps=30.0)
    Dataset.create(tmp_path / "own.zarr", declaration).append([motion("one", declaration)])
    with pytest.raises(DataError) as caught:
        WindowDataset(Dataset.open(tmp_path / "own.zarr"), 4, 0.1)
    assert "acme/joints@1" in str(caught.value)
    assert PIP in str(caught.value)
