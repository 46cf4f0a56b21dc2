"""The reference of ``edge.toml``, from the JSON Schema that the models give."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    body = _resolved(about["items"] if is_list else about, schema)
    title = f"[[{name}]]" if is_list else f"[{name}]"
    said = about.get("description") or body.get("description", "")
    parts = [f"### `{title}`", said, _keys(body, schema)]
    for key, inner in body["properties"].items():
        nested = _inner_table(inner, schema)
        if nested is not None and key not in schema["properties"]:
            parts += [f"#### `{key}` of `{title}`", nested["description"], _keys(nested, schema)]
    return "\n\n".join(parts)


def _inner_table(about: Schema, schema: Schema) -> Schema | None:
    """The table that a key holds, alone or in a list; None when it holds none with fixed keys."""
    for choice in (about, *about.get("anyOf", ()), about.get("items", {})):
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
