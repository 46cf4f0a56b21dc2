"""A project file before it is checked: its data, its text, and what the command line put over it."""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from toolchain.project.toml_lines import KeyPath, key_lines, nearest_line


@dataclasses.dataclass(frozen=True)
class Document:
    """Data to check, and where it came from.

    Attributes:
        name: the file as the user wrote it, or what else the data came from.
        data: as ``tomllib`` gives it, with the overlay merged in.
        text: of the file; empty when there is none.
        overlay: what the command line set; it has no lines.
    """

    name: str
    data: Mapping[str, Any]
    text: str = ""
    overlay: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def with_overlay(self, overlay: Mapping[str, Any]) -> Document:
        """``overlay`` on top: tables are merged key by key, everything else is replaced."""
        return dataclasses.replace(self, data=_merged(self.data, overlay), overlay=overlay)

    def place(self, path: KeyPath) -> str:
        """``edge.toml, line 12``, or as much of that as is known."""
        if self._in_overlay(path):
            return "command line"
        line = self.line(path)
        return f"{self.name}, line {line}" if line else self.name

    def line(self, path: KeyPath) -> int | None:
        """The line of ``path`` or of what encloses it; None for the overlay and where there is no text."""
        return None if self._in_overlay(path) else nearest_line(self._lines, path)

    def spelled(self, path: KeyPath) -> KeyPath:
        """``path`` as the document spells it.

        A table or string may stand where the models have a list of one (so the position goes), a list where they
        have a table of which it is one key (so that key goes), and a quoted ``"cpu.clock"`` may have been written
        as ``cpu.clock``, or the other way round.
        """
        here: Any = self.data
        spelled: list[str | int] = []
        for part in path:
            if isinstance(part, int) != isinstance(here, list):
                continue
            for name in _spellings(part, here):
                spelled.append(name)
                here = _child(here, name)
        return tuple(spelled)

    @functools.cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return key_lines(self.text)

    def _in_overlay(self, path: KeyPath) -> bool:
        here: Any = self.overlay
        for part in path:
            if not isinstance(here, Mapping):
                return True
            if part not in here:
                return False
            here = here[part]
        return bool(path) and (not isinstance(here, Mapping) or path not in self._lines)


def read_document(path: str | Path) -> Document:
    """Read and parse a project file.

    Raises:
        ConfigError: no such file, a folder, unreadable, not UTF-8, not TOML (with the line).
    """
    text = _read_text(Path(path))
    try:
        return Document(str(path), tomllib.loads(text), text)
    except ValueError as error:
        raise _syntax_error(path, text, str(error)) from error


def _read_text(path: Path) -> str:
    wanted = f"wanted to read the project file '{path}'"
    if path.is_dir():
        inside = path / "edge.toml"
        hint = f"name the file: {inside}" if inside.is_file() else "name a file in it, or run: edgewright init"
        raise ConfigError(wanted, seen="a folder", next_step=hint)
    if not path.is_file():
        seen = "not a regular file" if path.exists() else "no such file"
        raise ConfigError(wanted, seen=seen, next_step="write a starter with: edgewright init")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(wanted, seen=error.strerror or str(error)) from error
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}, line {line}: the project file is not UTF-8",
            seen=f"byte 0x{raw[error.start]:02x}",
            allowed="UTF-8, as TOML asks for",
            next_step="save the file as UTF-8",
        ) from error


def _syntax_error(path: str | Path, text: str, message: str) -> ConfigError:
    found = re.search(r"line (\d+), column (\d+)", message)
    line = int(found.group(1)) if found else text.rstrip().count("\n") + 1
    source = [*text.split("\n"), ""][line - 1].strip()
    return ConfigError(
        f"{path}, line {line}: not valid TOML: {re.sub(r' *[(]at .*[)]$', '', message)}",
        seen=source[:80],
        next_step="see https://toml.io/en/v1.0.0 for the grammar",
    )


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        merged[key] = _merged(below[key], value) if both else value
    return merged


def _spellings(part: str | int, here: Any) -> list[str | int]:
    if isinstance(part, str) and "." in part and isinstance(here, Mapping) and part not in here:
        return list(part.split("."))
    return [part]


def _child(here: Any, part: str | int) -> Any:
    if isinstance(here, Mapping):
        return here.get(str(part))
    if isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
        return here[part]
    return None
