"""The action fingerprints that a package commits, in ``fingerprints.toml``: ``"acme/hand@1" = "sha256:..."``."""

from __future__ import annotations

import tomllib
from importlib import resources

from egoscale_sdk.testing.check import Violation
from egoscale_sdk.testing.subject import Subject

FINGERPRINTS = "fingerprints.toml"


def place_of_fingerprints(subject: Subject) -> str:
    """Return where the fingerprint of an embodiment belongs: ``"package:fingerprints.toml"`` of its spec's package."""
    return f"{subject.entry.spec.partition(':')[0]}:{FINGERPRINTS}"


def read_fingerprints(place: str) -> dict[str, str] | None:
    """Return the fingerprints at a place by id; None where there is no such file.

    Raises:
        Violation: the file is not TOML.
    """
    try:
        text = resources.files(place.partition(":")[0]).joinpath(FINGERPRINTS).read_text("utf-8")
        return {str(id): str(value) for id, value in tomllib.loads(text).items()}
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Violation(f"{place} is not valid TOML: {error}") from None
