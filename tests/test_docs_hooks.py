"""docs/hooks.md has every hook, with its exact signature, and every field of the entries that hooks return."""

import inspect
import re
from pathlib import Path

import pytest

from egoscale_sdk.host import entries, hookspecs
from egoscale_sdk.host.loading import HOOKS
from egoscale_sdk.specs import Strict

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = (DOCS / "hooks.md").read_text()
ENTRIES = [kind for kind in vars(entries).values() if inspect.isclass(kind) and issubclass(kind, Strict)]


def signature(hook):
    return f"def {hook}{inspect.signature(getattr(hookspecs, hook))}".replace("'", "")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_on_the_page_with_its_exact_signature(hook):
    assert f"```python\n{signature(hook)}\n```" in TEXT


def test_the_page_has_no_hook_that_does_not_exist():
    assert set(re.findall(r"^def (egoscale_\w+)", TEXT, re.MULTILINE)) == set(HOOKS)


@pytest.mark.parametrize("entry", [kind for kind in ENTRIES if kind is not Strict], ids=lambda kind: kind.__name__)
def test_every_field_of_an_entry_is_explained(entry):
    section = next(part for part in TEXT.split("```python\n") if f"Sequence[{entry.__name__}]" in part.splitlines()[0])
    assert [field for field in entry.model_fields if f"`{field}`" not in section] == []
