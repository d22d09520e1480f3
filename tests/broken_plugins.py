"""Plugins that are broken in every way we know of, and a hundred installed plugins of which ten are."""

from dataclasses import dataclass
from pathlib import Path

from tests.plugin_kit import HAND, install

OTHER = """
@hookimpl
def egoscale_embodiments():
    return [EmbodimentEntry(id="other/hand@1", spec="{package}:hand.toml")]
"""
TWICE = """
@hookimpl
def egoscale_embodiments():
    return [EmbodimentEntry(id="{namespace}/hand@1", spec="{package}:hand.toml")] * 2
"""


@dataclass
class Broken:
    """One way to be broken: the plugin's code, the stage that must refuse it, and words that the message must have."""

    stage: str
    words: tuple[str, ...]
    code: str = HAND
    requires: tuple[str, ...] = ()
    target: str | None = None


CORPUS = {
    "import error": Broken("import", ("ModuleNotFoundError", "no_such_package"), "import no_such_package"),
    "syntax error": Broken("import", ("SyntaxError",), "def broken(:"),
    "exit at import": Broken("import", ("SystemExit", "3"), "raise SystemExit(3)"),
    "error at import": Broken("import", ("ZeroDivisionError",), "1 / 0"),
    "no such module": Broken("import", ("ModuleNotFoundError",), target="egoscale_nowhere.plugin"),
    "no such attribute": Broken("import", ("AttributeError", "'nothing'"), target="egoscale_broken.plugin:nothing"),
    "malformed entry point": Broken("metadata", ("'two words'",), target="two words"),
    "foreign argument": Broken(
        "register",
        ("egoscale_embodiments", "colour"),
        "@hookimpl\ndef egoscale_embodiments(colour): return []",
    ),
    "misspelt hook": Broken(
        "hooks",
        ("unknown hook 'egoscale_embodyments'", "did you mean 'egoscale_embodiments'?"),
        "@hookimpl\ndef egoscale_embodyments(): return []",
    ),
    "unmarked hook": Broken("hooks", ("egoscale_drivers", "@hookimpl"), HAND + "\ndef egoscale_drivers(): return []"),
    "no hook": Broken("hooks", ("implements no hook",), "x = 1"),
    "hook raises": Broken(
        "contribute",
        ("egoscale_embodiments raised RuntimeError: no licence",),
        "@hookimpl\ndef egoscale_embodiments(): raise RuntimeError('no licence')",
    ),
    "hook exits": Broken(
        "contribute",
        ("egoscale_drivers raised SystemExit",),
        HAND + "\n@hookimpl\ndef egoscale_drivers(): raise SystemExit(1)",
    ),
    "hook returns nonsense": Broken(
        "contribute",
        ("egoscale_embodiments", "EmbodimentEntry", "'sharp/hand@1'"),
        "@hookimpl\ndef egoscale_embodiments(): return ['sharp/hand@1']",
    ),
    "entry with an unknown field": Broken(
        "contribute",
        ("EmbodimentEntry.speck",),
        "@hookimpl\ndef egoscale_embodiments(): return [EmbodimentEntry(id='broken/h@1', spec='a:b', speck=1)]",
    ),
    "duplicate id": Broken("contribute", ("'broken/hand@1'", "more than once"), TWICE),
    "foreign namespace": Broken("contribute", ("'other/hand@1'", "owns the namespace 'broken' only"), OTHER),
    "unversioned id": Broken(
        "contribute",
        ("'broken/hand' is not an id", "namespace/name@N"),
        "@hookimpl\ndef egoscale_embodiments(): return [EmbodimentEntry(id='broken/hand', spec='a:b')]",
    ),
    "newer SDK": Broken(
        "metadata", ("requires egoscale-sdk", "0.1.0 is installed"), "import no_such_package", ("egoscale-sdk>=99",)
    ),
    "older SDK": Broken("metadata", ("requires egoscale-sdk <0.0.1",), requires=("Egoscale_SDK<0.0.1",)),
    "malformed requirement": Broken("metadata", ("Requires-Dist", ">>1"), requires=("egoscale-sdk>>1",)),
}


OF_A_CROWD = (
    *("import error", "syntax error", "exit at import", "no such module", "malformed entry point"),
    *("foreign argument", "misspelt hook", "hook raises", "newer SDK", "malformed requirement"),
)


def install_crowd(site: Path, count: int = 100) -> dict[str, str]:
    """Install plugins ``crowd_000`` and so on, every tenth of them broken; returns the stage of each broken one."""
    stages = {}
    for number in range(count):
        namespace = f"crowd_{number:03}"
        if number % 10:
            install(site, namespace)
            continue
        case = CORPUS[OF_A_CROWD[number // 10 % len(OF_A_CROWD)]]
        install(site, namespace, case.code, requires=case.requires, target=case.target)
        stages[namespace] = case.stage
    return stages
