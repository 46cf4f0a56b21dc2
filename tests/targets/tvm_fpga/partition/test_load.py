"""What cannot be read is refused in words; names survive; graphs of other origin come into one form."""

import numpy as np
import onnx
import pytest
import qdq
from agreement import assert_close, only_region, split

from profiles.errors import UnsupportedError
from targets.tvm_fpga.partition.load import import_onnx, load_module


def small():
    graph = qdq.Graph(1)
    return graph.output(graph.stored(graph.conv(graph.input(1, 4, 8, 8), 8, 3, name="first"), 0.2))


def test_a_file(tmp_path):
    module = load_module(small().save(tmp_path / "net.onnx"))
    assert [where.name_hint for where in module.get_global_vars()] == ["main"]


def test_dynamic_shapes():
    model = small().model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    with pytest.raises(UnsupportedError, match="dynamic shape") as caught:
        import_onnx(model, "net.onnx")
    assert "(batch, 4, 8, 8)" in str(caught.value)


def test_shapes_that_depend_on_values():
    graph = small()
    graph.nodes.append(onnx.helper.make_node("NonZero", [graph.outputs[0].name], ["found"], name="where"))
    graph.outputs.append(onnx.helper.make_tensor_value_info("found", onnx.TensorProto.INT64, (4, None)))
    with pytest.raises(UnsupportedError, match="depends on its values"):
        import_onnx(graph.model(), "net")


def test_an_operator_that_tvm_does_not_know():
    graph = small()
    value = graph.outputs[0].name
    graph.nodes.append(onnx.helper.make_node("StringNormalizer", [value], ["other"]))
    model = graph.model()
    with pytest.raises(UnsupportedError, match="TVM cannot import net"):
        import_onnx(model, "net")


def test_nodes_without_names_get_some():
    graph = small()
    for node in graph.nodes:
        node.name = ""
    names = [each.name for each in split(graph).split.operators]
    assert len(names) == len(set(names)) == 1 and names[0].startswith("conv")


def test_operators_that_tvm_writes_as_kernels_or_tuples_keep_their_names():
    graph = qdq.Graph(6)
    x = graph.stored(graph.conv(graph.input(1, 4, 8, 8), 8, 3, name="conv"), 0.3)
    pads = graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    y = graph.stored(graph.node("Pad", x, pads, shape=(1, 8, 10, 10), name="pad", mode="reflect"), 0.3)
    numbers = graph.constant(np.ones(10, np.float32)), graph.constant(np.zeros(10, np.float32))
    graph.output(graph.node("LayerNormalization", y, *numbers, shape=(1, 8, 10, 10), name="norm"))
    assert [(each.op, each.name) for each in split(graph).split.operators] == [
        ("Conv", "conv"),
        ("Pad", "pad"),
        ("LayerNormalization", "norm"),
    ]


def test_integers_of_64_bits_stay_integers_of_64_bits():
    """Shapes and indices that a model computes: TVM's constants would be of 32."""
    graph = qdq.Graph(7)
    x = graph.stored(graph.conv(graph.input(1, 4, 8, 8), 8, 3, name="conv"), 0.3)
    chosen = graph.node("ArgMax", x, shape=(1, 8, 8), axis=1, keepdims=0)
    moved = graph.node("Add", chosen, graph.constant(np.array(3, np.int64)), shape=(1, 8, 8), name="moved")
    graph.outputs.append(onnx.helper.make_tensor_value_info(moved, onnx.TensorProto.INT64, (1, 8, 8)))
    assert "moved" in [each.name for each in split(graph).split.operators]


def test_a_tensor_with_two_users_stays_an_integer():
    """TVM fuses a dequantize into its first user only; the second would get floats over the border."""
    graph = qdq.Graph(2)
    x = graph.stored(graph.conv(graph.input(1, 4, 8, 8), 8, 3), 0.3)
    y, z = graph.stored(graph.conv(x, 8, 1), 0.4), graph.stored(graph.conv(x, 8, 3), 0.9)
    region = only_region(graph.output(graph.stored(graph.add(y, z), 1.1)))
    assert len(region.outs) == 1 and len(region.layers) == 4


def test_weights_that_are_stored_as_floats():
    graph = qdq.Graph(3)
    x = graph.input(1, 6, 8, 8)
    values = graph.random.normal(0, 0.3, (5, 6, 3, 3)).astype(np.float32)
    scales, zeros = graph.constant(np.full(5, 0.007, np.float32)), graph.constant(np.zeros(5, np.int8))
    kept = graph.node("QuantizeLinear", graph.constant(values), scales, zeros, shape=values.shape, axis=0)
    weights = graph.node("DequantizeLinear", kept, scales, zeros, shape=values.shape, axis=0)
    assert_close(graph.output(graph.stored(graph.conv(x, 5, 3, weights=weights), 0.2)))


def test_a_bias_that_is_a_float_and_comes_first():
    graph = qdq.Graph(4)
    y = graph.conv(graph.input(1, 6, 8, 8), 5, 3, bias=False)
    bias = graph.constant(graph.random.normal(0, 2, (5, 1, 1)).astype(np.float32))
    y = graph.node("Add", bias, y, shape=(1, 5, 8, 8))
    assert_close(graph.output(graph.stored(y, 0.3)))


def test_two_operators_of_one_name():
    graph = qdq.Graph(5)
    x = graph.stored(graph.conv(graph.input(1, 4, 8, 8), 8, 3, name="same"), 0.3)
    graph.output(graph.stored(graph.conv(x, 8, 3, name="same"), 0.9))
    assert len({each.name for each in split(graph).split.operators}) == 2
