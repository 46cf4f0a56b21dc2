"""The index of decisions, from the files themselves."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "adr"


def records() -> list[Path]:
    """All decision records, in order of their numbers."""
    return sorted(FOLDER.glob("[0-9][0-9][0-9][0-9]-*.md"))


def title(record: Path) -> str:
    """The first heading without its number.

    Raises:
        ValueError: the heading is not ``# NNNN. Title``.
    """
    first = record.read_text(encoding="utf-8").partition("\n")[0]
    match = re.fullmatch(r"# (\d{4})\. (.+)", first)
    if match is None or match[1] != record.name[:4]:
        raise ValueError(f"{record.name} must begin with '# {record.name[:4]}. Title', and begins with {first!r}")
    return match[2]


def index() -> str:
    """One line per record."""
    return "\n".join(f"- [{record.name[:4]}]({record.name}) {title(record)}" for record in records())
