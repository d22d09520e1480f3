"""`egoscale plugin new` as a vendor meets it: what it prints, what it refuses, and that it leaves nothing half-done."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from plugin_kit import install
from scaffold_kit import DATA

from egoscale_sdk import cli
from egoscale_sdk.host import PluginHost
from egoscale_sdk.host import plugin_host as host_module

RIGHT, LEFT = DATA / "hands/dex3/right.urdf", DATA / "hands/dex3/left.urdf"
PLACE = {"--urdf", "--urdf-left", "--urdf-right", "--into"}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; returns exit code, stdout, stderr."""
    shutil.copy(RIGHT, tmp_path / "right.urdf")
    shutil.copy(LEFT, tmp_path / "left.urdf")
    monkeypatch.chdir(tmp_path)

    def run(*argv: str) -> tuple[object, str, str]:
        code: object = 0
        try:
            cli.main(["plugin", "new", *argv])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


def test_it_writes_the_folder_and_prints_files_guesses_and_next_commands(run, tmp_path):
    code, out, err = run("acme", "--urdf", "right.urdf")
    assert (code, err) == (0, "")
    files = sorted(
        path.relative_to(tmp_path / "egoscale-acme").as_posix()
        for path in (tmp_path / "egoscale-acme").rglob("*")
        if path.is_file()
    )
    assert "egoscale_acme/hand/right.toml" in files
    assert "egoscale_acme/hand/left.toml" not in files
    assert out.startswith("egoscale-acme/\n")
    assert all(f" {Path(file).name}\n" in out for file in files)
    assert "right hand" in out
    for line in ("pip install -e 'egoscale-acme[test]'", "egoscale plugin check acme"):
        assert f"\n  {line}" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["egoscale-acme", "left.urdf", "right.urdf"]


def test_scripts_read_json(run, tmp_path):
    code, out, _ = run("acme", "--urdf", "right.urdf", "--into", "deep/down", "--name", "claw", "--json")
    found = json.loads(out)
    assert code == 0
    assert set(found) == {"folder", "files", "guesses", "questions"}
    assert Path(found["folder"]) == Path("deep/down/egoscale-acme")
    assert all((tmp_path / found["folder"] / file).is_file() for file in found["files"])
    assert "egoscale_acme/claw/embodiment.toml" in found["files"]
    assert {"what", "value", "evidence", "sure"} == set(found["guesses"][0])


def test_quiet_prints_the_questions_alone(run):
    assert run("acme", "--urdf", "right.urdf", "-q") == (0, "", "")


def test_the_other_hand_is_made_as_the_mirror_image(run, tmp_path):
    code, _, err = run("acme", "--urdf", "right.urdf", "--mirror")
    assert (code, err) == (0, "")
    folder = tmp_path / "egoscale-acme/egoscale_acme/hand"
    assert 'hands = ["left.toml", "right.toml"]' in (folder / "embodiment.toml").read_text()
    assert "mirror image of the right hand, from right.urdf, sha256:" in (folder / "left.toml").read_text()


def test_two_files_make_two_hands(run, tmp_path):
    assert run("acme", "--urdf-left", "left.urdf", "--urdf-right", "right.urdf")[0] == 0
    folder = tmp_path / "egoscale-acme/egoscale_acme/hand"
    assert re.search(r"left\.urdf, sha256:[0-9a-f]{64}", (folder / "left.toml").read_text())
    assert re.search(r"right\.urdf, sha256:[0-9a-f]{64}", (folder / "right.toml").read_text())


def test_the_licence_is_written_where_it_is_looked_for(run, tmp_path):
    assert run("acme", "--urdf", "right.urdf", "--license", "apache-2.0")[0] == 0
    folder = tmp_path / "egoscale-acme"
    for file in ("pyproject.toml", "egoscale_acme/hand/embodiment.toml"):
        assert '\nlicense = "Apache-2.0"\n' in (folder / file).read_text()
    assert "SPEC013" not in (folder / "tests/test_acme.py").read_text()
    assert "Apache-2.0" in (folder / "README.md").read_text()


