"""What is read from a file, and that files which contradict themselves are refused in words."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from graph_files import file, ints, main_graph, q8
from harness import shared_model, tensor, tiny

from profiles.errors import ConfigError, ModelError
from targets.tflite_micro.graph.ir import Quantization
from targets.tflite_micro.graph.read import parse_graph, read_graph
from targets.tflite_micro.graph.verify import Malformed, verify

SLIDE = {"strideH": 1, "strideW": 2, "padding": schema.Padding.SAME}
SLIDE |= {"fusedActivationFunction": schema.ActivationFunctionType.RELU_N1_TO_1}


def conv_model(**change):
    spec = {"image": q8((1, 4, 4, 2)), "weights": weights(), "out": q8((1, 4, 2, 3)), "options": SLIDE} | change
    return file([("CONV_2D", [0, 1], [2], spec["options"])], [spec["image"], spec["weights"], spec["out"]], [0], [2])


def weights(**change):
    values = np.arange(54).reshape(3, 3, 3, 2)
    return tensor((3, 3, 3, 2), "int8", [0.5, 0.25, 0.125], [0, 0, 0], data=values, **change)


def unpacked(model):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))


def packed(made):
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


# --- what is read ---------------------------------------------------------------------------------------


def test_tensors_and_options():
    graph = main_graph(conv_model())
    (op,) = graph.ops
    assert (op.kind, op.inputs, op.outputs) == ("CONV_2D", (0, 1, 3), (2,))
    wanted = {"padding": "same", "stride_h": 1, "stride_w": 2, "dilation_h_factor": 1}
    assert wanted.items() <= op.options.items() and op.options["fused_activation_function"] == "relu_n1_to_1"
    kernel = graph.tensor(1)
    assert kernel.quantization == Quantization((0.5, 0.25, 0.125), (0, 0, 0), 0)
    assert kernel.data is not None and np.array_equal(kernel.data, np.arange(54).reshape(3, 3, 3, 2))
    assert (graph.inputs, graph.outputs, graph.tensor(0).data) == ((0,), (2,), None)


def test_every_kind_of_operator_has_its_defaults_read():
    """One file per builtin operator: options are read by reflection, whatever the operator."""
    codes = {name: number for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    made = unpacked(file([("RELU", [0], [1], {})], [q8((1,)), q8((1,))], [0], [1]))
    seen = {}
    for name, number in codes.items():
        made.operatorCodes[0].builtinCode, made.operatorCodes[0].deprecatedBuiltinCode = number, min(number, 127)
        try:
            seen[name] = main_graph(packed(made)).ops[0].options
        except ModelError as error:  # not of one input and one output
            assert name in str(error) or name in ("CUSTOM", "PLACEHOLDER_FOR_GREATER_OP_CODES"), error
    assert len(seen) > 100
    assert seen["LEAKY_RELU"] == {"alpha": 0.0} and seen["ARG_MAX"] == {"output_type": "float32"}


def test_what_support_has_to_name_is_readable():
    model = unpacked(conv_model())
    model.subgraphs[0].tensors[1].type = schema.TensorType.INT4
    model.buffers[model.subgraphs[0].tensors[1].buffer].data = np.zeros(27, np.uint8)
    assert main_graph(packed(model)).tensor(1).dtype == "int4"
    model = unpacked(conv_model())
    model.subgraphs[0].tensors[1].sparsity = schema.SparsityParametersT()
    assert main_graph(packed(model)).tensor(1).dtype == "sparse int8"
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].customCode = b"CONV_2D"
    model.subgraphs[0].operators[0].builtinOptions = None
    model.subgraphs[0].operators[0].builtinOptionsType = 0
    assert main_graph(packed(model)).ops[0].kind == "custom CONV_2D"


def test_data_behind_the_flatbuffer_is_found():
    made = unpacked(conv_model())
    number = made.subgraphs[0].tensors[1].buffer
    values = bytes(bytearray(made.buffers[number].data))
    made.buffers[number].data = None
    made.buffers[number].offset, made.buffers[number].size = 1 << 20, len(values)
    body = packed(made)
    made.buffers[number].offset = len(body)
    body = packed(made)
    found = main_graph(body + values).tensor(1).data
    assert found is not None and found.tobytes() == values
    with pytest.raises(ModelError, match="a buffer has 54 bytes"):
        main_graph(body + values[:-1])


def test_float_tensors_have_no_quantization_and_one_zero_point_serves_all_scales():
    model = unpacked(conv_model())
    model.subgraphs[0].tensors[1].quantization.zeroPoint = [0]
    assert main_graph(packed(model)).tensor(1).quantization == Quantization((0.5, 0.25, 0.125), (0, 0, 0), 0)
    ends = [tensor((1,), "float32", 0.0, 9), tensor((1,), "float32")]
    assert main_graph(file([("ABS", [0], [1], {})], ends, [0], [1])).tensor(0).quantization is None


def test_names_are_printable_and_never_empty():
    model = unpacked(conv_model())
    model.subgraphs[0].tensors[0].name = b"a\n\x00*/b\xff"
    model.subgraphs[0].tensors[2].name = b""
    graph = main_graph(packed(model))
    assert (graph.tensor(0).name, graph.tensor(2).name) == ("a??*/b\N{REPLACEMENT CHARACTER}", "tensor 2")


def test_graphs_that_operators_call_are_kept():
    state = [tensor((), "resource"), q8((2,)), q8((2,)), q8((2,))]
    first = [tensor((), "resource"), q8((2,), data=[1, 2])]
    handle = ("VAR_HANDLE", [], [0], {"sharedName": "s"})
    ops = [("CALL_ONCE", [], [], {"initSubgraphIndex": 1}), handle, ("READ_VARIABLE", [0], [1], {})]
    ops += [("ADD", [1, 2], [3], {}), ("ASSIGN_VARIABLE", [0, 3], [], {})]
    init = ([handle, ("ASSIGN_VARIABLE", [0, 1], [], {})], first, [], [])
    model = parse_graph(tiny(ops, state, [2], [3], [init]), "test")
    assert [op.kind for op in model.main.ops][:2] == ["CALL_ONCE", "VAR_HANDLE"]
    assert model.main.ops[1].options["shared_name"] == "s" and model.main.tensor(0).dtype == "resource"
    assert [[op.kind for op in graph.ops] for graph in model.others] == [["VAR_HANDLE", "ASSIGN_VARIABLE"]]


@pytest.mark.parametrize("name", ["ic_resnet8_int8", "kws_dscnn_int8"])
def test_the_shared_models_are_read(name):
    graph = main_graph(shared_model(name))
    assert {"CONV_2D", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"} <= {op.kind for op in graph.ops}
    assert sum(one.elements for one in graph.tensors.values() if one.constant and one.dtype == "int8") > 20_000


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no model"):
        read_graph(tmp_path / "no model")
    (tmp_path / "x.tflite").write_bytes(conv_model())
    assert read_graph(tmp_path / "x.tflite").main.name == "x"


# --- what is refused ------------------------------------------------------------------------------------


def change(**attributes):
    """A file with members of the object API set: ``tensor1_shape=[...]``."""
    model = unpacked(conv_model())
    part = model.subgraphs[0]
    places = {"graph": part, "op": part.operators[0], "code": model.operatorCodes[0], "model": model}
    for path, value in attributes.items():
        where, name = path.split("_", 1)
        place = part.tensors[int(where[6:])] if where.startswith("tensor") else places[where]
        if name in ("scale", "zeroPoint", "quantizedDimension"):
            place = place.quantization
        assert hasattr(place, name)
        setattr(place, name, value)
    return packed(model)


REFUSED = {
    "dynamic": ({"tensor0_shape": [-1, 4, 4, 2]}, "dynamic shape"),
    "huge": ({"tensor0_shape": [1 << 16, 1 << 16, 1, 2]}, "2 GiB"),
    "overflow": ({"tensor0_shape": [1 << 30, 1 << 30, 1 << 30, 1 << 30]}, "2 GiB"),
    "many axes": ({"tensor0_shape": [1] * 9}, "9 axes"),
    "size of data": ({"tensor1_shape": [3, 3, 3, 3]}, "54 bytes"),
    "type of data": ({"tensor1_type": schema.TensorType.FLOAT32}, "54 bytes"),
    "buffer number": ({"tensor1_buffer": 99}, "buffer 99"),
    "scale of zero": ({"tensor1_scale": [0.5, 0.0, 0.5]}, "a scale of 0.0"),
    "negative scale": ({"tensor0_scale": [-1.0]}, "a scale of -1.0"),
    "scale not a number": ({"tensor0_scale": [float("nan")]}, "a scale of nan"),
    "infinite scale": ({"tensor0_scale": [float("inf")]}, "a scale of inf"),
    "zero point": ({"tensor0_zeroPoint": [128]}, "zero points 128"),
    "number of scales": ({"tensor1_scale": [0.5, 0.25]}, "2 scales"),
    "number of zero points": ({"tensor1_zeroPoint": [0, 0]}, "2 zero points"),
    "axis of scales": ({"tensor1_quantizedDimension": 3}, "axis 3"),
    "axis out of range": ({"tensor1_quantizedDimension": -5}, "axis -5"),
    "tensor number": ({"op_inputs": [0, 77]}, "tensor 77"),
    "left out": ({"op_inputs": [-1, 1, 3]}, "tensor -1"),
    "negative number": ({"op_outputs": [-1]}, "tensor -1"),
    "number of inputs": ({"op_inputs": [0]}, "1 inputs"),
    "number of outputs": ({"op_outputs": [2, 2]}, "2 outputs"),
    "reads itself": ({"op_inputs": [2, 1]}, "before anything writes it"),
    "writes a constant": ({"op_outputs": [1]}, "which is an input, a constant"),
    "writes an input": ({"op_outputs": [0]}, "which is an input"),
    "output number": ({"graph_outputs": [9]}, "tensor 9"),
    "output nobody computes": ({"graph_outputs": [0]}, "no operator computes"),
    "input twice": ({"graph_inputs": [0, 0]}, "twice"),
    "constant input": ({"graph_inputs": [0, 1]}, "constant"),
    "operator code": ({"op_opcodeIndex": 5}, "code 5"),
    "variable with data": ({"tensor1_isVariable": True}, "both a variable and a constant"),
    "float weights": ({"tensor1_type": schema.TensorType.BOOL}, "bool weights"),
    "types": ({"tensor2_type": schema.TensorType.UINT8}, "mixes the types int8, uint8"),
    "no graph": ({"model_subgraphs": []}, "no graph"),
    "shape": ({"tensor2_shape": [1, 4, 4, 3]}, "gives the shape"),
    "nothing": ({"tensor0_shape": [0, 4, 4, 2]}, "0"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_contradictions_are_refused(what):
    attributes, seen = REFUSED[what]
    with pytest.raises(ModelError, match=seen):
        main_graph(change(**attributes))


def test_options_of_another_operator_are_refused():
    model = unpacked(conv_model())
    model.subgraphs[0].operators[0].builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    model.subgraphs[0].operators[0].builtinOptions = schema.SoftmaxOptionsT()
    with pytest.raises(ModelError, match="a CONV_2D has SoftmaxOptions instead of Conv2DOptions"):
        main_graph(packed(model))


def test_options_that_are_not_finite_are_refused():
    model = file([("SOFTMAX", [0], [1], {"beta": float("inf")})], [q8((1, 2)), q8((1, 2))], [0], [1])
    with pytest.raises(ModelError, match="the option beta is inf"):
        main_graph(model)


def test_operators_in_an_order_that_does_not_run_are_refused():
    ops = [("RELU", [1], [2], {}), ("RELU", [0], [1], {})]
    with pytest.raises(ModelError, match="before anything writes it"):
        main_graph(file(ops, [q8((1,))] * 3, [0], [2]))
    with pytest.raises(ModelError, match="output of another operator"):
        main_graph(file([ops[1], ops[1]], [q8((1,))] * 3, [0], [1]))


@pytest.mark.parametrize("data", [b"", b"TFL3", bytes(100), b"\xff" * 64, b"PK\x03\x04" + bytes(64)])
def test_other_files_are_refused(data):
    with pytest.raises(ModelError, match="wanted a consistent TFLite model in test"):
        main_graph(data)


def test_every_truncation_is_refused():
    model = conv_model()
    for size in range(len(model)):
        with pytest.raises(ModelError):
            main_graph(model[:size])


def shared_tables(operators, inputs, copies):
    """A file in which ``operators`` entries are ``copies`` tables, all with one vector of ``inputs`` numbers."""
    builder = flatbuffers.Builder(1024)
    numbers = builder.CreateNumpyVector(np.zeros(inputs, np.int32))
    made = []
    for _ in range(copies):
        schema.OperatorStart(builder)
        schema.OperatorAddInputs(builder, numbers)
        made.append(schema.OperatorEnd(builder))
    places = vector(builder, [made[place % copies] for place in range(operators)])
    schema.SubGraphStart(builder)
    schema.SubGraphAddOperators(builder, places)
    graphs = vector(builder, [schema.SubGraphEnd(builder)])
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, graphs)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def vector(builder, offsets):
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def test_one_table_many_times_is_refused():
    """Sharing would make a small file a large one."""
    verify(shared_tables(10_000, 8, 10_000))
    with pytest.raises(Malformed, match="more tables than it has room for"):
        verify(shared_tables(100_000, 0, 1))


def test_one_vector_many_times_is_refused():
    """Thousands of operators with one long list of inputs would be gigabytes of numbers."""
    verify(shared_tables(3, 50_000, 3))
    with pytest.raises(Malformed, match="longer vectors than it has room for"):
        verify(shared_tables(5000, 50_000, 5000))


def test_constants_without_elements_are_constants():
    """RESHAPE to a scalar has a shape of no numbers."""
    tensors = [q8((1, 1)), ints(shape=(0,)), q8(())]
    assert main_graph(file([("RESHAPE", [0, 1], [2], {})], tensors, [0], [2])).tensor(1).constant
