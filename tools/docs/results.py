"""The index of what was measured: results of the benchmarks, and the conformance matrix."""

from __future__ import annotations

import itertools
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: Rows of a table that are shown outside its own page.
ROWS = 16


def index() -> str:
    """One line per page, with its heading."""
    pages = [*sorted((DOCS / "results").glob("*.md")), *DOCS.glob("conformance.md")]
    return "\n".join(f"- [{_title(page)}]({page.relative_to(DOCS).as_posix()})" for page in pages)


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ").strip()


def tables() -> str:
    """The first table of every benchmark with its claim, and the machine that it was measured on."""
    parts = []
    for page in sorted((DOCS / "results").glob("*.md")):
        lines = page.read_text(encoding="utf-8").splitlines()
        rest = itertools.dropwhile(lambda line: not line.startswith("|"), lines)
        rows = list(itertools.takewhile(lambda line: line.startswith("|"), rest))
        measured = next(line.removeprefix("- ") for line in lines if line.startswith("- Measured on"))
        link = f"[Method and versions](docs/results/{page.name})."
        more = [f"And {len(rows) - ROWS - 2} more."] if len(rows) > ROWS + 2 else []
        end = " ".join([*more, measured, link])
        parts.append("\n".join([f"**{_title(page)}.** {lines[2]}", "", *rows[: ROWS + 2], "", end]))
    return "\n\n".join(parts)
