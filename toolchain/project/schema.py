"""The JSON Schema of the project file, for editors.

``python -m toolchain.project.schema > docs/edge-schema.json`` rewrites the committed copy.
"""

from __future__ import annotations

import json
from typing import Any

from toolchain.project.models import ProjectFile

SCHEMA_URL = "https://raw.githubusercontent.com/edgewright/edgewright/main/docs/edge-schema.json"


def project_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of ``edge.toml``, made from the models that check it."""
    schema = _without_null(ProjectFile.model_json_schema(mode="validation"))
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_URL}
    return {**head, **schema, "title": "Edgewright project file (edge.toml)"}


def schema_text() -> str:
    """The schema as the committed file has it."""
    return json.dumps(project_schema(), indent=2, ensure_ascii=False) + "\n"


def _without_null(node: Any) -> Any:
    """``node`` without null as a type or default, because TOML has no null: there a key is absent."""
    if isinstance(node, list):
        return [_without_null(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: _without_null(value) for key, value in node.items() if not (key == "default" and value is None)}
    choices = [choice for choice in node.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del node["anyOf"]
        return {**choices[0], **node}
    return {**node, "anyOf": choices} if choices else node


if __name__ == "__main__":
    print(schema_text(), end="")
