"""What a closed-loop evaluation leaves behind: counts, p-values and film strips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from egoscale_sdk.runtime.rollout import Outcome, fisher_greater

TRAINED = "trained"


def summarise(outcomes: Mapping[str, Sequence[Outcome]], placeholder_state: bool) -> dict[str, Any]:
    """Return counts of the trained policy and of every baseline, and how likely the difference is chance.

    ``p_value``: one-sided Fisher, that the trained policy succeeds more often.
    """
    trained = outcomes[TRAINED]
    n, successes = len(trained), _successes(trained)
    others = {name: runs for name, runs in outcomes.items() if name != TRAINED}
    return {
        "n": n,
        "successes": successes,
        "placeholder_state": placeholder_state,
        "baselines": {
            name: {
                "n": len(runs),
                "successes": _successes(runs),
                "p_value": fisher_greater(successes, n, _successes(runs), len(runs)),
            }
            for name, runs in others.items()
        },
        "episodes": {name: [_episode(outcome) for outcome in runs] for name, runs in outcomes.items()},
    }


def save_films(folder: Path, outcomes: Mapping[str, Sequence[Outcome]]) -> None:
    """Write every film as one strip, ``<kind>_<seed>_<lifted|failed>.jpg``, its pictures side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, runs in outcomes.items():
        for outcome in (run for run in runs if run.film):
            strip = np.ascontiguousarray(np.concatenate(outcome.film, axis=1))
            word = "lifted" if outcome.success else "failed"
            data = simplejpeg.encode_jpeg(strip, quality=90, colorsubsampling="444")
            (folder / f"{name}_{outcome.seed}_{word}.jpg").write_bytes(data)


def _successes(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.success for outcome in outcomes)


def _episode(outcome: Outcome) -> dict[str, Any]:
    return {
        "seed": outcome.seed,
        "success": outcome.success,
        "seconds": outcome.seconds,
        "fault": outcome.fault,
        "refused": outcome.refused,
    }
