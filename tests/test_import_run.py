"""What holds for every importer: commits as it goes, says what it does, is silent when told to."""

import numpy as np
import pytest

from egoscale_sdk.cli import main
from egoscale_sdk.data import Dataset
from egoscale_sdk.data.importers import run
from egoscale_sdk.data.importers.keypoint_options import KeypointsOptions
from egoscale_sdk.data.importers.keypoints import KeypointsImporter
from egoscale_sdk.errors import UnknownIdError
from egoscale_sdk.host import PluginHost
from egoscale_sdk.interfaces import Recording
from egoscale_sdk.specs import Provider, load_embodiment
from tests.import_kit import Import, moving_hands

ROWS = 12


@pytest.fixture
def takes(tmp_path):
    """A folder with five episodes."""
    from egoscale_sdk.data.importers.exchange import write_exchange_episode

    for n in range(5):
        arrays = {"keypoints": moving_hands(ROWS), "valid": np.ones((ROWS, 2))}
        write_exchange_episode(tmp_path / f"takes/{n}.npz", time_ns=np.arange(ROWS) * 33_333_333 + n, **arrays)
    return tmp_path / "takes"


class Interrupted(Recording):
    """A recording that breaks off, as if the machine had lost power, when its fourth episode is read."""

    def __init__(self, whole: Recording) -> None:
        self.whole = whole

    @property
    def declaration(self):
        return self.whole.declaration

    @property
    def keys(self):
        return self.whole.keys

    def read(self, key):
        if key == self.keys[3]:
            raise KeyboardInterrupt
        return self.whole.read(key)


def opened(takes):
    spec = load_embodiment("egoscale_embodiments:human_hands/embodiment.toml")
    return KeypointsImporter().open(str(takes), spec, Provider(distribution="x", version="1"), KeypointsOptions())


@pytest.mark.parametrize("most", [2, 32])
def test_what_was_read_before_an_interruption_stays_and_the_rest_follows(takes, tmp_path, monkeypatch, most):
    monkeypatch.setattr(run, "COMMIT_EPISODES", most)
    with pytest.raises(KeyboardInterrupt):
        run.import_recording(Interrupted(opened(takes)), tmp_path / "d.zarr")
    assert len(Dataset.open(tmp_path / "d.zarr").episodes) == 3  # a whole task, or the part that was read
    summary = run.import_recording(opened(takes), tmp_path / "d.zarr")
    assert (summary.imported, summary.present, summary.rows) == (2, 3, 2 * ROWS)
    dataset = Dataset.open(tmp_path / "d.zarr")
    assert len(dataset.keys()) == 5
    assert len(dataset.segments) == 4  # an import's first episode tells how many are taken together


def test_progress_reaches_the_whole(takes, tmp_path):
    seen = []
    run.import_recording(
        opened(takes), tmp_path / "d.zarr", progress=lambda done, total=None, note="": seen.append((done, total))
    )
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((1, 5), (5, 5))


def test_the_command_says_what_it_takes_for_true_and_q_silences_it(tmp_path, takes, capsys):
    words = [str(takes / "0.npz"), str(tmp_path / "d.zarr"), "--frame", "camera"]
    main(["import", "keypoints", *words])
    said = capsys.readouterr()
    assert "wrists are masked" in said.err
    assert "import human/hands@1: 1/1" in said.err
    assert said.out.count("\n") == 1
    main(["import", "keypoints", *words, "-q"])
    assert capsys.readouterr().err == ""


def test_an_id_without_a_generation_is_stored_with_the_highest(takes, tmp_path, capsys):
    imports = Import(capsys)
    for given in ("human/hands", "human/hands@1"):
        target = tmp_path / f"{given[-1]}.zarr"
        assert imports("keypoints", takes, target, "--embodiment", given)["embodiment"] == "human/hands@1"
        assert Dataset.open(target).declaration.embodiment == "human/hands@1"
        assert Dataset.open(target).declaration.provider.distribution == "egoscale-human"
    assert "human/hands@1" in imports.refused("keypoints", takes, tmp_path / "e.zarr", "--embodiment", "human/hands@9")


def test_without_the_plugin_for_people_the_message_names_it(takes, tmp_path):
    from egoscale_sdk.cli.importing import import_with

    with pytest.raises(UnknownIdError, match="human"):
        import_with(PluginHost(plugins={}), ["keypoints", str(takes), str(tmp_path / "d.zarr"), "-q"])
    assert not (tmp_path / "d.zarr").exists()


def test_something_else_at_the_destination_is_left_alone(takes, tmp_path, capsys):
    (tmp_path / "d.zarr").mkdir()
    (tmp_path / "d.zarr/precious.txt").write_text("mine")
    Import(capsys).refused("keypoints", takes, tmp_path / "d.zarr")
    assert [file.name for file in (tmp_path / "d.zarr").iterdir()] == ["precious.txt"]


def test_help_lists_the_importers_and_the_flags_of_one(capsys):
    main(["import", "--help"])
    overview = capsys.readouterr().out
    assert all(name in overview for name in ("lerobot", "aria", "egodex", "keypoints"))
    with pytest.raises(SystemExit) as stop:
        main(["import", "lerobot", "--help"])
    assert stop.value.code == 0
    flags = capsys.readouterr().out
    assert "--robot-type" in flags
    assert "--embodiment" in flags
    assert "--layout" not in flags
