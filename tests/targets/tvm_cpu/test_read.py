"""TVM's module as a program: views, constants that are equal, outputs that are inputs or constants, several outputs."""

import numpy as np
import pytest
from onnx import helper
from tvm_networks import device_of, random_values, write

from targets.registry import load_target

TARGET = load_target("tvm_cpu")

pytestmark = pytest.mark.usefixtures("compiled_here")


def run(tmp_path, nodes, inputs, outputs, constants, values):
    model, device = write(tmp_path / "m.onnx", nodes, inputs, outputs, constants), device_of("x86_64")
    compiled = TARGET.compile(model, device, tmp_path)
    with TARGET.runner(tmp_path, compiled, device.as_dict()) as runner:
        return runner.run(values), compiled


def test_an_output_may_be_a_view_a_piece_or_a_constant(tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Reshape", ["r", "shape"], ["flat"]),
        helper.make_node("Split", ["r"], ["low", "high"], axis=1, num_outputs=2),
        helper.make_node("Add", ["c", "c2"], ["same"]),
    ]
    constants = {"shape": np.array([8], np.int64), "c": np.float32([1, 2]), "c2": np.float32([1, 2])}
    outputs = {"flat": (8,), "low": (2, 2), "high": (2, 2), "same": (2,)}
    x = random_values((2, 4), 1)
    seen, _ = run(tmp_path, nodes, {"x": (2, 4)}, outputs, constants, {"x": x})
    clipped = np.maximum(x, 0)
    np.testing.assert_array_equal(seen["flat"], clipped.reshape(8))
    np.testing.assert_array_equal(seen["low"], clipped[:, :2])
    np.testing.assert_array_equal(seen["high"], clipped[:, 2:])
    np.testing.assert_array_equal(seen["same"], [2, 4])


def test_inputs_keep_the_order_and_the_names_of_the_graph(tmp_path):
    nodes = [helper.make_node("Sub", ["b:0", "a/1"], ["y"])]
    values = {"a/1": random_values((3,), 1), "b:0": random_values((3,), 2)}
    seen, compiled = run(tmp_path, nodes, {"b:0": (3,), "a/1": (3,)}, {"y": (3,)}, {}, values)
    assert [spec.name for spec in compiled.inputs] == ["b:0", "a/1"]
    np.testing.assert_array_equal(seen["y"], values["b:0"] - values["a/1"])


def test_equal_constants_are_stored_once(tmp_path):
    big = random_values((64, 64), 3)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("MatMul", ["m", "w2"], ["y"])]
    _, once = run(
        tmp_path, nodes, {"x": (1, 64)}, {"y": (1, 64)}, {"w": big, "w2": big}, {"x": random_values((1, 64), 1)}
    )
    size = (tmp_path / once.files[0]).stat().st_size
    assert size < 2 * big.nbytes, f"the library has {size} bytes for one matrix of {big.nbytes}"