def test_a_plugin_without_a_licence_says_so_in_its_own_tests(run, tmp_path):
    run("acme", "--urdf", "right.urdf")
    assert '"SPEC013": "no licence is chosen yet"' in (tmp_path / "egoscale-acme/tests/test_acme.py").read_text()


def test_no_file_names_the_folder_that_the_urdf_lay_in(run, tmp_path):
    run("acme", "--urdf", str(tmp_path / "right.urdf"))
    for file in (tmp_path / "egoscale-acme").rglob("*"):
        assert not file.is_file() or str(tmp_path) not in file.read_text(), file


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("Acme --urdf right.urdf", ("'Acme' is not a namespace", "lower-case letter", "e.g. acme")),
        ("acme-two --urdf right.urdf", ("'acme-two' is not a namespace", "underscores")),
        ("acme/hand --urdf right.urdf", ("'acme/hand' is not a namespace",)),
        ("../up --urdf right.urdf", ("'../up' is not a namespace",)),
        ("acme_ --urdf right.urdf", ("'acme_' is not a namespace",)),
        ("acme --urdf right.urdf --name Big", ("'Big' is not a name of an embodiment",)),
        ("egoscale --urdf right.urdf", ("namespace 'egoscale' is owned by egoscale-sdk", "choose your own")),
        ("taken --urdf right.urdf", ("namespace 'taken' is owned by their-hands 1.2.3", "pip uninstall their-hands")),
        ("sdk --urdf right.urdf", ("egoscale-sdk is a part of the SDK", "choose your own")),
        ("embodiments --urdf right.urdf", ("egoscale-embodiments is a part of the SDK",)),
        ("lib --urdf right.urdf", ("the distribution egoscale-lib 1.2.3 is installed", "pip uninstall egoscale-lib")),
        ("mod --urdf right.urdf", ("the package egoscale_mod can be imported", "site/egoscale_mod.py")),
        ("acme", ("there is no URDF", "--urdf FILE")),
        ("acme --urdf right.urdf --urdf-left left.urdf", ("--urdf is one hand alone", "--urdf-right")),
        ("acme --urdf-left left.urdf --urdf-right right.urdf --mirror", ("--mirror makes the other hand",)),
        ("acme --urdf-right right.urdf --side right", ("--side is the side of --urdf",)),
        ("acme --urdf right.urdf --side up", ("--side", "left", "right")),
        ("acme --urdf right.urdf --license Ours", ("--license: 'Ours' names no licence", "SPDX", "Apache-2.0")),
        ("acme --urdf nowhere.urdf", ("nowhere.urdf: file not found",)),
        ("acme --urdf .", (".: is a folder, not a URDF",)),
        ("acme --urdf /dev/zero", ("/dev/zero: is no regular file",)),
        ("acme --urdf notes.txt", ("notes.txt: is not well-formed XML",)),
        ("acme --urdf page.xml", ("page.xml: is not a URDF", "<html>")),
        ("acme --urdf bytes.urdf", ("bytes.urdf", "UTF-8")),
        ("acme --urdf twice.urdf", ("twice.urdf: joint 'right_hand_thumb_0_joint'", "several <limit> elements")),
        ("acme --urdf right.urdf --into notes.txt", ("notes.txt: is no folder", "--into")),
        ("acme --urdf right.urdf --into notes.txt/x", ("notes.txt/x", "cannot be written: Not a directory")),
        ("acme --urdf right.urdf --into busy", ("busy/egoscale-acme: is not empty", "--into")),
        ("acme --urdf right.urdf --into filed", ("filed/egoscale-acme: is there already and is no folder",)),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(argv, words, run, tmp_path, monkeypatch):
    install(tmp_path / "site", "taken", distribution="their-hands")
    install(tmp_path / "site", "elsewhere", distribution="egoscale-lib")
    (tmp_path / "site/egoscale_mod.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(host_module, "default_host", PluginHost)
    monkeypatch.setattr("egoscale_sdk.host.default_host", PluginHost)
    (tmp_path / "notes.txt").write_text("not XML")
    (tmp_path / "page.xml").write_text("<html/>")
    (tmp_path / "bytes.urdf").write_bytes(b"\xff\xfe\x00")
    text = RIGHT.read_text()
    limit = re.search(r"<limit.*/>", text).group()
    (tmp_path / "twice.urdf").write_text(text.replace(limit, limit + limit, 1))
    (tmp_path / "busy/egoscale-acme").mkdir(parents=True)
    (tmp_path / "busy/egoscale-acme/theirs.txt").write_text("mine")
    (tmp_path / "filed").mkdir()
    (tmp_path / "filed/egoscale-acme").write_text("a file")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    code, out, err = run(*argv.split())
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_a_home_that_no_shell_expanded_is_expanded(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shutil.move(tmp_path / "right.urdf", tmp_path / "home/right.urdf")
    assert run("acme", "--urdf=~/right.urdf", "--into=~/plugins", "-q")[0] == 0
    assert (tmp_path / "home/plugins/egoscale-acme/pyproject.toml").is_file()
    assert not (tmp_path / "~").exists()


def test_questions_stay_open_in_a_file_until_they_are_answered(run, tmp_path):
    text = (tmp_path / "right.urdf").read_text()
    (tmp_path / "right.urdf").write_text(re.sub(r'(<limit .*?)lower="\S*" upper="\S*"', r"\1", text, count=1))
    code, out, _ = run("acme", "--urdf", "right.urdf", "-q")
    head, question, then = out.splitlines()
    assert (code, head) == (0, "Please answer, before the check can pass:")
    assert "egoscale_acme/open_questions.toml" in then
    package = tmp_path / "egoscale-acme/egoscale_acme"
    asked = tomllib.loads((package / "open_questions.toml").read_text())
    assert asked == {"acme/hand": [question.strip().removeprefix("1. ")]}
    hand = (package / "hand/right.toml").read_text()
    assert "# QUESTION: " in hand[hand.index("\nopen_pose") : hand.index("\njoints = [")]
    assert "open_questions.toml" in (tmp_path / "egoscale-acme/README.md").read_text()


def test_where_nothing_is_asked_there_is_no_file_of_questions(run, tmp_path):
    assert run("acme", "--urdf", "right.urdf")[0] == 0
    assert not list((tmp_path / "egoscale-acme").rglob("open_questions.toml"))


def test_an_empty_folder_is_taken(run, tmp_path):
    (tmp_path / "egoscale-acme").mkdir()
    assert run("acme", "--urdf", "right.urdf", "-q")[0] == 0
    assert (tmp_path / "egoscale-acme/pyproject.toml").is_file()


def test_a_second_run_changes_nothing(run, tmp_path):
    assert run("acme", "--urdf", "right.urdf")[0] == 0
    written = (tmp_path / "egoscale-acme/egoscale_acme/plugin.py").stat()
    assert run("acme", "--urdf", "left.urdf")[0] == 2
    assert (tmp_path / "egoscale-acme/egoscale_acme/plugin.py").stat() == written


@pytest.mark.parametrize("failing", ["rename", "write_text"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_half_way_is_taken_back(failing, error, run, tmp_path, monkeypatch):
    original, calls = getattr(Path, failing), []

    def fail(self, *args, **kwargs):
        calls.append(self)
        if failing == "rename" or len(calls) == 5:
            raise error
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, failing, fail)
    code, _, err = run("acme", "--urdf", "right.urdf")
    assert calls
    assert code == (2 if isinstance(error, OSError) else 130)
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["left.urdf", "right.urdf"]


def test_the_help_has_examples(run):
    code, out, _ = run("--help")
    assert code == 0
    assert "egoscale plugin new acme --urdf hand.urdf" in out
    assert "--mirror" in out
