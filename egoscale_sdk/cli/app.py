"""The table of commands, and how one is found, parsed and run.

A command's module is imported only when that command, or its help, is asked for. Its function has a Google docstring
(summary, ``Examples:``, ``Args:``) and annotated parameters, from which tyro makes the flags. A function whose only
parameter is ``argv`` parses by itself (its flags depend on its first word), with `parse_and_call`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import io
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_type_hints

import egoscale_sdk
from egoscale_sdk.errors import EgoscaleError, did_you_mean

_CLI = "egoscale_sdk.cli"
_BOX = re.compile(r"[╭╮╰╯│]")
_RULE = re.compile(r"\s*(─+|-{3,})\s*")
_UNREADABLE = re.compile(
    r"Error parsing (--\S+): .*Argument helptext: \1 (?:\{None\}\|)?(\{.*?\}|\S+) (.*?)\.? \(.*; "
    r"For full helptext, see (.*)"
)

EPILOG = """\
examples:
  egoscale demo
  egoscale import lerobot RECORDING robot.zarr
  egoscale train recipe.toml --data human.zarr robot.zarr:0.5 --out CHECKPOINT
  egoscale run CHECKPOINT --dataset robot.zarr --driver mujoco

egoscale COMMAND --help explains a command; -q silences progress, --json prints what scripts read.
"""


class UsageError(EgoscaleError):
    """The command line does not say what to do."""


@dataclass(frozen=True)
class Command:
    """A command: where its function is, and one line for the overview."""

    module: str
    function: str
    summary: str

    def load(self) -> Callable[..., Any]:
        """Import the command's function."""
        function: Callable[..., Any] = getattr(importlib.import_module(f"{_CLI}.{self.module}"), self.function)
        return function


COMMANDS: dict[str, Command] = {
    "embodiments list": Command("embodiments", "list_", "list every installed embodiment"),
    "embodiments show": Command("embodiments", "show", "show an embodiment: joints, limits, columns, cameras"),
    "plugin list": Command("plugin", "list_", "list plugins, those that failed to load included"),
    "plugin new": Command("plugin_new", "new", "write an installable plugin from a hand's URDF"),
    "plugin check": Command("plugin_check", "check", "run the conformance kit on a plugin: a score card"),
    "plugin info": Command("plugin", "info", "show what a plugin contributes, or why it failed"),
    "simulate": Command("simulate", "simulate", "record demonstrations of a simulated person or robot hand"),
    "import": Command("importing", "import_", "turn a recording into a dataset"),
    "export lerobot": Command("exporting", "lerobot", "write a dataset as LeRobot v3.0"),
    "retarget": Command("retarget", "retarget", "add a robot hand's actions to a dataset of people"),
    "dataset show": Command("dataset", "show", "show what a dataset declares and holds"),
    "dataset validate": Command("dataset", "validate", "check a dataset against its declaration"),
    "dataset stats": Command("stats", "stats", "show how the columns of a dataset are distributed"),
    "dataset bench": Command("bench", "bench", "measure how fast a dataset is read here"),
    "dataset split": Command("care", "split", "divide a dataset into train, val and test"),
    "dataset merge": Command("care", "merge", "copy several datasets of one embodiment into one"),
    "dataset compact": Command("care", "compact", "join small segments into ones of an hour"),
    "dataset rechunk": Command("care", "rechunk", "copy a dataset with images at training size or other shards"),
    "dataset gc": Command("care", "gc", "remove what killed writers left behind"),
    "doctor": Command("doctor", "doctor", "examine a dataset, and whether it suits a checkpoint"),
    "train": Command("train", "train", "train one policy on one or more datasets"),
    "run": Command("run", "run", "drive a robot, a simulation or a replay with a checkpoint"),
    "demo": Command("demo", "demo", "the whole path, from a recording to a moving hand, on this machine"),
}


def run(argv: list[str]) -> None:
    """Find the command that ``argv`` begins with, parse its flags and run it.

    Raises:
        UsageError: there is no such command, or its flags are wrong.
    """
    if argv[:1] in (["--version"], ["-V"]):
        print(f"egoscale-sdk {egoscale_sdk.__version__}")
        return
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview(COMMANDS, "egoscale", f"{_about()}\n\n"), end="")
        return
    words = next((n for n in (1, 2) if " ".join(argv[:n]) in COMMANDS), 0)
    if not words:
        _explain_group(argv)
        return
    name, rest = " ".join(argv[:words]), argv[words:]
    function = COMMANDS[name].load()
    if list(inspect.signature(function).parameters) == ["argv"]:
        function(rest)
    else:
        parse_and_call(function, rest, prog=f"egoscale {name}")


