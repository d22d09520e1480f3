"""The command line as a user meets it: help, mistakes in one line and exit code 2, nothing heavy before its time."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import tyro

from egoscale_sdk import cli
from egoscale_sdk.cli import app
from egoscale_sdk.errors import DataError
from tests.plugin_kit import install

HEAVY = ("torch", "transformers", "zarr", "pytorch_kinematics", "mujoco", "accelerate", "av", "pyarrow")
REPORT = f"import sys; print(*[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"


def egoscale(*argv: str) -> tuple[int, str, str]:
    """Run the command in a process of its own; returns exit code, stdout, stderr."""
    done = subprocess.run([sys.executable, "-m", "egoscale_sdk", *argv], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def fails(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail with exit code 2 and one line; returns the line."""
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    "code",
    [
        "import egoscale_sdk",
        "import egoscale_sdk.errors, egoscale_sdk.ids, egoscale_sdk.specs, egoscale_sdk.interfaces",
        "import egoscale_sdk.host as h; h.PluginHost().plugins()",
        "import egoscale_sdk.cli as c; c.main(['--help'])",
        "import egoscale_sdk.cli as c; c.main(['--version'])",
        "import egoscale_sdk.cli as c; c.main(['plugin', 'list'])",
        "import egoscale_sdk.cli as c; c.main(['embodiments', 'list'])",
    ],
)
def test_loads_nothing_heavy(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"{code}; {REPORT}"], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_the_overview_names_every_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(argv)
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in app.COMMANDS)
    assert "examples:" in out


def test_a_group_names_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["plugin", "--help"])
    out = capsys.readouterr().out
    assert "plugin list" in out
    assert "plugin info" in out
    assert "dataset" not in out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--version"])
    assert capsys.readouterr().out == "egoscale-sdk 0.1.0\n"


