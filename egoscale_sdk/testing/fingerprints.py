"""The action fingerprints that a package commits, in ``fingerprints.toml``: ``"acme/hand@1" = "sha256:..."``."""

from __future__ import annotations

from egoscale_sdk.testing.beside_spec import place_beside_spec, read_beside_spec
from egoscale_sdk.testing.subject import Subject

FINGERPRINTS = "fingerprints.toml"


def place_of_fingerprints(subject: Subject) -> str:
    """Return where the fingerprint of an embodiment belongs: ``"package:fingerprints.toml"`` of its spec's package."""
    return place_beside_spec(subject, FINGERPRINTS)


def read_fingerprints(place: str) -> dict[str, str] | None:
    """Return the fingerprints at a place by id; None where there is no such file.

    Raises:
        Violation: the file is not TOML.
    """
    written = read_beside_spec(place)
    return None if written is None else {str(id): str(value) for id, value in written.items()}