def parse_and_call(function: Callable[..., Any], argv: list[str], *, prog: str) -> Any:
    """Parse ``argv`` into the annotated parameters of ``function`` and call it.

    Raises:
        UsageError: a flag is unknown, missing, given twice or has a wrong value; in one line.
        SystemExit: help was asked for and printed.
    """
    import tyro
    from pydantic import ValidationError

    _refuse_repeated(argv)
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            call: Callable[[], Any] = tyro.cli(
                _binder(function),
                prog=prog,
                args=argv,
                description=_description(function),
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if stop.code:
            raise UsageError(_one_line(complaint.getvalue()) or f"see: {prog} --help") from None
        raise
    except ValidationError as error:  # of a model whose fields are flags
        first = error.errors()[0]
        raise UsageError(f"--{str(first['loc'][0]).replace('_', '-')}: {first['msg']}") from None
    return call()


def _explain_group(argv: list[str]) -> None:
    """Show the help of a group such as ``plugin``, or say which command was probably meant."""
    group = {name: command for name, command in COMMANDS.items() if name.startswith(f"{argv[0]} ")}
    if group and argv[1:] and argv[1] in ("-h", "--help"):
        print(_overview(group, f"egoscale {argv[0]}", ""), end="")
        return
    prefix = f"{argv[0]} " if group else ""
    typed = " ".join(argv[:2]) if group else argv[0]
    allowed = sorted({name.removeprefix(prefix).split()[0] for name in group or COMMANDS})
    if group and not argv[1:]:
        raise UsageError(f"'egoscale {argv[0]}' needs a command", allowed=allowed, hint=f"see: egoscale {prefix}--help")
    hint = did_you_mean(argv[1] if group else argv[0], allowed) or f"see: egoscale {prefix}--help"
    raise UsageError(f"there is no command {typed!r}", allowed=allowed, hint=hint)


def _overview(commands: dict[str, Command], prog: str, about: str) -> str:
    width = max(len(name) for name in commands)
    lines = "".join(f"  {name:<{width}}  {command.summary}\n" for name, command in commands.items())
    tail = f"\n  -h, --help     show this\n  --version      show the version\n\n{EPILOG}" if about else ""
    return f"usage: {prog} COMMAND ...\n\n{about}commands:\n{lines}{tail}"


def _about() -> str:
    return (egoscale_sdk.__doc__ or "").splitlines()[0].removeprefix("EgoScale SDK: ").capitalize()


def _description(function: Callable[..., Any]) -> str:
    """Return the docstring up to its arguments, examples included."""
    return re.split(r"\n(?:Args|Returns|Raises):", inspect.getdoc(function) or "")[0].rstrip()


def _binder(function: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    """Return what the parser sees in place of ``function``: the same flags, but it binds them and runs nothing.

    A positional word is called by its parameter's name (``DATASET``) in help texts.
    """
    from tyro.conf import Positional, arg

    def bind(*args: Any, **kwargs: Any) -> Callable[[], Any]:
        return functools.partial(function, *args, **kwargs)

    (marker,), naming = get_args(Positional[str])[1:], type(arg())
    hints = get_type_hints(function, include_extras=True)
    for name, hint in hints.items():
        extras = getattr(hint, "__metadata__", ())
        if marker in extras and not any(isinstance(extra, naming) for extra in extras):
            hints[name] = Annotated[hint, arg(metavar=name.upper())]
    signature = inspect.signature(function)
    parameters = [part.replace(annotation=hints.get(name)) for name, part in signature.parameters.items()]
    bind.__doc__, bind.__annotations__ = function.__doc__, hints
    bind.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return bind


def _refuse_repeated(argv: list[str]) -> None:
    """Refuse a flag that occurs twice, of which the parser would silently keep the last."""
    flags = [word.partition("=")[0] for word in argv if re.match(r"--[A-Za-z]", word)]
    twice = next((flag for flag in flags if flags.count(flag) > 1), None)
    if twice:
        raise UsageError(f"{twice} is given twice", hint="give it once; several values follow one flag")


def _one_line(box: str) -> str:
    """Turn the parser's framed complaint into one line; the frame's title says nothing more.

    Where a terminal cannot show frames, the title stands above a rule of hyphens.
    """
    stripped = (_BOX.sub("", line).strip() for line in box.splitlines() if not line.startswith(("╭", "╰")))
    lines = [line for line in stripped if line]
    if "╭" not in box and lines[1:] and _RULE.fullmatch(lines[1]):
        lines = lines[2:]
    sentences = " ".join("; " if _RULE.fullmatch(line) else line for line in lines)
    line = re.sub(r"\s+", " ", sentences).replace(" ;", ";").strip(" ;")
    if found := _UNREADABLE.fullmatch(line):  # the parser's own words are those of its source code
        flag, takes, meaning, command = found.groups()
        return f"{flag}: takes {takes.strip('{}')} ({meaning}); see: {command}"
    return line
