"""Which pages there are, and the parts of them that are generated.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end of generated -->``; NAME is a
key of :data:`tools.docs.parts.PARTS`.
"""

from __future__ import annotations

import re
from pathlib import Path

from tools.docs.parts import PARTS

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("docs", "examples", "kernels", "benchmarks")
_PART = re.compile(r"^(<!-- generated: ([\w-]+) -->\n).*?^(<!-- end of generated -->)", re.DOTALL | re.MULTILINE)


def all_pages() -> list[Path]:
    """Every Markdown page of the repository, sorted."""
    found = [*ROOT.glob("*.md"), *(page for folder in _FOLDERS for page in (ROOT / folder).rglob("*.md"))]
    return sorted(found)


def generated_pages() -> list[Path]:
    """Pages with at least one generated part."""
    return [page for page in all_pages() if _PART.search(page.read_text(encoding="utf-8"))]


def part_names(page: Path) -> list[str]:
    """The names of a page's generated parts, known or not."""
    return [match.group(2) for match in _PART.finditer(page.read_text(encoding="utf-8"))]


def refreshed(page: Path) -> str:
    """The page's text with its generated parts as the code has them now.

    Raises:
        KeyError: a part of a name that nobody makes.
    """
    return _PART.sub(lambda match: f"{match[1]}\n{PARTS[match[2]]()}\n\n{match[3]}", page.read_text(encoding="utf-8"))
