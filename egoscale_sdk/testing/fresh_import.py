"""What importing a plugin's module brings with it, seen in a fresh Python."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache

from egoscale_sdk.testing.check import Violation

_TIMEOUT_S = 120
_CODE = """
import contextlib, importlib, io, json, sys
module, sys.path[:] = sys.argv[1], json.loads(sys.argv[2])
import egoscale_sdk.host
before, printed = set(sys.modules), io.StringIO()
with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
    importlib.import_module(module)
names = [name for name, module in sys.modules.items() if name not in before and getattr(module, "__spec__", None)]
print(json.dumps({"modules": names, "printed": printed.getvalue()}))
"""


@dataclass(frozen=True)
class FreshImport:
    """What an import added to ``sys.modules``, in order, beyond what ``egoscale_sdk.host`` needs; what it printed."""

    modules: tuple[str, ...]
    printed: str

    def foreign(self, own: str) -> list[str]:
        """Return the top-level packages that are neither of the standard library nor of the SDK nor ``own``.

        A heavy part of the SDK gives itself away by what it imports.
        """
        tops = dict.fromkeys(name.partition(".")[0] for name in self.modules)
        return [top for top in tops if top not in (own, "egoscale_sdk") and top not in sys.stdlib_module_names]


def fresh_import(module: str) -> FreshImport:
    """Import a module in a fresh Python with this one's search path; once for all checks.

    Raises:
        Violation: it cannot be imported there, or not within two minutes; shows the last line of its complaint.
    """
    return _fresh_import(module, tuple(sys.path))


@lru_cache(maxsize=8)
def _fresh_import(module: str, path: tuple[str, ...]) -> FreshImport:
    command = [sys.executable, "-P", "-c", _CODE, module, json.dumps(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise Violation(f"importing {module} takes more than {_TIMEOUT_S} s") from None
    if done.returncode:
        complaint = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise Violation(f"{module} cannot be imported in a fresh Python: {complaint}")
    found = json.loads(done.stdout.splitlines()[-1])
    return FreshImport(tuple(found["modules"]), found["printed"])
