"""Averages over whole planes: renamed where nothing changes, and then quantized with a scale of their own."""

import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from targets.base import Scheme
from targets.onnx_pools import name_global_pools
from targets.onnx_quantize import Dialect, to_int8

tiny = runpy.run_path(str(Path(__file__).with_name("tiny_onnx.py")))
PLANE = {"x": (1, 3, 4, 4)}


def pool(tmp_path, result=(1, 3, 1, 1), **attributes):
    node = helper.make_node("AveragePool", ["x"], ["y"], name="pool", **attributes)
    return tiny["save"](tmp_path / "pool.onnx", [node], [], PLANE, {"y": result})


def run(model, values):
    return ReferenceEvaluator(model).run(None, {"x": values})[0]


@pytest.mark.parametrize(
    ("attributes", "changed"),
    [
        ({"kernel_shape": [4, 4], "auto_pad": "NOTSET", "pads": [0] * 4}, True),
        ({"kernel_shape": [4, 4], "strides": [4, 4]}, True),
        ({"kernel_shape": [4, 4], "auto_pad": "VALID", "count_include_pad": 1}, True),
        ({"kernel_shape": [2, 2], "strides": [4, 4]}, False),
        ({"kernel_shape": [4, 4], "pads": [0, 0, 1, 1], "strides": [4, 4]}, False),
        ({"kernel_shape": [4, 4], "auto_pad": "SAME_UPPER", "strides": [4, 4]}, False),
    ],
    ids=["whole", "strided", "valid", "a part", "padded", "same"],
)
def test_an_average_over_everything_is_called_so(tmp_path, attributes, changed):
    model = onnx.load(str(pool(tmp_path, **attributes).onnx))
    values = np.random.default_rng(0).random(PLANE["x"], dtype=np.float32)
    before = run(model, values)
    assert name_global_pools(model) == changed
    assert (model.graph.node[0].op_type == "GlobalAveragePool") is changed
    assert run(model, values) == pytest.approx(before, abs=1e-6)
    onnx.checker.check_model(model)


def test_a_pool_of_unknown_shape_stays(tmp_path):
    model = onnx.load(str(pool(tmp_path, kernel_shape=[4, 4]).onnx))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert not name_global_pools(model)


def test_the_average_of_a_plane_has_a_scale_of_its_own(tmp_path):
    """With the scale of its input, whose range is 16 times as wide here, only 4 of its 8 bits are used."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="relu"),
        helper.make_node("AveragePool", ["r"], ["a"], name="pool", kernel_shape=[4, 4]),
        helper.make_node("Relu", ["a"], ["y"], name="last"),
    ]
    model = tiny["save"](tmp_path / "net.onnx", nodes, [], PLANE, {"y": (1, 3, 1, 1)})
    sample = np.zeros(PLANE["x"], np.float32)
    sample[:, :, 0, 0] = 1
    out = tmp_path / "int8"
    out.mkdir()
    made = to_int8(model, [{"x": sample}], Scheme("int8"), out, Dialect(True, False, "int8"))
    graph = onnx.load(str(made.onnx)).graph
    scales = {
        each.name: float(numpy_helper.to_array(each)) for each in graph.initializer if each.name.endswith("scale")
    }
    own = [scale for scale in scales.values() if scale == pytest.approx(1 / 16 / 255, rel=1e-3)]
    assert own, f"no scale for a range from 0 to 1/16 among {scales}"
    found = run(onnx.load(str(made.onnx)), sample)
    assert found == pytest.approx(1 / 16, abs=own[0]), "an average of 1/16 must survive quantization"
