"""Discovery measured: what a hundred installed plugins, ten of them broken, add to `egoscale plugin list`.

Each figure is the median over whole processes: wall time, as a user waits, and processor time, which other work on the
machine does not change. `egoscale plugin list` imports every plugin module and prints a table.

    python benchmarks/discovery.py --json discovery.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.broken_plugins import install_crowd  # noqa: E402

IMPORT = ["-c", "import egoscale_sdk.host"]
LIST = ["-m", "egoscale_sdk", "plugin", "list"]
ROWS = {
    "import": "import egoscale_sdk.host",
    "list_alone": "egoscale plugin list, without them",
    "list": "egoscale plugin list, with all of them",
    "added": "more than the import",
}


def run(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Return wall and processor seconds of one process."""
    start, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *command], env=env, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return time.perf_counter() - start, used


def measure(repeats: int, plugins: int) -> dict[str, Any]:
    """Run the commands in turn, so that a busy moment hits all of them."""
    with TemporaryDirectory() as folder:
        broken = install_crowd(Path(folder), plugins)
        alone = {key: value for key, value in os.environ.items() if key not in ("EGOSCALE_PLUGINS", "EGOSCALE_STRICT")}
        crowded = alone | {"PYTHONPATH": folder}
        cases = {"import": (IMPORT, alone), "list_alone": (LIST, alone), "list": (LIST, crowded)}
        run(LIST, crowded)  # writes the byte code, as pip does
        runs = [{name: run(*case) for name, case in cases.items()} for _ in range(repeats)]
    found: dict[str, Any] = {"plugins": plugins, "broken": len(broken), "repeats": repeats}
    for number, kind in enumerate(("wall", "processor")):
        figures = {name: median(times[name][number] for times in runs) for name in cases}
        figures["added"] = figures["list"] - figures["import"]
        found[f"{kind}_s"] = {name: round(value, 3) for name, value in figures.items()}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return found | {"machine": machine, "load": round(os.getloadavg()[0], 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plugins", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure(options.repeats, options.plugins)
    print(
        f"{found['plugins']} plugins, {found['broken']} of them broken; median of {found['repeats']} processes, seconds"
    )
    print(f"{found['machine']}; {found['load']} processes ran or waited to\n")
    print(f"{'':<44}{'wall':>7}{'processor':>11}")
    for name, what in ROWS.items():
        print(f"{what:<44}{found['wall_s'][name]:7.2f}{found['processor_s'][name]:11.2f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
