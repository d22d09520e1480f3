"""An installable plugin around drafted hands: the same shape as any other, every figure with where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from string import Template

from egoscale_sdk.errors import EgoscaleError
from egoscale_sdk.scaffold.body import embodiment_of, with_provenance
from egoscale_sdk.scaffold.draft import HandDraft
from egoscale_sdk.scaffold.folder import write_folder
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.names import PluginNames, sdk_range
from egoscale_sdk.scaffold.notes import notes_of
from egoscale_sdk.scaffold.questions import questions_toml
from egoscale_sdk.scaffold.readme import guess_table, hand_rows, question_list
from egoscale_sdk.scaffold.spec_text import embodiment_toml, hand_toml, space_toml
from egoscale_sdk.scaffold.toml_text import comment, toml_text
from egoscale_sdk.scaffold.urdf_text import urdf_text
from egoscale_sdk.specs import EmbodimentSpec, HandSpec, Side, action_fingerprint
from egoscale_sdk.testing.questions import OPEN_QUESTIONS

_URDF_NOTE = "Kinematics alone, written anew; limits that count, shapes and gains are in the TOML file beside it."
_FINGERPRINTS_NOTE = (
    "What an action of each id means, as a digest. A changed one says that datasets and policies of that id no longer "
    "fit: raise N, and keep the old entry. Until the id is used, put here what `egoscale embodiments show ID` prints."
)
_NO_LICENCE = (
    "This package has none yet: put one into `LICENSE`, and name it in `pyproject.toml` and the embodiment's file."
)
_TEMPLATES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    ".github/workflows/check.yml": "check.yml",
    "tests/test_{namespace}.py": "test.py",
    "{package}/plugin.py": "plugin.py",
    "{package}/driver.py": "driver.py",
}


@dataclass(frozen=True)
class PackageDraft:
    """A plugin before it is written.

    Attributes:
        names: What everything is called.
        drafts: One hand, or a left and a right one of the same hand space.
        sources: For each side, the file that its figures come from.
        license: SPDX expression for the package and its figures, if one is chosen.
    """

    names: PluginNames
    drafts: tuple[HandDraft, ...]
    sources: Mapping[Side, str]
    license: str = ""

    @cached_property
    def spec(self) -> EmbodimentSpec:
        """The embodiment, as it is read back from the files but for the paths of its URDFs."""
        hands = [
            with_provenance(draft.hand, self.sources[draft.hand.side], estimated=_estimated(draft))
            for draft in self.drafts
        ]
        return embodiment_of(self.names.id, self.title, hands, license=self.license)

    @property
    def title(self) -> str:
        """One line about the embodiment."""
        sides = sorted(draft.hand.side for draft in self.drafts)
        count = len(self.drafts[0].hand.actuated)
        joints = f"{count} joint{'s' if count > 1 else ''}"
        what = f"{sides[0]} hand of {joints}, on a commanded wrist"
        if len(sides) > 1:
            what = f"left and right hand of {joints} each, on commanded wrists"
        return f"{self.names.title} {self.names.name}: {what}"

    @property
    def guesses(self) -> tuple[Guess, ...]:
        """What was guessed about either hand, once."""
        return tuple(dict.fromkeys(guess for draft in self.drafts for guess in draft.guesses))

    @property
    def questions(self) -> tuple[str, ...]:
        """What a person must answer about either hand, once."""
        return tuple(dict.fromkeys(question for draft in self.drafts for question in draft.questions))

    @property
    def questions_path(self) -> str:
        """Where open questions stand until they are answered, as a path in the plugin's folder."""
        return f"{self.names.package}/{OPEN_QUESTIONS}"

    @cached_property
    def files(self) -> dict[str, str]:
        """Every file by its path in the plugin's folder; raises as `package_files` does."""
        return package_files(self)


def _estimated(draft: HandDraft) -> set[str]:
    """The mass, where the file leaves out a part of it; of joints single figures are unsure, and say so."""
    return {"mass_kg"} & notes_of(draft.hand, [guess for guess in draft.guesses if not guess.sure]).keys()


def write_package(package: PackageDraft, into: Path) -> Path:
    """Write a plugin's folder (``egoscale-acme``) into another; returns its path.

    Raises:
        EgoscaleError: the folder is there already, or cannot be written; nothing half-written is left behind.
    """
    target = into / package.names.distribution
    write_folder(package.files, target)
    return target


def package_files(package: PackageDraft) -> dict[str, str]:
    """Return every file of the plugin, by its path in the plugin's folder.

    Raises:
        EgoscaleError: the hands are not of one hand space.
    """
    names, spec = package.names, package.spec
    spaces = {hand.hand_space for hand in spec.hands}
    if len(spaces) > 1:
        raise EgoscaleError("left and right hand differ in their hand space", hint="write one plugin for each")
    folder = f"{names.package}/{names.name}"
    files = {
        path.format(namespace=names.namespace, package=names.package): _filled(template, package)
        for path, template in _TEMPLATES.items()
    }
    files |= {
        f"{names.package}/__init__.py": f'"""{package.title}."""\n',
        f"{names.package}/py.typed": "",
        f"{names.package}/fingerprints.toml": _fingerprints(spec),
        f"{folder}/embodiment.toml": embodiment_toml(spec),
        f"{folder}/space.toml": space_toml(spec.hands[0].hand_space),
    }
    if package.questions:
        files[package.questions_path] = questions_toml(names.stem, package.questions)
    for hand, draft in zip(spec.hands, sorted(package.drafts, key=lambda draft: draft.hand.side), strict=True):
        files |= _hand_files(f"{folder}/{hand.side}", hand, draft, names)
    return dict(sorted(files.items()))


def _hand_files(stem: str, hand: HandSpec, draft: HandDraft, names: PluginNames) -> dict[str, str]:
    title = f"The {hand.side} hand of {names.stem}. What is marked as a guess was not in the file: look at it."
    files = {f"{stem}.toml": hand_toml(hand, title=title, comments=notes_of(hand, draft.guesses, draft.questions))}
    if hand.tree is not None:
        robot = f"{names.namespace}_{names.name}_{hand.side}"
        files[f"{stem}.urdf"] = urdf_text(hand.tree, name=robot, joints=hand.joints, note=_URDF_NOTE)
    return files


def _fingerprints(spec: EmbodimentSpec) -> str:
    return comment(_FINGERPRINTS_NOTE) + toml_text({spec.id: action_fingerprint(spec)})


def _filled(template: str, package: PackageDraft) -> str:
    """Fill in one of the files that are the same for every plugin but for names and lists."""
    names = package.names
    text = resources.files("egoscale_sdk.scaffold").joinpath(f"templates/{template}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(
        namespace=names.namespace,
        name=names.name,
        distribution=names.distribution,
        package=names.package,
        class_name=names.class_name,
        id=names.id,
        stem=names.stem,
        space=package.drafts[0].hand.hand_space.id,
        title=package.title,
        sdk=sdk_range(),
        license=f'\nlicense = "{package.license}"' if package.license else "",
        licence=f"{package.license}, for the code here." if package.license else _NO_LICENCE,
        known_failures="" if package.license else '"SPEC013": "no licence is chosen yet"',
        hands=hand_rows(package.drafts, f"{names.package}/{names.name}"),
        sources="\n".join(f"- {side} hand: {source}" for side, source in sorted(package.sources.items())),
        guesses=guess_table(package.guesses),
        questions=question_list(package.questions, package.questions_path),
    )
