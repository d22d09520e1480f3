"""docs/contract.md and the kit say the same: one heading per check, with its level and its clause."""

import re
from pathlib import Path

from egoscale_sdk.testing.checks import all_checks

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "contract.md").read_text()
CLAUSES = {id: (level, title) for id, level, title in re.findall(r"^### (\w+) · (\w+) · (.+)$", TEXT, re.MULTILINE)}


def test_every_check_is_one_clause_and_every_clause_one_check():
    assert {check.id: (check.level, check.title) for check in all_checks()} == CLAUSES


def test_clauses_stand_in_the_order_of_the_kit():
    assert list(CLAUSES) == [check.id for check in all_checks()]


def test_every_clause_is_explained():
    for section in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        assert len(body.split("\n## ")[0].strip()) > 40, heading
