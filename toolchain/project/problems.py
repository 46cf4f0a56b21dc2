"""From pydantic's findings to one :class:`ConfigError` in the words of a TOML file."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from toolchain.project.common import PROBLEM
from toolchain.project.document import Document
from toolchain.project.toml_lines import KeyPath

_WANTED_TYPE = {
    "string_type": "a string",
    "path_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "invalid-json-value": "strings, numbers, true, false, lists and tables",
}
_BRANCH = re.compile(r"str|int|float|constrained-\w+|(tuple|list|literal|function-\w+|nullable|dict)\[.*\]")
_LIMITS = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "at least {min_length} character",
    "too_short": "at least {min_length} entry",
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """One finding: where, what (a sentence that the key path begins), and what would do instead."""

    at: KeyPath
    sentence: str
    seen: str = ""
    allowed: str = ""
    next_step: str = ""

    @property
    def text(self) -> str:
        """Key path and sentence."""
        return f"{key_text(self.at) or 'the project'} {self.sentence}"


def config_error(error: ValidationError, root: type[BaseModel], document: Document) -> ConfigError:
    """The first problem in the order of the file, and how many others there are and where."""
    found = [describe(details, root) for details in error.errors()]
    found = [dataclasses.replace(each, at=document.spelled(each.at)) for each in found]
    lines = [document.line(each.at) for each in found]
    order = sorted(range(len(found)), key=lambda i: (lines[i] or math.inf, i))
    first = found[order[0]]
    others = [f"{found[i].text}{f' (line {lines[i]})' if lines[i] else ''}" for i in order[1:]]
    return ConfigError(
        f"{document.place(first.at)}: {first.text}",
        seen=first.seen,
        allowed=first.allowed,
        next_step="; ".join(filter(None, (first.next_step, _more(others)))),
    )


def _more(others: Sequence[str]) -> str:
    if not others:
        return ""
    listed = ", ".join(others[:4]) + (", ..." if len(others) > 4 else "")
    return f"{len(others)} more {'problem' if len(others) == 1 else 'problems'} after this one: {listed}"


def describe(details: ErrorDetails, root: type[BaseModel]) -> Problem:
    """One of pydantic's findings in words. ``root`` is the model that was validated."""
    kind, at, context = details["type"], _written(details["loc"]), details.get("ctx", {})
    if kind == PROBLEM:
        return Problem(**{**context, "at": (*at, *context["at"])})
    if kind == "extra_forbidden":
        known = known_keys(root, at[:-1])
        return Problem(at, "is not a known key", "", ", ".join(known), did_you_mean(str(at[-1]), known))
    if kind == "missing":
        what = f"the section [{at[-1]}]" if len(at) == 1 and _model_at(root, at) else f"the key '{at[-1]}'"
        return Problem(at[:-1], f"needs {what}", allowed=_description(root, at))
    if kind == "tuple_type" and isinstance(details["input"], dict) and _model_at(root, at):
        hint = f"write [[{key_text(at)}]], with two brackets"
        return Problem(at, "is one table", allowed="a list of tables", next_step=hint)
    return _value_problem(kind, at, details["input"], context, details["msg"])


def _written(loc: KeyPath) -> KeyPath:
    """A key path without the names that pydantic gives to the branches of a union."""
    return tuple(part for part in loc if isinstance(part, int) or not _BRANCH.fullmatch(part))


def _value_problem(kind: str, at: KeyPath, value: Any, context: Mapping[str, Any], message: str) -> Problem:
    """A value that has the wrong type or is not among those allowed."""
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        guess = did_you_mean(value, known) if isinstance(value, str) else ""
        return Problem(at, "has an unknown value", shown(value), ", ".join(name or '""' for name in known), guess)
    if kind in _WANTED_TYPE:
        return Problem(at, "has a value of the wrong type", shown(value), _WANTED_TYPE[kind])
    if kind in _LIMITS:
        return Problem(at, "is out of range", shown(value), _LIMITS[kind].format(**_whole(context)))
    return Problem(at, "has a value that cannot be used", shown(value), message)


def _whole(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Limits without a needless ".0"."""
    return {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in limits.items()}


def shown(value: object) -> str:
    """A value as a TOML file would have it, and what type that is: ``"5" (a string)``."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({_type_name(value)})"


def _type_name(value: object) -> str:
    names = {str: "a string", bool: "a boolean", int: "an integer", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(value), f"a {type(value).__name__}")


def key_text(path: KeyPath) -> str:
    """A key path as people write it: ``device[0].precision``, with quotes where TOML needs them."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." * bool(text) + (part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part))
    return text


def known_keys(root: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that the table at ``path`` may have, in the order of the documentation."""
    model = _model_at(root, path)
    return list(model.model_fields) if model else []


def _description(root: type[BaseModel], path: KeyPath) -> str:
    model = _model_at(root, path[:-1])
    field = model.model_fields.get(str(path[-1])) if model else None
    return (field.description if field else None) or ""


def _model_at(root: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    model: type[BaseModel] | None = root
    for part in path:
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = _inner_model(field.annotation) if field else None
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        if (found := _inner_model(argument)) is not None:
            return found
    return None
