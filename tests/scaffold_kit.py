"""Drafts of hands that ship, and a folder of a new plugin that counts as installed."""

import tomllib
from functools import cache
from pathlib import Path

from egoscale_sdk.scaffold.draft import HandDraft
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.names import PluginNames
from egoscale_sdk.scaffold.package import PackageDraft
from egoscale_sdk.specs import EmbodimentSpec, load_embodiment

DATA = Path(__file__).resolve().parents[1] / "embodiments/egoscale_embodiments"
GUESSES = (
    Guess("right hand: thumb", "chain thumb_1 .. thumb_3", "its base points 71 deg | away from the mean of the others"),
    Guess("right hand: tip of thumb", "40 mm along x", "length of the mesh", sure=True),
    Guess("right hand: weather", "fine", "nothing speaks against it"),
)
QUESTIONS = ("egoscale_acme/hand/right.toml: fingers: which finger is the index?",)


@cache
def shipped() -> dict[str, EmbodimentSpec]:
    """Return every shipped robot, by its folder's name."""
    names = sorted(path.parent.name for path in DATA.glob("*/embodiment.toml"))
    specs = {name: load_embodiment(f"egoscale_embodiments:{name}/embodiment.toml") for name in names}
    return {name: spec for name, spec in specs.items() if spec.kind == "robot"}


def package_of(robot: str, *, namespace: str = "acme", name: str = "hand", asking: bool = False) -> PackageDraft:
    """Return a new plugin around the hands of a shipped robot, drafted as if they came from a vendor's URDF."""
    drafts = tuple(
        HandDraft(
            hand.model_copy(update={"urdf": None, "provenance": ()}),
            GUESSES if asking else (),
            QUESTIONS if asking else (),
        )
        for hand in shipped()[robot].hands
    )
    sources = {draft.hand.side: f"{draft.hand.side}.urdf, sha256:{'0' * 64}" for draft in drafts}
    return PackageDraft(PluginNames(namespace, name), drafts, sources)


def register(folder: Path) -> None:
    """Write the metadata that make a plugin's folder an installed distribution, as soon as it is on ``sys.path``."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Requires-Dist: {line}" for line in project["dependencies"]]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    points = project["entry-points"]["egoscale.plugins"]
    (info / "entry_points.txt").write_text(
        "[egoscale.plugins]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    )
