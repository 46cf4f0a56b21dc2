"""The reference of ``edge.toml``, from the JSON Schema that the models give."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from toolchain.project.schema import project_schema
from tools.docs.markdown import code, table

Schema = Mapping[str, Any]


def reference() -> str:
    """A heading and a table for every section, the tables inside of sections after their own."""
    schema = project_schema()
    sections = [_section(name, about, schema) for name, about in schema["properties"].items()]
    return "\n\n".join(sections)


def _section(name: str, about: Schema, schema: Schema) -> str:
    is_list = about.get("type") == "array"
    body = _body(about["items"] if is_list else about, schema)
    title = f"[[{name}]]" if is_list else f"[{name}]"
    said = about.get("description") or body.get("description", "")
    return "\n\n".join([f"### `{title}`", said, _keys(body, schema), *_nested(body, title, schema)])


def _body(about: Schema, schema: Schema) -> Schema:
    """The table that a section is, also where it may be written in another way."""
    choices = [_resolved(choice, schema) for choice in (about, *about.get("anyOf", ()))]
    return next(choice for choice in choices if "properties" in choice)


def _nested(body: Schema, title: str, schema: Schema) -> list[str]:
    """The tables inside of a table, and the steps of a recipe, each with a heading."""
    parts = []
    for key, inner in body["properties"].items():
        nested = _inner_table(inner, schema)
        if nested is not None and key not in schema["properties"]:
            parts += [f"#### `{key}` of `{title}`", nested["description"], _keys(nested, schema)]
        for name, step in _steps(inner, schema):
            called = f"{{ {name} = … }}"
            parts += [f"#### `{called}` of `{title}`", step["description"], _keys(step, schema)]
            parts += _nested(step, called, schema)
    return parts


def _steps(about: Schema, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The tables of one key that a list may have, by that key."""
    for choice in about.get("items", {}).get("anyOf", ()):
        for name, step in _resolved(choice, schema)["properties"].items():
            yield name, _resolved(step, schema)


def _inner_table(about: Schema, schema: Schema) -> Schema | None:
    """The table that a key holds, alone or in a list; None when it holds none with fixed keys."""
    choices = (about, *about.get("anyOf", ()))
    for choice in (*choices, *(choice.get("items", {}) for choice in choices)):
        if "$ref" in choice and "properties" in (found := _resolved(choice, schema)):
            return found
    return None


def _resolved(about: Schema, schema: Schema) -> Schema:
    if "$ref" not in about:
        return about
    found: Schema = schema["$defs"][about["$ref"].rpartition("/")[2]]
    return found


def _keys(body: Schema, schema: Schema) -> str:
    rows = [
        [f"`{key}`", _type(about, schema), _default(key, about, body), _meaning(about, schema)]
        for key, about in body["properties"].items()
    ]
    return table(["key", "type", "default", "meaning"], rows)


def _meaning(about: Schema, schema: Schema) -> str:
    return str(about.get("description") or _resolved(about, schema).get("description", ""))


def _default(key: str, about: Schema, body: Schema) -> str:
    if key in body.get("required", ()):
        return "required"
    return code([json.dumps(about["default"], ensure_ascii=False)]) if "default" in about else "–"


def _type(about: Schema, schema: Schema) -> str:
    """A type in words, with its limits."""
    about = {**_resolved(about, schema), **{key: value for key, value in about.items() if key != "$ref"}}
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(_type(choice, schema) for choice in about["anyOf"]))
    if "const" in about:
        return code([json.dumps(about["const"])])
    if "enum" in about:
        return " or ".join(f"`{json.dumps(value)}`" for value in about["enum"])
    kind = about.get("type", "any value")
    if kind == "array":
        inner = _type(about["items"], schema)
        return f"list of ({inner})" if " " in inner else f"list of {inner}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return f"{words.get(kind, 'table')}{_limits(about)}"


def _limits(about: Schema) -> str:
    """``, from 1``, ``, above 0 and below 1``."""
    said = [
        f"{word} {about[key]:,}"
        for key, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
        if key in about
    ]
    if about.get("exclusiveMaximum", 2**31) < 2**31:
        said.append(f"below {about['exclusiveMaximum']:,}")
    return f", {' and '.join(said)}" if said else ""
