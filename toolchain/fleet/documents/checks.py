"""What names, hashes, paths and counts may look like: used by every document when it is made or read."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Characters of a path within a bundle, at most.
MOST_PATH = 240


def name(value: str, what: str) -> None:
    """Lower case letters, digits, dots, hyphens, underscores; 64 at most; a letter or digit at both ends.

    Raises:
        ValueError: it is not.
    """
    if not _NAME.fullmatch(value):
        raise ValueError(f"{what} '{value[:80]}' must be of a-z 0-9 . _ -, 64 at most, a letter or digit at both ends")


def sha256(value: str, what: str) -> None:
    """64 lower case hexadecimal digits.

    Raises:
        ValueError: it is not.
    """
    if not _SHA256.fullmatch(value):
        raise ValueError(f"{what} '{value[:80]}' is no SHA-256")


def path(value: str, what: str) -> None:
    """A relative path with forward slashes that stays where it is unpacked.

    Raises:
        ValueError: it is not.
    """
    parts = value.split("/")
    bad = any(part in ("", ".", "..") or part[0] in " ~" or part[-1] in " ." for part in parts)
    if bad or len(value) > MOST_PATH or re.search(r'[\x00-\x1f\x7f\\:*?"<>|]', value):
        raise ValueError(f"{what} '{value[:80]}' is no path below a folder")


def whole(value: int, what: str) -> None:
    """A count that a database keeps and every JSON reader reads: 0 to 2^53.

    Raises:
        ValueError: it is not.
    """
    between(value, 0, 1 << 53, what)


def printable(value: str, what: str) -> None:
    """Text without control characters, C1 and DEL among them, and without those that change the reading direction.

    Raises:
        ValueError: it is not.
    """
    if not value.isprintable():
        raise ValueError(f"{what} has characters that cannot be printed: {value[:40]!a}")


def between(value: float, low: float, high: float, what: str) -> None:
    """A number within limits.

    Raises:
        ValueError: it is not.
    """
    if not low <= value <= high:
        raise ValueError(f"{what} is {str(value)[:40]}, allowed {low:g} to {high:g}")  # a huge whole number is no float
