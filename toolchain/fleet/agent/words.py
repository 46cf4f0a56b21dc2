"""Text from outside, made fit for a line of a log, a terminal or a report."""

from __future__ import annotations

#: Characters of a line, at most; what a report carries as a detail.
MOST = 1000


def one_line(text: str) -> str:
    """Without characters that cannot be printed, 1000 characters at most."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:MOST]
