"""``egoscale retarget --backend auto``: kernels where they pay, and never two back ends in one set."""

import pytest

from egoscale_sdk import cli
from egoscale_sdk.data import Dataset
from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import choice, derive
from egoscale_sdk.retargeting.choice import choose_backend
from egoscale_sdk.retargeting.kernels.build import BuildError
from tests.data_kit import episode, human_declaration

TARGET = "unitree/g1_dex3"


@pytest.fixture
def people(tmp_path):
    declaration = human_declaration()
    dataset = Dataset.create(tmp_path / "people.zarr", declaration)
    dataset.append([episode("a", declaration, rows=20)])
    return dataset


@pytest.fixture
def long(monkeypatch):
    """What is more than a frame is long work, on a machine with a compiler."""
    monkeypatch.setattr(choice, "LONG_HAND_FRAMES", 39)
    monkeypatch.setattr(choice, "compiler", lambda: "g++")


def chosen(dataset, device=None):
    return choose_backend(dataset, default_host().spec(TARGET), "unitree_g1_dex3", device)


def test_short_work_is_eager(people):
    assert chosen(people) == ("eager", "")


def test_long_work_on_a_cpu_with_a_compiler_is_compiled(people, long, monkeypatch):
    assert chosen(people)[0] == chosen(people, "cpu")[0] == "simd"
    assert chosen(people, "cuda")[0] == "eager"

    def missing():
        raise BuildError("no C++ compiler")

    monkeypatch.setattr(choice, "compiler", missing)
    backend, why = chosen(people)
    assert (backend, "no C++ compiler" in why) == ("eager", True)


def test_a_set_goes_on_with_its_back_end_and_the_command_says_so(people, long, capsys):
    cli.main(["retarget", str(people.path), "--to", TARGET, "--backend", "eager", "-q"])
    people = Dataset.open(people.path)
    people.append([episode("b", human_declaration(), rows=30, seed=3)])
    capsys.readouterr()
    cli.main(["retarget", str(people.path), "--to", TARGET])
    assert "note: back end eager: what action set 'unitree_g1_dex3' was begun with" in capsys.readouterr().err
    assert Dataset.open(people.path).missing_segments("unitree_g1_dex3") == {}


def test_a_retargeter_without_back_ends_is_given_none(people, capsys):
    cli.main(["retarget", str(people.path), "--to", "gripper/panda"])
    assert "back end" not in capsys.readouterr().err


def test_without_a_compiler_a_new_set_is_eager_and_one_of_kernels_is_not_gone_on_with(people, monkeypatch, capsys):
    cli.main(["retarget", str(people.path), "--to", TARGET, "--backend", "simd", "-q"])
    people = Dataset.open(people.path)
    people.append([episode("b", human_declaration(), rows=30, seed=3)])

    def missing():
        raise BuildError("no C++ compiler is installed")

    monkeypatch.setattr(choice, "compiler", missing)
    monkeypatch.setattr(derive, "compiler", missing)
    with pytest.raises(SystemExit):
        cli.main(["retarget", str(people.path), "--to", TARGET])
    assert "made with compiled kernels (back end simd), and no C++ compiler" in capsys.readouterr().err
    cli.main(["retarget", str(people.path), "--to", TARGET, "--backend", "simd", "--name", "again"])
    assert "note: back end eager: no C++ compiler is installed" in capsys.readouterr().err
    made = Dataset.open(people.path).action_set("again").retargeting
    assert made.parameters["backend"] == "eager"
