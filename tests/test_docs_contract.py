"""docs/contract.md and the kit say the same: one heading per check, with its level and its clause."""

import importlib.util
import re
import textwrap
from pathlib import Path

from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.fakes import good
from egoscale_sdk.testing.run import CheckResult, Report, Section, run_check

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs/contract.md").read_text()
CLAUSES = {id: (level, title) for id, level, title in re.findall(r"^### (\w+) · (\w+) · (.+)$", TEXT, re.MULTILINE)}


def test_every_check_is_one_clause_and_every_clause_one_check():
    assert {check.id: (check.level, check.title) for check in all_checks()} == CLAUSES


def test_clauses_stand_in_the_order_of_the_kit():
    assert list(CLAUSES) == [check.id for check in all_checks()]


def test_every_clause_is_explained():
    for section in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        assert len(body.split("\n## ")[0].strip()) > 40, heading


def test_contributing_shows_a_check_that_runs(tmp_path):
    code = textwrap.dedent(
        re.search(r"^   ```python\n(.*?)^   ```", (ROOT / "CONTRIBUTING.md").read_text(), re.S | re.M)[1]
    )
    imports = [
        "import numpy as np",
        "from egoscale_sdk.testing.check import Violation, check",
        "from egoscale_sdk.testing.subject import Subject",
    ]
    (tmp_path / "shown_check.py").write_text("\n".join([*imports, code]))
    spec = importlib.util.spec_from_file_location("shown_check", tmp_path / "shown_check.py")
    shown = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shown)
    result = run_check(shown.hands_are_hand_sized, good())
    assert (result.id, result.status) == ("KIN099", "passed"), result.detail


def test_the_json_page_names_every_key_of_a_score_card():
    text = (ROOT / "docs/json-outputs.md").read_text().split("## plugin check")[1].split("\n## ")[0]
    keys = {key for model in (Report, Section, CheckResult) for key in model.model_fields}
    assert sorted(key for key in keys if not re.search(rf"[`{{ ]{key}[`,}}]", text)) == []
