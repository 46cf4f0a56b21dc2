from __future__ import annotations

import tomllib

from toolchain.project import starter_text
from toolchain.project.models import ProjectFile
from toolchain.project.schema import SCHEMA_URL


def test_the_starter_loads_and_builds_for_three_engines_and_a_board(load):
    project = load(starter_text())
    assert [entry.name for entry in project.devices] == [
        *(f"local-cpu-{target}-{precision}" for target in ("onnxruntime", "openvino", "litert")
          for precision in ("fp32", "int8")),
        "raspberry-pi-5",
    ]  # fmt: skip
    assert (project.devices[-1].target, project.devices[-1].precision) == ("litert", "int8")
    assert project.model.source.text == "zoo:resnet8"
    assert project.model.input[0].shape == (1, 1, 32, 32)
    assert project.data is not None
    assert project.data.source.kind == "digits"
    assert project.weights_origin == "trained"
    assert project.budget.accuracy_drop is not None


def test_the_starter_points_at_the_schema_and_shows_every_section():
    text = starter_text()
    assert text.startswith(f"#:schema {SCHEMA_URL}\n")
    shown = tomllib.loads(text.replace("# [baseline]\n# compiled", "[baseline]\ncompiled"))
    assert set(shown) == set(ProjectFile.model_fields), "a section is missing from the starter"
    assert set(shown) - set(tomllib.loads(text)) == {"baseline"}, "only what takes long is left as a comment"


def test_lines_that_the_starter_offers_as_comments_would_load(load):
    offered = starter_text().replace('# via = "ssh', 'via = "ssh').replace("# weights = ", "weights = ")
    project = load(offered)
    assert project.devices[-1].via == "ssh://pi@raspberrypi.local:22"
    assert project.model.weights is not None
