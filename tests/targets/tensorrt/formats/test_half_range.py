"""Overflows of fp16 between inputs and outputs, which an emulation in fp32 does not show."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from profiles.errors import UnsupportedError
from targets.base import Scheme
from targets.tensorrt.formats.cast import to_fp16, to_half
from targets.tensorrt.formats.half_range import computed
from targets.tensorrt.formats.quantize import to_int8

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, const, weights, make = nets["node"], nets["const"], nets["weights"], nets["make"]
JETSON = dataclasses.replace(nets["GPU"], parameters={"library": "tensorrt", "compute_capability": "8.7"})


def normalized(gain):
    """A convolution of values over their root mean square, whose squares are the square of ``gain`` times as large."""
    nodes = [
        node("Mul", ["x", "gain"], ["d"], name="gain"),
        node("Mul", ["d", "d"], ["squares"], name="squares"),
        node("ReduceMean", ["squares", "axes"], ["v"], name="mean"),
        node("Sqrt", ["v"], ["s"], name="root"),
        node("Div", ["d", "s"], ["n"], name="divide"),
        node("Conv", ["n", "w"], ["y"], name="conv"),
    ]
    constants = [const("gain", gain), const("axes", [1], np.int64), weights("w", 4, 4, 1, 1)]
    return make(nodes, constants, {"x": (1, 4, 8, 8)}, {"y": (1, 4, 8, 8)})


def exported(model, folder):
    golden = {"x": np.stack([sample["x"] for sample in nets["samples"](model, 2)])}
    return dataclasses.replace(nets["exported"](model, folder / "in.onnx"), golden_inputs=golden)


def test_an_emulation_does_not_show_them():
    """Why they are looked for: ONNX Runtime computes what half precision, operator by operator, does not."""
    model, sample = normalized(400), nets["samples"](normalized(400), 1)[0]
    half, _ = to_half(model)
    with np.errstate(over="ignore"):
        rounded = ReferenceEvaluator(half).run(None, sample)[0]
    exact, emulated = nets["run"](model, sample)["y"], nets["run"](half, sample)["y"]
    assert np.abs(rounded - exact).max() > 0.5 and np.abs(emulated - exact).max() < 0.01


def test_fp16_is_refused_by_the_name_of_the_activation(tmp_path):
    with pytest.raises(UnsupportedError, match="fp16") as error:
        to_fp16(exported(normalized(400), tmp_path), tmp_path)
    assert "'squares'" in error.value.seen, error.value.seen
    to_fp16(exported(normalized(10), tmp_path), tmp_path)


def test_int8_keeps_the_rest_in_fp32(tmp_path):
    notes = {}
    for gain in (10, 400):
        model = nets["exported"](normalized(gain), tmp_path / "in.onnx")
        samples = nets["samples"](normalized(gain), 2)
        made = to_int8(model, samples, JETSON, Scheme("int8"), tmp_path)
        notes[gain] = made.notes["float part"]
        seen, wanted = (nets["run"](onnx.load(str(path)), samples[0])["y"] for path in (made.onnx, model.onnx))
        assert np.abs(seen - wanted).max() < 0.1
    assert notes[10] == "fp16" and notes[400].startswith("fp32") and "'squares'" in notes[400], notes


@pytest.mark.parametrize(
    ("first", "second"), [(1e-9, 1e5), (1e6, 1e-6), (1e12, 1e-12)], ids=["tiny", "huge", "beyond any fp16 scale"]
)
def test_extreme_weights_and_activations_keep_their_digits(tmp_path, first, second):
    nodes = [
        node("Conv", ["x", "w1"], ["c"], name="one"),
        node("Relu", ["c"], ["r"], name="relu"),
        node("Conv", ["r", "w2"], ["y"], name="two"),
    ]
    constants = [const(name, np.random.default_rng(0).normal(size=(4, 4, 1, 1)) * size)
                 for name, size in (("w1", first), ("w2", second))]  # fmt: skip
    graph = make(nodes, constants, {"x": (1, 4, 8, 8)}, {"y": (1, 4, 8, 8)})
    samples = nets["samples"](graph, 3)
    made = to_int8(nets["exported"](graph, tmp_path / "in.onnx"), samples, JETSON, Scheme("int8"), tmp_path)
    reference, seen = ([nets["run"](model, one) for one in samples] for model in (graph, onnx.load(str(made.onnx))))
    assert nets["sqnr"](reference, seen) > 30 and made.notes["float part"].startswith("fp32"), made.notes


def test_the_constants_of_a_mask_are_no_overflow():
    nodes = [
        node("Where", ["c", "zero", "low"], ["m"], name="mask"),
        node("Add", ["x", "m"], ["masked"], name="add"),
        node("Softmax", ["masked"], ["p"], name="softmax"),
        node("Mul", ["p", "x"], ["y"], name="product"),
    ]
    constants = [const("c", [True, False], np.bool_), const("zero", 0.0), const("low", -3e38)]
    assert computed(make(nodes, constants, {"x": (1, 2)}, {"y": (1, 2)})) == ["p", "y"]
