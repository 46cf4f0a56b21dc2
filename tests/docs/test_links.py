"""Every link within the repository leads somewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tools.docs.markdown import anchors, links
from tools.docs.pages import ROOT, all_pages


def _problem(page: Path, link: str) -> str:
    parts = urlsplit(link)
    if parts.scheme:
        return "" if parts.scheme == "https" and parts.netloc else "neither https nor a path"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(ROOT):
        return "leads out of the repository"
    if not target.exists():
        return "there is no such file"
    if parts.fragment and parts.fragment not in anchors(target.read_text(encoding="utf-8")):
        return "there is no such heading"
    return ""


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    broken = {link: found for link in links(page.read_text(encoding="utf-8")) if (found := _problem(page, link))}
    assert not broken, f"links of {page.relative_to(ROOT)} that lead nowhere: {broken}"


def test_every_page_of_the_guide_can_be_found():
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / urlsplit(link).path).resolve() for link in links(index.read_text(encoding="utf-8"))}
    guide = set((ROOT / "docs" / "guide").glob("*.md"))
    assert guide <= linked, f"no link in docs/README.md leads to {sorted(page.name for page in guide - linked)}"


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ("README.md", ""),
        ("README.md#exit-codes", ""),
        ("README.md#no-such-heading", "there is no such heading"),
        ("nothing.md", "there is no such file"),
        ("../outside.md", "leads out of the repository"),
        ("http://example.org", "neither https nor a path"),
        ("https://example.org/x", ""),
    ],
)
def test_the_judge_itself(link, wanted):
    assert _problem(ROOT / "CONTRIBUTING.md", link) == wanted
