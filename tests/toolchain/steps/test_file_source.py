"""Model files as the build sees them."""

import numpy as np
import pytest

from profiles.errors import ModelError
from profiles.measurement import Kind


@pytest.fixture
def model(source, here):
    """``model(name, shape, **sections)``: the opened model file."""

    def opened(name, shape=None, **sections):
        fixed = {"input": {"name": "x", "shape": shape}} if shape else {}
        return source({"model": {"source": name, **fixed}, **sections})

    return opened


def test_a_file_is_itself(model, tiny):
    opened = model("tiny.onnx")
    assert (opened.formats, opened.precision, opened.task) == (("onnx",), "fp32", "classification")
    assert opened.files({"onnx"}).onnx == tiny
    assert {metric.kind for metric in opened.metrics().values()} == {Kind.UNAVAILABLE}


def test_golden_samples_are_computed_once(model, tiny, monkeypatch):
    first = model("tiny.onnx").export({"onnx"})
    monkeypatch.setattr("toolchain.steps.file_source.run_reference_apart", lambda *_: pytest.fail("it was run again"))
    second = model("tiny.onnx").export({"onnx"})
    for name in ("golden_inputs", "golden_outputs"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)
    assert first.reference == second.reference and first.reference.startswith("ONNX Runtime")


def test_golden_outputs_are_what_onnx_itself_computes(model, tiny):
    from onnx.reference import ReferenceEvaluator

    exported = model("tiny.onnx").export({"onnx"})
    evaluator = ReferenceEvaluator(str(tiny))
    for x, y in zip(exported.golden_inputs["x"], exported.golden_outputs["y"], strict=True):
        assert np.allclose(evaluator.run(None, {"x": x})[0], y, atol=1e-4)


def test_golden_samples_are_test_samples_where_there_is_data(model, tiny, samples):
    exported = model("tiny.onnx", data={"source": "npz:samples.npz"}).export({"onnx"})
    with np.load(samples) as archive:
        known = {row.tobytes() for row in archive["x"]}
    assert all(row.tobytes() in known for row in exported.golden_inputs["x"][:, 0])


def test_fixed_shapes_are_written_to_the_cache_and_not_beside_the_file(model, here, onnx_model):
    onnx_model(here / "dynamic.onnx", batch="N")
    before = (here / "dynamic.onnx").read_bytes()
    exported = model("dynamic.onnx", [2, 1, 8, 8]).export({"onnx"})
    assert exported.onnx.parent != here and exported.inputs[0].shape == (2, 1, 8, 8)
    assert exported.golden_outputs["y"].shape[1:] == (2, 3)
    assert (here / "dynamic.onnx").read_bytes() == before and len(list(here.iterdir())) == 1


def test_two_shapes_of_one_file_do_not_meet_in_the_cache(model, here, onnx_model):
    onnx_model(here / "dynamic.onnx", batch="N")
    shapes = [model("dynamic.onnx", [size, 1, 8, 8]).export({"onnx"}).inputs[0].shape for size in (1, 3, 1)]
    assert shapes == [(1, 1, 8, 8), (3, 1, 8, 8), (1, 1, 8, 8)]


def test_a_shape_that_the_file_has_already_changes_nothing(model, tiny):
    assert model("tiny.onnx", [1, 1, 8, 8]).files({"onnx"}).onnx == tiny


def test_the_float_accuracy_is_that_of_the_file(model, tiny, samples):
    opened = model("tiny.onnx", data={"source": "npz:samples.npz"})
    metric = opened.float_accuracy()
    assert metric.kind is Kind.MEASURED and metric.method.startswith("the float file on onnxruntime")
    assert opened.steps({"onnx"}) == 3


@pytest.mark.parametrize("data", [None, {"source": "random"}])
def test_without_labels_there_is_none(model, tiny, data):
    opened = model("tiny.onnx", **({"data": data} if data else {}))
    assert opened.float_accuracy().kind is Kind.UNAVAILABLE
    assert opened.steps({"onnx"}) == 1


def test_a_quantized_file_has_no_float_accuracy(model, here, tflite):
    (here / "net.tflite").write_bytes(tflite["quantized_model"]())
    opened = model("net.tflite")
    assert opened.precision == "int8" and opened.formats == ("tflite",)
    assert "quantized already" in opened.float_accuracy().reason
    assert opened.steps({"tflite"}) == 1


def test_a_file_is_checked_before_anything_runs_it(model, here, onnx_model, monkeypatch):
    onnx_model(here / "bad.onnx", weights=np.full((4, 1, 3, 3), np.nan, np.float32))
    monkeypatch.setattr("targets.execute.converse", lambda *_, **__: pytest.fail("something was started"))
    with pytest.raises(ModelError, match="finite"):
        model("bad.onnx")
