"""The index of what was measured: results of the benchmarks, and the conformance matrix."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def index() -> str:
    """One line per page, with its heading."""
    pages = [*sorted((DOCS / "results").glob("*.md")), *DOCS.glob("conformance.md")]
    return "\n".join(f"- [{_title(page)}]({page.relative_to(DOCS).as_posix()})" for page in pages)


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ").strip()
