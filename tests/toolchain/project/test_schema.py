from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from toolchain.project.models import ProjectFile
from toolchain.project.schema import project_schema, schema_text

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "docs" / "edge-schema.json"


def objects(node):
    """All objects with properties, anywhere in the schema."""
    if isinstance(node, dict):
        if "properties" in node:
            yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects(value)


def test_the_committed_schema_is_current():
    current = COMMITTED.read_text(encoding="utf-8") if COMMITTED.exists() else ""
    assert current == schema_text(), (
        f"{COMMITTED.name} no longer fits the models; rewrite it with: "
        "python -m toolchain.project.schema > docs/edge-schema.json"
    )


def test_the_command_prints_the_schema():
    command = [sys.executable, "-m", "toolchain.project.schema"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == project_schema()


def test_every_key_has_a_description():
    schema = project_schema()
    for table in objects(schema):
        for key, about in table["properties"].items():
            target = schema["$defs"][about["$ref"].rpartition("/")[2]] if "$ref" in about else {}
            assert about.get("description") or target.get("description"), f"{key} is not described"


def test_the_schema_has_the_keys_of_the_models_and_no_others():
    schema = project_schema()
    assert list(schema["properties"]) == list(ProjectFile.model_fields)
    for table in objects(schema):
        assert table["additionalProperties"] is False, f"{table['title']} would let a misspelt key pass"


def test_the_schema_uses_no_null_and_only_words_of_the_standard():
    text = schema_text()
    assert '"null"' not in text and "null," not in text, "TOML has no null"
    words = {
        "$schema", "$id", "$defs", "$ref", "title", "description", "type", "properties", "additionalProperties",
        "required", "default", "anyOf", "items", "enum", "const", "pattern", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "minLength", "minItems",
    }  # fmt: skip

    def check(node):
        assert set(node) <= words, f"not words of JSON Schema: {set(node) - words}"
        for name in ("properties", "$defs"):
            for child in node.get(name, {}).values():
                check(child)
        for child in [*node.get("anyOf", []), node.get("items"), node.get("additionalProperties")]:
            if isinstance(child, dict):
                check(child)

    check(project_schema())


def test_texts_and_single_values_are_allowed_where_the_loader_allows_them():
    properties = {
        name: table["properties"] for name, table in project_schema()["$defs"].items() if "properties" in table
    }
    assert properties["ModelSection"]["source"]["type"] == "string"
    assert properties["Budget"]["latency"]["type"] == "string"
    assert [choice["type"] for choice in properties["Budget"]["accuracy_drop"]["anyOf"]] == ["string", "number"]
    assert [choice["type"] for choice in properties["DeviceTable"]["precision"]["anyOf"]] == ["string", "array"]
    assert properties["ModelSection"]["input"]["anyOf"][0] == {"$ref": "#/$defs/InputSpec"}
