"""Dataclasses to JSON and back; nothing that is missing, unknown, of another type or too large comes in.

Travels to the device: the standard library only.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from profiles.errors import VerificationError

#: Bytes of a document, and levels of objects within each other, at most.
MOST_BYTES, MOST_LEVELS = 4 << 20, 12
SCHEMA = 1

T = TypeVar("T")


def to_bytes(document: object) -> bytes:
    """The JSON of a dataclass, sorted and compact: the same document always gives the same bytes."""
    if not dataclasses.is_dataclass(document) or isinstance(document, type):
        raise TypeError(f"{type(document).__name__} is no document")
    body = {"schema": SCHEMA, **_plain(dataclasses.asdict(document))}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def from_bytes(kind: type[T], data: bytes, *, most: int = MOST_BYTES) -> T:
    """A document of this kind.

    Raises:
        VerificationError: it is too large, no JSON, of another schema, or not what the kind's fields say.
    """
    name = kind.__name__.lower()
    if len(data) > most:
        raise VerificationError(f"a {name} is too large", seen=f"{len(data)} bytes", allowed=f"{most} bytes")
    try:
        body = json.loads(data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"wanted a {name} as JSON", seen=str(error)[:200]) from error
    if not isinstance(body, dict) or type(body.get("schema")) is not int or body.pop("schema") != SCHEMA:
        raise VerificationError(f"wanted a {name} of schema {SCHEMA}", seen="another schema, or none")
    return typing.cast(T, _read(kind, body, name, 0))


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _read(kind: Any, value: Any, where: str, level: int) -> Any:
    """``value`` as ``kind``: a dataclass, ``tuple[X, ...]``, ``Mapping[str, X]``, ``X | None``, or a plain type."""
    if level > MOST_LEVELS:
        raise VerificationError(f"{where} is nested too deeply", allowed=f"{MOST_LEVELS} levels")
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _read(arguments[0], value, where, level)
    if origin is tuple:
        items = _typed(value, list, where)
        return tuple(_read(arguments[0], each, f"{where}[{at}]", level + 1) for at, each in enumerate(items))
    if origin is not None and issubclass(origin, Mapping):
        entries = _typed(value, dict, where)
        return {
            _text(key, where): _read(arguments[1], each, f"{where}.{key}", level + 1) for key, each in entries.items()
        }
    if dataclasses.is_dataclass(kind):
        return _object(typing.cast(type, kind), _typed(value, dict, where), where, level)
    return _plain_value(kind, value, where)


def _object(kind: type, value: dict[str, Any], where: str, level: int) -> Any:
    fields = {each.name: each for each in dataclasses.fields(kind)}
    if unknown := sorted(set(value) - set(fields)):
        raise VerificationError(f"{where} has unknown fields", seen=", ".join(unknown)[:200], allowed=", ".join(fields))
    needed = [
        name
        for name, each in fields.items()
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    ]
    if missing := [name for name in needed if name not in value]:
        raise VerificationError(f"{where} lacks fields", seen=f"no {', '.join(missing)}", allowed=", ".join(fields))
    hints = _hints(kind)
    found = {name: _read(hints[name], each, f"{where}.{name}", level + 1) for name, each in value.items()}
    try:
        return kind(**found)
    except (ValueError, OverflowError) as error:
        raise VerificationError(f"{where} makes no sense", seen=str(error)) from error


def _plain_value(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        value = _float(value, where)
    value = _typed(value, kind, where)
    if kind is float and not math.isfinite(value):
        raise VerificationError(f"{where} must be finite", seen=str(value))
    return _text(value, where) if kind is str else value


def _float(value: int, where: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise VerificationError(f"{where} must be finite", seen=f"{str(value)[:40]}…") from None


def _text(value: str, where: str) -> str:
    """Text that can be written, hashed and kept in a database: JSON's escapes allow halves of characters, and NUL."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise VerificationError(f"{where} must be text", seen="half of a character") from None
    if "\0" in value:
        raise VerificationError(f"{where} must be text", seen="the character NUL")
    return value


def _typed(value: Any, kind: type, where: str) -> Any:
    if type(value) is not kind:
        raise VerificationError(f"{where} must be of type {kind.__name__}", seen=type(value).__name__)
    return value
