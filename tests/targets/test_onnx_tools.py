import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from profiles.errors import ConfigError, ModelError, OutputError, UnsupportedError
from targets import onnx_tools
from targets.onnx_tools import (
    check_external_data,
    is_quantized,
    list_nodes,
    load_onnx,
    opset,
    parameter_count,
    save_onnx,
    tensor_bytes,
    weights,
    weights_bytes,
)


def array(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def build(nodes, constants=(), shape=(1, 4), out_shape=(1, 3)):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, out_shape)]
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def gemm():
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="fc")
    return build([node], [array("w", np.ones((4, 3), np.float32)), array("b", np.zeros(3, np.float32))])


def qdq():
    """x -> Q -> DQ -> MatMul with int8 weights behind a DQ."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zx"], ["xd"]),
        helper.make_node("DequantizeLinear", ["wq", "sw", "zw"], ["wd"]),
        helper.make_node("MatMul", ["xd", "wd"], ["y"]),
    ]
    constants = [
        array("sx", np.float32(0.1)), array("zx", np.int8(0)),
        array("wq", np.ones((4, 3), np.int8)), array("sw", np.float32(0.1)), array("zw", np.int8(0)),
    ]  # fmt: skip
    return build(nodes, constants)


def test_nodes_have_names_operators_and_the_types_of_their_inputs():
    (node,) = list_nodes(gemm())
    assert (node.name, node.op, node.domain, node.outputs) == ("fc", "Gemm", "", ("y",))
    assert node.inputs == ("x", "w", "b")
    assert node.input_dtypes == ("float32",) * 3


def test_types_of_inner_tensors_are_inferred_and_nameless_nodes_get_a_name():
    nodes = list_nodes(qdq())
    assert nodes[1].input_dtypes == ("int8", "float32", "int8")
    assert [node.name for node in nodes] == [
        "QuantizeLinear_0",
        "DequantizeLinear_1",
        "DequantizeLinear_2",
        "MatMul_3",
    ]


def test_counts_of_a_float_model():
    assert parameter_count(gemm()) == 4 * 3 + 3
    assert weights_bytes(gemm()) == 4 * (4 * 3 + 3)
    assert opset(gemm()) == 19
    assert not is_quantized(gemm())


def test_counts_of_a_quantized_model_leave_scales_and_zero_points_out():
    assert parameter_count(qdq()) == 4 * 3
    assert weights_bytes(qdq()) == 12 + 2 * 4 + 2 * 1
    assert is_quantized(qdq())


def test_weights_alone_behind_a_dequantization_do_not_make_a_model_quantized():
    model = qdq()
    del model.graph.node[:2]
    model.graph.node[1].input[0] = "x"
    assert not is_quantized(model), "weights are integers, arithmetic is in floating point"


def test_constant_nodes_and_branches_hold_weights_too():
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["k"], value=array("k", np.ones(5, np.float32)))],
        "then",
        [],
        [helper.make_tensor_value_info("k", TensorProto.FLOAT, (5,))],
    )
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    model = build([branch], [array("c", np.array(True))], out_shape=(5,))
    assert [name for name, _ in weights(model)] == ["c", "k", "k"]
    assert parameter_count(model) == 10


@pytest.mark.parametrize(
    ("kind", "count", "size"),
    [(TensorProto.INT4, 5, 3), (TensorProto.FLOAT16, 5, 10), (TensorProto.BFLOAT16, 5, 10), (TensorProto.INT64, 5, 40)],
)
def test_bytes_of_a_constant_follow_its_type(kind, count, size):
    assert tensor_bytes(TensorProto(data_type=kind, dims=[count])) == size


def test_equal_models_are_saved_as_equal_bytes(tmp_path):
    save_onnx(gemm(), tmp_path / "a.onnx")
    save_onnx(gemm(), tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert load_onnx(tmp_path / "a.onnx") == gemm()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"], "no partial file stays behind"


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="wanted to write"):
        save_onnx(gemm(), tmp_path / "nowhere" / "a.onnx")


def test_a_model_beyond_the_protobuf_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_tools, "PROTOBUF_LIMIT", 100)
    with pytest.raises(UnsupportedError, match="allowed: 100 B"):
        save_onnx(gemm(), tmp_path / "a.onnx")
    assert not any(tmp_path.iterdir()), "nothing is written"


def external(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save_model(
        gemm(), path, save_as_external_data=True, all_tensors_to_one_file=True, location="w.bin", size_threshold=0
    )
    return path


def test_weights_in_a_file_beside_the_model_are_read(tmp_path):
    model = load_onnx(external(tmp_path))
    assert np.array_equal(numpy_helper.to_array(dict(weights(model))["w"]), np.ones((4, 3), np.float32))


def test_a_missing_weights_file_is_named(tmp_path):
    path = external(tmp_path)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match=r"the values of 'w' lie in 'w\.bin', and there is no such file"):
        load_onnx(path)


def test_a_weights_file_that_is_too_short_is_named(tmp_path):
    path = external(tmp_path)
    (tmp_path / "w.bin").write_bytes(b"\0" * 20)
    with pytest.raises(ModelError, match=r"reach past the end of 'w\.bin'"):
        load_onnx(path)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", ""])
def test_weights_elsewhere_on_the_machine_are_refused(tmp_path, location):
    path = external(tmp_path)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = location
    with pytest.raises(ModelError, match="which is not beside the model"):
        check_external_data(model, path)


def test_a_missing_file_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_onnx(tmp_path / "nothing.onnx")


@pytest.mark.parametrize(("content", "words"), [(b"", "an empty file"), (b"no model", "cannot be decoded")])
def test_something_else_is_a_model_error(tmp_path, content, words):
    path = tmp_path / "odd.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        load_onnx(path)
