"""Fixtures that many tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is slow, not wrong: no test depends on the clock.
settings.register_profile("egoscale", deadline=None, max_examples=50)
settings.load_profile("egoscale")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real recordings and vendor files beside the project; skips where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs ../shared (real recordings and vendor files), which is not beside this checkout")
    return SHARED
