"""On which line of a TOML document each key and list element stands.

``tomllib`` parses; this module only locates, and expects a document that ``tomllib`` accepts. It
walks the grammar of TOML 1.0 (https://toml.io/en/v1.0.0) far enough to know where keys and values
begin, and leaves what they mean (escapes in keys included) to ``tomllib``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence

#: Keys are strings, positions in arrays and arrays of tables are integers from 0.
KeyPath = tuple[str | int, ...]

_SIMPLE_KEY = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"{_SIMPLE_KEY}(?:[ \t]*\.[ \t]*{_SIMPLE_KEY})*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'''"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:'{0,2})|"(?:[^"\\]|\\.)*"|'[^']*\'''', re.DOTALL
)
_SCALAR = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^,\]}\s#]+|[^,\]}\s#]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every key path in a valid document.

    A table that only its sub-tables mention has the line of the first of them; a table or an array
    element has the line where it starts.
    """
    return _Locator(text).walk()


def nearest_line(lines: Mapping[KeyPath, int], path: Sequence[str | int]) -> int | None:
    """The line of ``path``, or of what encloses it most closely; None when nothing does."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(tuple(path[:length]))) is not None:
            return line
    return None


class _Locator:
    """One pass over the text. ``at`` is the position; every path is written down when it is met."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.counted = (0, 1)
        self.lines: dict[KeyPath, int] = {}
        self.elements: dict[KeyPath, int] = {}

    def walk(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._blank()
        while self.at < len(self.text):
            table = self._header() if self._sees("[") else self._pair(table)
            self._blank()
        return self.lines

    def _header(self) -> KeyPath:
        line, is_array = self._line(), self._sees("[[")
        self._step("[[" if is_array else "[")
        keys = self._keys()
        self._blank()
        self._step("]]" if is_array else "]")
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._inside((*path, key), line)
        path = (*path, keys[-1])
        return self._new_element(path, line) if is_array else self._note(path, line)

    def _inside(self, path: KeyPath, line: int) -> KeyPath:
        """A step on the way to a header's last key: into the newest element of an array of tables."""
        self.lines.setdefault(path, line)
        return (*path, self.elements[path] - 1) if path in self.elements else path

    def _new_element(self, path: KeyPath, line: int) -> KeyPath:
        self.lines.setdefault(path, line)
        index = self.elements.get(path, 0)
        self.elements[path] = index + 1
        return self._note((*path, index), line)

    def _pair(self, table: KeyPath) -> KeyPath:
        """``key = value``, dotted keys included. Returns the table again."""
        line, path = self._line(), table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._blank()
        self._step("=")
        self._value(path)
        return table

    def _value(self, path: KeyPath) -> None:
        if self._sees("["):
            self._array(path)
        elif self._sees("{"):
            self._inline_table(path)
        else:
            self._take(_STRING if self._sees('"', "'") else _SCALAR)

    def _array(self, path: KeyPath) -> None:
        index = 0
        self._step("[")
        while not self._sees("]"):
            self._value(self._note((*path, index), self._line()))
            self._separator()
            index += 1
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._step("{")
        while not self._sees("}"):
            self._pair(path)
            self._separator()
        self.at += 1

    def _separator(self) -> None:
        self._blank()
        if self._sees(","):
            self._step(",")

    def _keys(self) -> list[str]:
        """The parts of a key, with ``tomllib`` undoing quotes and escapes."""
        keys: list[str] = []
        tree = tomllib.loads(self._take(_KEY) + " = 0")
        while isinstance(tree, dict):
            ((key, tree),) = tree.items()
            keys.append(key)
        return keys

    def _note(self, path: KeyPath, line: int) -> KeyPath:
        self.lines[path] = line
        return path

    def _line(self) -> int:
        before, line = self.counted
        self.counted = (self.at, line + self.text.count("\n", before, self.at))
        return self.counted[1]

    def _sees(self, *beginnings: str) -> bool:
        return self.text.startswith(beginnings, self.at)

    def _step(self, mark: str) -> None:
        self.at += len(mark)
        self._blank()

    def _blank(self) -> None:
        self._take(_BLANK)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"not TOML at line {self._line()}: {self.text[self.at : self.at + 20]!r}")
        self.at = match.end()
        return match.group()
