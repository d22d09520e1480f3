"""The house keeps its shape: imports run one way, the core names no robot, and nothing loads code from data."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "egoscale_sdk"
MODULES = sorted(CORE.rglob("*.py"))
SHIPPED = [*MODULES, *sorted((ROOT / "plugins").rglob("*.py")), *sorted((ROOT / "embodiments").rglob("*.py"))]

# Imports go down only: a module imports its own package and what is in a row above it. `hands` stands after the
# interfaces because its action space implements one; `data` after kinematics because importers turn arms into wrists.
LAYERS = (
    {"errors", "geometry", "progress", "__version__"},
    {"ids", "engine"},
    {"specs"},
    {"interfaces"},
    {"hands"},
    {"kinematics"},
    {"host", "data"},
    {"builtin", "retargeting", "policy", "sim", "viewer", "drivers"},
    {"testing"},
    {"scaffold"},
    {"training", "runtime"},
    {"cli"},
    {"__main__"},
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

# Each outside package is met in one place, behind an interface of our own.
OWNERS = {
    "pluggy": {"host"},
    "tyro": {"cli"},
    "rich": {"cli"},
    "pytorch_kinematics": {"kinematics"},
    "mujoco": {"sim"},
    "zarr": {"data"},
    "obstore": {"data"},
    "ray": {"engine"},
    "transformers": {"policy"},
    "tokenizers": {"policy"},
    "accelerate": {"training"},
    "matplotlib": {"viewer"},
}

ROBOTS = (
    *("sharpa", "unitree", "dex3", "g1", "inspire", "panda", "franka", "robotiq", "2f85", "wsg", "wsg50", "schunk"),
    *("galaxea", "r1pro", "allegro", "leaphand", "xarm", "ur5", "ur10", "aloha", "gr1", "fourier", "kinova", "sawyer"),
)
ROBOT = re.compile(rf"(?<![a-z0-9])({'|'.join(ROBOTS)})(?![a-z0-9])", re.IGNORECASE)

UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
UNSAFE_NAMES = {"eval", "exec", "compile", "__import__"}
UNSAFE_CALLS = {"torch.load", "os.system", "os.popen", "yaml.load", "joblib.load"}
UNSAFE_FLAGS = {"shell", "trust_remote_code", "allow_pickle"}


def part_of(file: Path) -> str:
    return file.relative_to(CORE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of everything that is imported anywhere in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unsafe(tree: ast.AST) -> Iterator[str]:
    """Yield what a module uses that can run code which is found in data."""
    for name in imports(tree):
        if name.split(".")[0] in UNSAFE_MODULES or name in UNSAFE_CALLS:
            yield name
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_NAMES:
            yield node.func.id
        if isinstance(node, ast.Attribute) and ast.unparse(node) in UNSAFE_CALLS:
            yield ast.unparse(node)
        if isinstance(node, ast.keyword) and node.arg in UNSAFE_FLAGS and ast.unparse(node.value) != "False":
            yield f"{node.arg}={ast.unparse(node.value)}"


def test_every_part_has_its_layer() -> None:
    assert {part_of(file) for file in MODULES} - {"__init__"} <= set(LEVEL)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(CORE)))
def test_imports_run_one_way(file: Path) -> None:
    part = part_of(file)
    for name in imports(ast.parse(file.read_text())):
        package, _, rest = name.partition(".")
        other = rest.split(".")[0]
        if package == "egoscale_sdk" and other and other != part:
            assert LEVEL[other] < LEVEL[part], f"{part} must not import {name}"
        if package in OWNERS:
            assert part in OWNERS[package], f"{package} is imported in {OWNERS[package]} only"


@pytest.mark.parametrize("file", sorted(file for file in CORE.rglob("*") if file.is_file() and file.suffix != ".pyc"))
def test_the_core_names_no_robot(file: Path) -> None:
    lines = enumerate(file.read_text().splitlines(), start=1)
    assert [f"{number}: {line.strip()}" for number, line in lines if ROBOT.search(line)] == []
    assert not ROBOT.search(str(file.relative_to(CORE)))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_loads_code_from_data(file: Path) -> None:
    assert list(unsafe(ast.parse(file.read_text()))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import torch; torch.load('x')",
        "from torch import load",
        "eval('1')",
        "import subprocess; subprocess.run('x', shell=True)",
        "AutoModel.from_pretrained('x', trust_remote_code=flag)",
        "numpy.load('x', allow_pickle=True)",
    ],
)
def test_the_check_finds_what_it_looks_for(code: str) -> None:
    assert list(unsafe(ast.parse(code)))


@pytest.mark.parametrize("code", ["model.eval()", "subprocess.run(['x'], shell=False)", "re.compile('x')"])
def test_the_check_leaves_the_rest_alone(code: str) -> None:
    assert list(unsafe(ast.parse(code))) == []


def test_the_word_list_finds_robots_only() -> None:
    assert all(ROBOT.search(text) for text in ("acme on g1_dex3", "Inspire hand", "a Panda", "2F85"))
    assert not ROBOT.search("inspired by, pandas, expandable, g10, seagull")


def test_plugins_import_public_names_only() -> None:
    """What a plugin needs is exported by the packages of the waist; it imports no submodule and no private name."""
    public = {f"egoscale_sdk.{part}" for part in ("host", "specs", "interfaces", "errors", "hands", "geometry")}
    public |= {f"egoscale_sdk.{part}" for part in ("kinematics", "retargeting", "testing")}
    for file in sorted((ROOT / "plugins").glob("*/egoscale_*/**/*.py")):
        for name in imports(ast.parse(file.read_text())):
            if name.startswith("egoscale_sdk"):
                module, _, attribute = name.rpartition(".")
                assert module in public, f"{file.name}: {name}"
                assert not attribute.startswith("_")
