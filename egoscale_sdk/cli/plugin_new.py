"""``egoscale plugin new``: an installable plugin from a hand's URDF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from egoscale_sdk.cli.console import emit, render, user_path
from egoscale_sdk.specs import Side

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egoscale_sdk.scaffold.guess import Guess
    from egoscale_sdk.scaffold.package import PackageDraft


def new(
    namespace: Positional[str],
    urdf: str | None = None,
    urdf_left: str | None = None,
    urdf_right: str | None = None,
    side: Side | None = None,
    mirror: bool = False,
    name: str = "hand",
    into: str = ".",
    license: str = "",
    json: bool = False,
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Write an installable plugin from a hand's URDF: spec, kinematics, driver, tests, README.

    What the file does not say (which finger is the thumb, left or right, where the tips are) is inferred from its
    geometry and printed with the evidence; what cannot be inferred is printed as questions. Nothing is overwritten.

    Examples:
        egoscale plugin new acme --urdf hand.urdf               # writes egoscale-acme/ here
        egoscale plugin new acme --urdf R.urdf --side right --mirror    # and the left hand as its mirror image
        egoscale plugin new acme --urdf-left L.urdf --urdf-right R.urdf --into plugins
        egoscale plugin new acme --urdf gripper.urdf --name gripper     # acme/gripper@1

    Args:
        namespace: The namespace that the plugin will own, e.g. acme for acme/hand@1.
        urdf: URDF of one hand.
        urdf_left: URDF of the left hand.
        urdf_right: URDF of the right hand.
        side: Which hand `--urdf` is, where the file does not say it.
        mirror: Make the other hand, too: the mirror image, proven by forward kinematics.
        name: The embodiment's own name, after the slash of its id.
        into: Folder in which the plugin's folder is made.
        license: SPDX name of the licence of the package and its figures, e.g. Apache-2.0.
        json: Print JSON: folder, files, guesses, questions.
        quiet: Print questions only, no files, guesses and next commands.
    """
    from egoscale_sdk.host import default_host
    from egoscale_sdk.scaffold.folder import check_target
    from egoscale_sdk.scaffold.names import PluginNames, check_free
    from egoscale_sdk.scaffold.package import write_package
    from egoscale_sdk.scaffold.request import Request

    names = PluginNames(namespace, name)
    check_free(names, default_host())
    one, left, right = (user_path(path) if path else None for path in (urdf, urdf_left, urdf_right))
    request = Request(one, left, right, side=side, mirror=mirror, license=license)
    check_target(user_path(into) / names.distribution)
    package = request.draft(names)
    folder = write_package(package, user_path(into))
    text = _questions(package) if quiet else _report(package, folder)
    if json or text:
        emit(_summary(package, folder), as_json=json, text=text)


def _summary(package: PackageDraft, folder: Path) -> dict[str, object]:
    """What scripts read."""
    return {
        "folder": str(folder),
        "files": list(package.files),
        "guesses": [vars(guess) for guess in package.guesses],
        "questions": list(package.questions),
    }


def _report(package: PackageDraft, folder: Path) -> str:
    """What was written, what was guessed, what is asked, and what to do next."""
    parts = [f"{folder}/", _tree(list(package.files))]
    if package.guesses:
        parts += [
            "",
            "Guessed from geometry and names (please look at these, the unsure ones first):",
            _table(package.guesses),
        ]
    parts += ["", _questions(package) or "The file answers everything that the check asks.", ""]
    next_steps = (
        f"pip install -e '{folder}[test]'",
        f"egoscale embodiments show {package.names.stem}",
        f"egoscale plugin check {package.names.namespace}",
    )
    return "\n".join([*parts, "next:", *(f"  {step}" for step in next_steps)])


def _tree(files: Sequence[str]) -> str:
    """Indent files under their folders, each folder once."""
    lines: list[str] = []
    above: tuple[str, ...] = ()
    for file in files:
        *folders, name = file.split("/")
        for depth, part in enumerate(folders):
            if above[: depth + 1] != tuple(folders[: depth + 1]):
                lines.append("  " * (depth + 1) + f"{part}/")
        above = tuple(folders)
        lines.append("  " * (len(folders) + 1) + name)
    return "\n".join(lines)


def _table(guesses: Sequence[Guess]) -> str:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "what", "is", "because", box=None, pad_edge=False, header_style="bold")
    for guess in guesses:
        table.add_row("guess" if guess.sure else "unsure", Text(guess.what), Text(guess.value), Text(guess.evidence))
    return render(table)


def _questions(package: PackageDraft) -> str:
    if not package.questions:
        return ""
    lines = [f"  {number}. {question}" for number, question in enumerate(package.questions, start=1)]
    then = f"Fill in the field, then delete the question in {package.questions_path}; until then the check fails."
    return "\n".join(["Please answer, before the check can pass:", *lines, then])
