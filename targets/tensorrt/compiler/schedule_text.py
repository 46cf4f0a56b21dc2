"""The text that TensorRT-RTX keeps of its schedule inside a serialized engine, as plain items.

With detailed profiling verbosity an engine holds, for every graph that was compiled, a block: the bytes ``NLYM``, a
version (32 bits), a length (64 bits, both little-endian), and that many bytes of text such as

    header { version = 5 region = { name=devmem size=8192 place=accelerator } accelerators={sm86 } }
    descriptors { tensor={ dims={ 1 10 } name="x" type=float } }
    main { label bb1: corrltn={ name="conv" output={"y"} input={"x" "w"} layers="[ONNX Layer: conv]" } }

The format is not documented; what is written here was found with version 1.7. Whatever the bytes are, reading them
takes time and memory in proportion to their number, of which at most :data:`MOST_TEXT` are read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

#: Bytes of schedule text that are read of one engine.
MOST_TEXT = 1 << 23
_DEEPEST = 16
_MAGIC = b"NLYM"
_START = b"header {"
_TOKEN = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)\\?(?:"|\Z)|([{}=])|([^\s{}="]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

#: One entry of a group: its key, or an empty string for a bare word, and its value: a word, or a group's entries.
Item = tuple[str, Any]


class ScheduleTextError(ValueError):
    """A text that is no schedule."""


def texts(engine: bytes) -> Iterator[str]:
    """The text of every block, in the order of the file.

    Raises:
        ScheduleTextError: more than :data:`MOST_TEXT` bytes.
    """
    position, total = 0, 0
    while (found := engine.find(_START, position)) >= 0:
        length = _length(engine, found)
        total += length
        if total > MOST_TEXT:
            raise ScheduleTextError(f"more than {MOST_TEXT:,} B of text")
        yield engine[found : found + length].decode("utf-8", errors="replace")
        position = found + max(length, len(_START))


def _length(engine: bytes, start: int) -> int:
    """Of the text at ``start``: as its block says, or else up to the first zero byte."""
    if start >= 16 and engine[start - 16 : start - 12] == _MAGIC:
        (length,) = struct.unpack_from("<Q", engine, start - 8)
        if 0 < length <= len(engine) - start:
            return int(length)
    end = engine.find(b"\0", start)
    return (len(engine) if end < 0 else end) - start


def parse(text: str) -> list[Item]:
    """The items of a text: ``a=1 b={ x "y" } c { }`` is ``[("a", "1"), ("b", [("", "x"), ("", "y")]), ("c", [])]``.

    A closing brace too many is passed over, one too few is added at the end.

    Raises:
        ScheduleTextError: groups within groups, more than 16 deep.
    """
    items: list[Item] = []
    stack = [items]
    key, word = "", ""
    for match in _TOKEN.finditer(text):
        quoted, mark, bare = match.groups()
        if mark == "=":
            key, word = word, ""
        elif mark == "{":
            group: list[Item] = []
            stack[-1].append((key or word, group))
            stack.append(group)
            if len(stack) > _DEEPEST:
                raise ScheduleTextError(f"groups nested more than {_DEEPEST} deep")
            key, word = "", ""
        else:
            _put(stack[-1], "", word)
            word = ""
            if mark == "}":
                key = ""
                if len(stack) > 1:
                    stack.pop()
            elif key:
                stack[-1].append((key, _value(quoted, bare)))
                key = ""
            elif quoted is not None:
                stack[-1].append(("", _value(quoted, bare)))
            else:
                word = bare
    _put(stack[-1], "", word)
    return items


def _put(group: list[Item], key: str, word: str) -> None:
    if word:
        group.append((key, word))


def _value(quoted: str | None, bare: str | None) -> str:
    return str(bare) if quoted is None else _ESCAPED.sub(r"\1", quoted)


def value(items: list[Item], key: str, otherwise: str = "") -> str:
    """The first word under a key."""
    return next((found for name, found in items if name == key and isinstance(found, str)), otherwise)


def words(items: list[Item], *keys: str) -> list[str]:
    """The bare words of the first group under one of the keys."""
    group = next((found for name, found in items if name in keys and isinstance(found, list)), [])
    return [found for name, found in group if not name and isinstance(found, str)]


def groups(items: list[Item], *keys: str) -> Iterator[tuple[str, list[Item]]]:
    """All groups under any of the keys, or under all keys when none is given."""
    return ((name, found) for name, found in items if isinstance(found, list) and (name in keys or not keys))


def group(items: list[Item], key: str) -> list[Item]:
    """The first group under a key; empty where there is none."""
    return next((found for _, found in groups(items, key)), [])
