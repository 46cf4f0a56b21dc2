"""Decision records have their four parts, numbers without gaps, and stay short."""

from __future__ import annotations

import re

import pytest

from tools.docs.adrs import records, title

PARTS = ["Context", "Options", "Decision", "Cost"]
WORDS = 500


@pytest.mark.parametrize("record", records(), ids=lambda record: record.stem)
def test_form(record):
    text = record.read_text(encoding="utf-8")
    assert title(record), "a record has a title"
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS, f"{record.name} must have the parts {PARTS}"
    assert len(text.split()) <= WORDS, f"{record.name} has more than {WORDS} words: say it shorter"


def test_numbers_have_no_gaps():
    numbers = [int(record.name[:4]) for record in records()]
    assert numbers == list(range(1, len(numbers) + 1)), f"the numbers are {numbers}"
