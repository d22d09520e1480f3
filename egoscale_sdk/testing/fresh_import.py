"""What loading a plugin brings with it and what it prints, seen in a fresh Python."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from egoscale_sdk.host.discovery import PluginSource

_TIMEOUT_S = 120
_MARK = "egoscale: from here on it is the plugin that prints"
_CODE = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from egoscale_sdk.host.discovery import PluginSource
from egoscale_sdk.host.loading import PluginFailure, load_plugin
source, mark, answer = PluginSource(*json.loads(sys.argv[1])), sys.argv[3], sys.argv[4]
before = set(sys.modules)
for stream in (sys.stdout, sys.stderr):
    print(mark, file=stream, flush=True)
loaded = load_plugin(source)
names = [name for name, module in sys.modules.items() if name not in before and getattr(module, "__spec__", None)]
problem = f"stage {loaded.stage}: {loaded.problem}" if isinstance(loaded, PluginFailure) else ""
with open(answer, "w") as file:
    json.dump({"modules": names, "problem": problem}, file)
"""


@dataclass(frozen=True)
class FreshImport:
    """What importing a plugin and calling its hooks did.

    Attributes:
        modules: What it added to ``sys.modules``, in order, beyond what ``egoscale_sdk.host`` needs.
        printed: What came out of the process, by whatever way, until it had ended.
        problem: Why the plugin was refused there; empty where it was not.
    """

    modules: tuple[str, ...]
    printed: str
    problem: str

    def foreign(self, own: str) -> list[str]:
        """Return the top-level packages that are neither of the standard library nor of the SDK nor ``own``.

        A heavy part of the SDK gives itself away by what it imports.
        """
        tops = dict.fromkeys(name.partition(".")[0] for name in self.modules)
        return [top for top in tops if top not in (own, "egoscale_sdk") and top not in sys.stdlib_module_names]


def fresh_import(source: PluginSource) -> FreshImport:
    """Load a plugin, hooks included, in a fresh Python with this one's search path; once for all checks."""
    return _fresh_import(source, tuple(sys.path))


@lru_cache(maxsize=8)
def _fresh_import(source: PluginSource, path: tuple[str, ...]) -> FreshImport:
    told = [source.namespace, source.distribution, source.version, source.plugin, source.requires]
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-P", "-c", _CODE, json.dumps(told), json.dumps(path), _MARK, str(answer)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return FreshImport((), "", f"it takes more than {_TIMEOUT_S} s")
        printed = "".join(_after_mark(stream) for stream in (done.stdout, done.stderr))
        if not answer.is_file():
            complaint = (printed.strip() or "it says nothing").splitlines()[-1]
            return FreshImport((), printed, f"it ends Python with exit code {done.returncode}: {complaint}")
        found = json.loads(answer.read_text())
    return FreshImport(tuple(found["modules"]), printed, found["problem"])


def _after_mark(stream: bytes) -> str:
    """What was printed before the mark, e.g. by Python at its start, is not the plugin's."""
    text = stream.decode(errors="replace").replace("\r\n", "\n")
    return text.partition(f"{_MARK}\n")[2] or text.partition(_MARK)[2]
