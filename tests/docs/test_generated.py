"""Parts of pages that follow from code are as the code has them now."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tools.docs.pages import ROOT, all_pages, generated_pages, part_names, refreshed
from tools.docs.parts import PARTS

PAGES = generated_pages()
REWRITE = "python -m tools.docs --write"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_current(page):
    unknown = [name for name in part_names(page) if name not in PARTS]
    assert not unknown, f"{page.name} asks for generated parts that nobody makes: {unknown}; known: {sorted(PARTS)}"
    assert refreshed(page) == page.read_text(encoding="utf-8"), f"{page.name} is stale; run: {REWRITE}"


def test_every_part_is_used():
    used = {name for page in PAGES for name in part_names(page)}
    assert set(PARTS) == used, f"made and shown nowhere: {set(PARTS) - used}"


def test_markers_come_in_pairs():
    for page in all_pages():
        text = page.read_text(encoding="utf-8")
        begun, ended = (len(re.findall(f"^<!-- {words}", text, re.MULTILINE)) for words in ("generated: ", "end of "))
        assert begun == ended == len(part_names(page)), f"{page.name} has {begun} beginnings and {ended} ends"


def test_the_command_finds_nothing_to_do():
    done = subprocess.run(
        [sys.executable, "-m", "tools.docs"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, ""), f"run: {REWRITE}\n{done.stdout}{done.stderr}"


def test_a_stale_page_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- generated: exit-codes -->\nstale words\n<!-- end of generated -->\nrest\n", encoding="utf-8")
    fresh = refreshed(page)
    assert "stale words" not in fresh and "| 7 |" in fresh and fresh.endswith("rest\n")
    page.write_text(fresh, encoding="utf-8")
    assert refreshed(page) == fresh, "refreshing twice must change nothing"
