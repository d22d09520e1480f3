"""Which back end retargets a dataset when nobody says."""

from __future__ import annotations

from egoscale_sdk.data import Dataset
from egoscale_sdk.retargeting.kernels.build import BuildError, compiler
from egoscale_sdk.specs import EmbodimentSpec

LONG_HAND_FRAMES = 300_000  # from here on kernels win back the time that compiling them takes


def possible_backend(backend: str) -> tuple[str, str]:
    """Return the back end that was asked for, or eager where kernels cannot be compiled, and why."""
    if backend == "simd":
        try:
            compiler()
        except BuildError as error:
            return "eager", str(error)
    return backend, ""


def choose_backend(dataset: Dataset, target: EmbodimentSpec, name: str, device: str | None) -> tuple[str, str]:
    """Return the back end for an action set: the one that it has, so that all of it has the same bits.

    Also why, in a few words; nothing where the work is too short for kernels to be worth a thought.

    Args:
        dataset: Of people.
        target: Whose hands are wanted.
        name: Of the action set, which may exist.
        device: Where it is computed; None is the CPU.
    """
    for made in dataset.declaration.action_sets:
        if made.name == name and made.retargeting is not None and "backend" in made.retargeting.parameters:
            return str(made.retargeting.parameters["backend"]), f"what action set {name!r} was begun with"
    if device not in (None, "cpu"):
        return "eager", f"the default on {device}"
    sides = {hand.side for hand in target.hands} & set(dataset.declaration.native.layout.sides)
    frames = len(sides) * sum(dataset.missing_segments(name).values())
    if frames <= LONG_HAND_FRAMES:
        return "eager", ""
    try:
        compiler()
    except BuildError as error:
        return "eager", f"{error}; with one, {frames:,} hand-frames take a tenth of the time"
    return "simd", f"up to {frames:,} hand-frames; its kernels are compiled first, some 20 s, once for a hand"
