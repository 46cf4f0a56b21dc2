"""The whole flow from Python: what ``toolchain.build`` gives back, and what it refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import toolchain
from profiles.errors import ConfigError, EdgewrightError
from profiles.measurement import Kind
from targets.artifact import load_artifact
from toolchain import pipeline
from toolchain.project import load_project, project_from_dict
from toolchain.summary import BuildResult


def null_project(**sections):
    return project_from_dict(
        {"model": {"source": "tiny.onnx"}, "device": [{"profile": "local-cpu", "target": "null"}], **sections}
    )


def test_a_build_gives_back_what_the_command_prints(built):
    result = built.result
    assert isinstance(result, BuildResult) and result.out == built.out
    assert result.as_dict() == json.loads((built.out / "summary.json").read_text())
    for entry in result.entries:
        assert entry.bundle == built.out / entry.name
        assert load_artifact(entry.bundle).target == entry.target
        assert entry.stable in (True, False), "a measurement says whether it was a quiet one"
    assert result.entries[0].executed == {"fp32": 2} and result.entries[1].executed == {"int8": 2}
    assert result.missed == []


def test_figures_of_the_files_are_those_of_the_files(built):
    for entry in built.result.entries:
        size = entry.metrics["model_size"]
        assert size.value == sum(path.stat().st_size for path in entry.bundle.glob("model.*"))
        assert size.kind is Kind.MEASURED


@pytest.mark.parametrize("as_what", [str, Path, load_project])
def test_a_project_may_be_a_path_or_an_object(tiny, as_what):
    (tiny.parent / "edge.toml").write_text(
        '[model]\nsource = "tiny.onnx"\n[[device]]\nprofile = "local-cpu"\ntarget = "null"\n'
    )
    result = toolchain.build(as_what("edge.toml"), out="out", profile=False)
    assert [entry.name for entry in result.entries] == ["local-cpu"]
    assert result.out == Path("out") and (tiny.parent / "out" / "summary.json").is_file()


def test_nothing_is_printed_unless_asked_for(tiny, capfd):
    toolchain.build(null_project(), out="out", profile=False)
    assert capfd.readouterr() == ("", "")


def test_an_unknown_option_is_a_mistake_of_the_caller(tiny):
    with pytest.raises(TypeError, match="jbos"):
        toolchain.build(null_project(), jbos=2)


def test_no_devices(tiny):
    with pytest.raises(ConfigError) as caught:
        toolchain.build(null_project(device=[]), out="out")
    assert "[[device]]" in caught.value.next_step and not (tiny.parent / "out").exists()


def test_a_model_with_two_inputs_and_a_dynamic_batch(here, onnx_model):
    onnx_model(here / "two.onnx", batch="N", inputs=("left", "right"))
    inputs = [{"name": name, "shape": [2, 1, 8, 8]} for name in ("left", "right")]
    project = project_from_dict(
        {
            "model": {"source": "two.onnx", "input": inputs},
            "device": [{"profile": "local-cpu", "target": "onnxruntime"}],
        }
    )
    (entry,) = toolchain.build(project, out="out", profile=False).entries
    artifact = load_artifact(entry.bundle)
    assert {spec.name: spec.shape for spec in artifact.compiled.inputs} == {
        "left": (2, 1, 8, 8),
        "right": (2, 1, 8, 8),
    }
    assert entry.metrics["parity_max_error"].value < 1e-4


def test_everything_is_refused_before_an_engine_starts(here, onnx_model, monkeypatch):
    onnx_model(here / "custom.onnx", domain="com.example")
    monkeypatch.setattr("targets.execute.converse", lambda *_, **__: pytest.fail("something was started"))
    with pytest.raises(EdgewrightError, match="not supported"):
        toolchain.build(
            project_from_dict(
                {"model": {"source": "custom.onnx"}, "device": [{"profile": "local-cpu", "target": "onnxruntime"}]}
            ),
            out="out",
        )


def test_the_flow_fits_on_one_screen():
    """The architecture asks for it."""
    text = Path(pipeline.__file__).read_text()
    body = text[text.index("def build(") : text.index("def steps_of")]
    assert len(body.splitlines()) < 30
    assert len(text.splitlines()) < 160


def test_progress_names_every_step_once(built, warm, capfd):
    from toolchain.progress import Progress

    toolchain.build(built.folder / "edge.toml", out=built.folder / "again", profile=False, progress=Progress())
    lines = capfd.readouterr().err.splitlines()
    titles = [re.sub(r"^\[\d+/\d+\] ", "", line).partition(" … ")[0] for line in lines]
    assert len(titles) == len(set(titles)), lines


def test_golden_samples_reproduce_in_numpy(built):
    """An oracle of its own: the bundle's float outputs are what the formula of the model gives."""
    import onnx
    from onnx import numpy_helper

    from targets.golden import load_golden

    weights = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(built.folder / "tiny.onnx").graph.initializer
    }
    golden = load_golden(built.out / "local-cpu-onnxruntime-fp32" / "golden.npz")
    for x, y in zip(golden.inputs["x"], golden.outputs["y"], strict=True):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        features = np.maximum(np.einsum("nchwij,ocij->nohw", windows, weights["kernel"]), 0).mean(axis=(2, 3))
        assert np.allclose(features @ weights["matrix"], y, atol=1e-4)
