"""``egoscale demo``: the whole path on this machine, each step an ordinary command."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import arg


def demo(
    out: str = "demo",
    episodes: int = 300,
    steps: int = 2000,
    rollouts: Annotated[int, arg(aliases=["-n"])] = 20,
    recipe: str = "tiny",
    cast: str = "egoscale_embodiments:demo.toml",
    quiet: Annotated[bool, arg(aliases=["-q"])] = False,
) -> None:
    """Record a simulated person and robot hands, import, retarget, train one policy, run it, and write a report.

    Nothing is downloaded. Every step is a command of its own, printed before it runs, so that it can be repeated alone.
    With the defaults it takes about ten minutes on two cores and ends with the path of report.html.

    Examples:
        egoscale demo
        egoscale demo --out small --episodes 20 --steps 50 -n 2

    Args:
        out: Folder for everything; one that an earlier demo made is replaced.
        episodes: Demonstrations of the person and of each robot hand.
        steps: Training steps.
        rollouts: Closed-loop episodes of each kind for each hand.
        recipe: Training recipe.
        cast: Who takes part, as package:file.
        quiet: No progress.
    """
    from pathlib import Path

    from egoscale_sdk.cli.console import say
    from egoscale_sdk.cli.demo_report import write_report
    from egoscale_sdk.cli.demo_steps import Demo, fresh_folder, read_cast
    from egoscale_sdk.errors import check_range

    for flag, value in (("--episodes", episodes), ("--steps", steps), ("-n", rollouts)):
        check_range(flag, value, 1)
    folder = fresh_folder(Path(out))
    run = Demo(folder, read_cast(cast), quiet=quiet)
    run.record(episodes)
    run.import_all()
    run.retarget()
    run.train(recipe, steps)
    run.evaluate(rollouts)
    say(f"the demo took {run.seconds / 60:.1f} minutes", quiet=quiet)
    print(f"report: {write_report(run)}")
