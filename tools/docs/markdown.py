"""As much of Markdown as the documentation uses: tables out, code blocks, links and anchors in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

_NOTE = re.compile(r"<!-- ([a-z ]+): (.*?) -->\s*")
_FENCE = re.compile(r"(`{3,})(\w*)\s*")
_LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_ATTRIBUTE = re.compile(r"(?:src|srcset|href)=\"([^\"]+)\"")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        language: the word behind the fence.
        text: what is inside, with a line end.
        line: of the opening fence, from 1.
        notes: ``<!-- key: value -->`` comments right above it.
    """

    language: str
    text: str
    line: int
    notes: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Command:
    """A line after ``$``, and the lines of output that the page shows below it."""

    text: str
    output: tuple[str, ...]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of the GitHub dialect."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(words: Sequence[str]) -> str:
    """Words as code, with commas between them."""
    return ", ".join(f"`{word}`" for word in words)


def blocks(page: str) -> Iterator[Block]:
    """All fenced blocks of a page, in order."""
    notes: dict[str, str] = {}
    opened: tuple[str, str, int, list[str]] | None = None
    for number, line in enumerate(page.splitlines(), start=1):
        if opened is not None:
            if line.strip() == opened[0]:
                yield Block(opened[1], "".join(f"{each}\n" for each in opened[3]), opened[2], notes)
                opened, notes = None, {}
            else:
                opened[3].append(line)
        elif match := _FENCE.fullmatch(line):
            opened = (match[1], match[2], number, [])
        elif match := _NOTE.fullmatch(line):
            notes = {**notes, match[1]: match[2]}
        elif line.strip():
            notes = {}


def commands(block: Block) -> list[Command]:
    """The commands of a ``console`` block; a backslash at the end of a line continues it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip() and found:
            found[-1][1].append(line.strip())
    return [Command(text, tuple(output)) for text, output in found]


def without_code(page: str) -> str:
    """The page with code blocks, code spans and comments taken out."""
    prose = re.sub(r"^(`{3,})\w*\s*$.*?^\1\s*$", "", page, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"<!--.*?-->", "", re.sub(r"`[^`\n]+`", "", prose), flags=re.DOTALL)


def links(page: str) -> list[str]:
    """Every target of a link or picture, in order."""
    prose = without_code(page)
    return [*_LINK.findall(prose), *_ATTRIBUTE.findall(prose)]


def anchors(page: str) -> set[str]:
    """What ``#...`` may name on a page, made from its headings as GitHub does."""
    prose = re.sub(r"^(`{3,})\w*\s*$.*?^\1\s*$", "", page, flags=re.DOTALL | re.MULTILINE)
    found: dict[str, int] = {}
    for title in re.findall(r"^#+ +(.+?)\s*$", prose, flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return set(found)
