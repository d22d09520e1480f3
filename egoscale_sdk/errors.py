"""The tree of errors a user can meet; every message says what, where, what is allowed and what to do next."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from difflib import get_close_matches
from math import inf, isfinite


class EgoscaleError(Exception):
    """Base of every error that is the user's to mend; the command line prints it as one line and exits 2.

    Args:
        what: What is wrong, as a sentence without a final full stop.
        where: Plugin and distribution, file and field, or segment and row, if known.
        allowed: The values that would have been accepted, if they can be listed.
        hint: What to do next, ideally a command.
    """

    def __init__(self, what: str, *, where: str = "", allowed: Iterable[str] = (), hint: str = "") -> None:
        self.what, self.where, self.allowed, self.hint = what, where, tuple(allowed), hint
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.allowed:
            parts.append(f"allowed: {', '.join(self.allowed)}")
        if self.hint:
            parts.append(self.hint)
        return "; ".join(parts)


class SpecError(EgoscaleError):
    """A spec file, URDF or id is malformed."""


class UnknownIdError(EgoscaleError):
    """No installed plugin provides the id that was asked for."""


class PluginError(EgoscaleError):
    """A plugin could not be loaded or was refused; names plugin, distribution, version and stage."""


class DeclarationError(EgoscaleError):
    """A dataset's declaration is missing, malformed, newer than this SDK, or contradicts the installed plugin."""


class DataError(EgoscaleError):
    """Recorded data is missing, truncated, in wrong units or otherwise not usable as it is."""


class MissingExtraError(EgoscaleError):
    """An optional dependency is not installed; the hint is the pip line."""


class EngineError(EgoscaleError):
    """Work cannot be given to, or was not survived by, the workers of an engine."""


class RecipeError(EgoscaleError):
    """A training recipe is malformed or cannot be run on the given data."""


class CheckpointError(EgoscaleError):
    """A checkpoint is malformed, or disagrees with the robot or the dataset."""


class SafetyError(EgoscaleError):
    """The runtime refused an action: not finite, stale, or of the wrong shape."""


def is_users(error: OSError) -> bool:
    """Whether what the system refused is the user's to mend: it names a file, or nothing more can be written there."""
    return error.filename is not None or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the closest allowed name, or an empty string."""
    close = get_close_matches(name, list(allowed), n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def check_range(flag: str, value: float, low: float, high: float = inf) -> None:
    """Raise `EgoscaleError` unless ``low <= value <= high``."""
    if not low <= value <= high:
        allowed = f"{low:g} to {high:g}" if isfinite(high) else f"{low:g} and above"
        raise EgoscaleError(f"is {value:g}", where=flag, allowed=[allowed])


def require_extra(module: str, extra: str, purpose: str) -> None:
    """Raise `MissingExtraError` with the pip line unless ``module`` can be imported."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise MissingExtraError(
            f"{purpose} needs the package '{module}', which is not installed",
            hint=f"run: pip install 'egoscale-sdk[{extra}]'",
        )