@pytest.mark.parametrize(("users", "found"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(users: dict[str, str], found: str) -> None:
    code = "import os, egoscale_sdk.cli as c; c.main(['--version']); print(os.environ['OMP_WAIT_POLICY'])"
    plain = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain | users)
    assert done.stdout.split()[-1] == found


def test_as_a_module_and_its_exit_codes() -> None:
    assert egoscale("--version") == (0, "egoscale-sdk 0.1.0\n", "")
    code, out, err = egoscale("trian")
    assert (code, out) == (2, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["trian"], ("no command 'trian'", "did you mean 'train'?")),
        (["plugin", "lsit"], ("no command 'plugin lsit'", "allowed: check, info, list", "did you mean 'list'?")),
        (["plugin"], ("needs a command", "allowed: check, info, list")),
        (["--verbose"], ("no command '--verbose'",)),
        (["plugin", "list", "--jsn"], ("--jsn", "--json", "egoscale plugin list --help")),
        (["plugin", "info"], ("NAMESPACE", "egoscale plugin info --help")),
        (["plugin", "info", "nobody"], ("no installed plugin owns the namespace 'nobody'",)),
        (["plugin", "list", "--json", "--json"], ("--json is given twice",)),
        (["embodiments", "show", "Nonsense"], ("'Nonsense' is not an id", "acme/hand@1")),
    ],
)
def test_a_mistake_is_one_line(argv: list[str], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(argv, capsys)
    for word in words:
        assert word in line


def test_help_of_a_command_shows_its_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["embodiments", "show", "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "Examples:\n    egoscale embodiments show acme/hand" in out
    assert "--json" in out


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_command_explains_itself_without_loading_its_work(name: str) -> None:
    argv = [*name.split(), "--help"]
    call = f"import egoscale_sdk.cli as c\ntry: c.main({argv!r})\nexcept SystemExit as stop: assert not stop.code"
    done = subprocess.run([sys.executable, "-c", f"{call}\n{REPORT}"], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    assert done.stdout.startswith(f"usage: egoscale {name}")
    assert re.search(rf"xamples:\n +egoscale {name}", done.stdout)


class TestParsing:
    @staticmethod
    def command(
        source: tyro.conf.Positional[str],
        out: str,
        data: tuple[str, ...] = (),
        rate_hz: float = 1.0,
        quiet: Annotated[bool, tyro.conf.arg(aliases=["-q"])] = False,
    ) -> Any:
        """Do something.

        Examples:
            egoscale do SOURCE --out X

        Args:
            source: From where.
            out: Where to.
            data: Which data.
            rate_hz: How fast.
            quiet: Say nothing.
        """
        return source, out, data, rate_hz, quiet

    def parse(self, *argv: str) -> Any:
        return app.parse_and_call(self.command, list(argv), prog="egoscale do")

    def test_positional_words_lists_and_short_flags(self) -> None:
        assert self.parse("a", "--out", "b", "--data", "x", "y:0.5", "-q") == ("a", "b", ("x", "y:0.5"), 1.0, True)
        assert self.parse("a", "--out", "b", "--rate-hz", "-3") == ("a", "b", (), -3.0, False)

    @pytest.mark.parametrize(
        ("argv", "word"),
        [
            (("a",), "--out"),
            (("a", "b", "--out", "c"), "Unrecognized options: b"),
            (("a", "--out", "c", "--rate-hz", "fast"), "--rate-hz: takes FLOAT (How fast)"),
            (("a", "--out", "c", "--data", "x", "--data=y"), "--data is given twice"),
            (("a", "--out", "c", "--no-quiet"), "--no-quiet"),
        ],
    )
    def test_mistakes(self, argv: tuple[str, ...], word: str) -> None:
        with pytest.raises(app.UsageError) as caught:
            self.parse(*argv)
        assert word in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_help_calls_words_by_their_names(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            self.parse("--help")
        assert "usage: egoscale do [-h] SOURCE --out STR" in re.sub(r"\s+", " ", capsys.readouterr().out)

    def test_what_the_command_says_is_not_swallowed(self, capsys: pytest.CaptureFixture[str]) -> None:
        def speak() -> None:
            """Speak."""
            print("spoken", file=sys.stderr)
            raise SystemExit(5)

        with pytest.raises(SystemExit) as stop:
            app.parse_and_call(speak, [], prog="egoscale speak")
        assert stop.value.code == 5
        assert capsys.readouterr().err == "spoken\n"


class TestMain:
    @pytest.mark.parametrize(
        ("error", "code", "words"),
        [
            (DataError("row 3 is NaN", where="a.npz:keypoints"), 2, "error: a.npz:keypoints: row 3 is NaN\n"),
            (
                FileNotFoundError(2, "No such file or directory", "a.npz"),
                2,
                "error: a.npz: No such file or directory\n",
            ),
            (OSError(errno.ENOSPC, "No space left on device"), 2, "error: No space left on device; what was committed"),
            (KeyboardInterrupt(), 130, "interrupted"),
        ],
    )
    def test_user_errors_have_no_traceback(
        self, error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        def raises(argv: list[str]) -> None:
            raise error

        monkeypatch.setattr(app, "run", raises)
        with pytest.raises(SystemExit) as stop:
            cli.main([])
        assert stop.value.code == code
        assert words in capsys.readouterr().err

    def test_a_reader_that_leaves_is_no_error(self) -> None:
        command = f"{sys.executable} -m egoscale_sdk --help | head -n 1"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
        assert done.stderr == ""
        assert done.returncode == 0


class TestPluginCommands:
    @pytest.fixture(autouse=True)
    def _site(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv("EGOSCALE_PLUGINS", "acme,broken")
        install(tmp_path, "acme")
        install(tmp_path, "broken", "raise SystemExit(3)", version="4.5.6")

    def test_list_shows_good_and_broken(self) -> None:
        code, out, err = egoscale("plugin", "list")
        assert (code, err) == (0, "")
        assert "egoscale-acme 1.2.3" in out
        assert "acme/hand@1" in out
        assert "egoscale-broken 4.5.6" in out
        assert "FAILED at stage import" in out
        (acme, broken, own) = json.loads(egoscale("plugin", "list", "--json")[1])
        assert acme["embodiments"] == ["acme/hand@1"]
        assert (broken["failure"]["stage"], broken["version"]) == ("import", "4.5.6")
        assert own["namespace"] == "egoscale"

    def test_info_shows_the_traceback(self) -> None:
        out = egoscale("plugin", "info", "broken")[1]
        assert "SystemExit: 3" in out
        assert "plugin.py" in out
        (info,) = json.loads(egoscale("plugin", "info", "acme", "--json")[1])
        assert info["hooks"] == ["egoscale_embodiments"]

    def test_embodiments_of_good_plugins_are_listed_beside_a_broken_one(self) -> None:
        out = egoscale("embodiments", "list")[1]
        assert "acme/hand@1" in out
        assert "not loaded: plugin 'broken' (egoscale-broken 4.5.6)" in out
        code, _, err = egoscale("embodiments", "show", "broken/hand")
        assert code == 2
        assert "plugin 'broken' (egoscale-broken 4.5.6): stage import" in err

    def test_the_card_and_its_json(self) -> None:
        card = egoscale("embodiments", "show", "acme/hand")[1]
        for word in ("acme/hand@1", "egoscale-acme 1.2.3", "right_bend", "-0.5", "1.5", "rad", "0.04", "sha256:"):
            assert word in card
        assert "action columns: 11" in card
        value = json.loads(egoscale("embodiments", "show", "acme/hand", "--json")[1])
        assert value["id"] == value["spec"]["id"] == "acme/hand@1"
        assert value["columns"][-1] == {"name": "right_hand.slide", "unit": "m"}
        assert value["action_fingerprint"].startswith("sha256:")


@pytest.mark.parametrize(
    ("words", "takes"),
    [(["--image-size", "64"], "--image-size: takes INT INT (Height"), (["--workers", "two"], "--workers: takes INT (")],
)
def test_a_value_that_cannot_be_read_is_told_what_the_flag_takes(capsys, words, takes):
    line = fails(["dataset", "rechunk", "a.zarr", "--out", "b.zarr", *words], capsys)
    assert takes in line
    assert line.endswith("see: egoscale dataset rechunk --help\n")
