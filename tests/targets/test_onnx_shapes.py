import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from profiles.errors import ConfigError
from targets.onnx_shapes import declared_shape, dynamic_inputs, fix_shapes


def model(shape, out=("n", 8, "h", "w"), second=None):
    """A 3x3 convolution from 3 to 8 channels; a second input is added to the result."""
    nodes = [helper.make_node("Conv", ["x", "k"], ["c" if second else "y"], pads=[1, 1, 1, 1])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    if second:
        nodes.append(helper.make_node("Add", ["c", "z"], ["y"]))
        inputs.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, second))
    kernel = numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "k")
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [kernel])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def test_dynamic_axes_are_found_with_their_names():
    assert dynamic_inputs(model(("n", 3, None, 32))) == {"x": ("n", 3, "?", 32)}
    assert dynamic_inputs(model((1, 3, 32, 32))) == {}
    assert dynamic_inputs(model(None)) == {"x": None}


def test_initializers_that_are_listed_as_inputs_are_no_inputs():
    listed = model((1, 3, 8, 8))
    listed.graph.input.append(helper.make_tensor_value_info("k", TensorProto.FLOAT, (None, 3, 3, 3)))
    assert dynamic_inputs(listed) == {}


def test_fixing_sets_inputs_and_infers_outputs():
    given = model(("n", 3, "h", "w"))
    before = given.SerializeToString()
    fixed = fix_shapes(given, {"x": (2, 3, 10, 12)})
    assert declared_shape(fixed.graph.input[0]) == (2, 3, 10, 12)
    assert declared_shape(fixed.graph.output[0]) == (2, 8, 10, 12)
    assert given.SerializeToString() == before, "the model that was given stays as it is"


def test_an_output_without_a_declared_shape_gets_one():
    fixed = fix_shapes(model(("n", 3, "h", "w"), out=None), {"x": (1, 3, 6, 6)})
    assert declared_shape(fixed.graph.output[0]) == (1, 8, 6, 6)


def test_axes_of_one_name_share_their_size_across_inputs():
    fixed = fix_shapes(model(("n", 3, 4, 4), second=("n", 8, 4, 4)), {"x": (5, 3, 4, 4)})
    assert [declared_shape(value) for value in fixed.graph.input] == [(5, 3, 4, 4), (5, 8, 4, 4)]


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"y": (1, 3, 8, 8)}, "no input of that name"),
        ({"xx": (1, 3, 8, 8)}, "did you mean 'x'"),
        ({"x": (3, 8, 8)}, "wanted a shape with 4 axes"),
        ({"x": (1, 4, 8, 8)}, "wanted axis 1 of the input 'x'"),
        ({"x": (1, 3, 0, 8)}, "sizes of at least 1"),
        ({"x": (1, 3, 8, 8), "z": (2, 8, 8, 8)}, "wanted axis 0 of the input 'z'"),
        ({"x": (2, 3, 8, 8), "z": (2, 8, 8, 9)}, "cannot take"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes, words):
    given = model(("n", 3, "h", "w"), second=("n", 8, "a", "b"))
    with pytest.raises(ConfigError, match=words):
        fix_shapes(given, shapes)


def test_a_fixed_model_passes_onnx_own_checker():
    onnx.checker.check_model(fix_shapes(model(("n", 3, "h", "w")), {"x": (1, 3, 8, 8)}), full_check=True)
