"""Files that a package keeps beside its specs for the kit to read."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

from egoscale_sdk.testing.check import Violation
from egoscale_sdk.testing.subject import Subject


def place_beside_spec(subject: Subject, file: str) -> str:
    """Return where a file of an embodiment belongs: ``"package:file"`` of its spec's package."""
    return f"{subject.entry.spec.partition(':')[0]}:{file}"


def read_beside_spec(place: str) -> dict[str, Any] | None:
    """Return the TOML file at a place; None where there is no such file.

    Raises:
        Violation: the file is not TOML.
    """
    package, _, file = place.partition(":")
    try:
        return tomllib.loads(resources.files(package).joinpath(file).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Violation(f"{place} is not valid TOML: {error}") from None
