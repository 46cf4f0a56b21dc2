"""Fewer operators, the same numbers: chains of operators run before and after on LiteRT's reference kernels."""

import functools
import math

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from targets.tflite_tools import parse_tflite
from targets.tflite_verify import verify_tflite
from toolchain.export.tflite import export_tflite
from toolchain.export.tflite_fuse import same_padding, simplify
from toolchain.frontend.zoo.resnet8 import resnet8

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


class Chain:
    """A file of operators in a row, built one by one."""

    def __init__(self, *shape):
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.subgraphs, self.model.operatorCodes = 3, [self.graph], []
        self.model.buffers = [schema.BufferT()]
        self.graph.tensors, self.graph.operators = [], []
        self.shape, self.last = shape, self._tensor("input", shape)
        self.graph.inputs = [self.last]

    def _tensor(self, name, shape, values=None):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.hasRank = name, list(shape), schema.TensorType.FLOAT32, True
        if values is not None:
            made.type = schema.TensorType.INT32 if values.dtype == np.int32 else made.type
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
        made.buffer = len(self.model.buffers) - 1 if values is not None else 0
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def add(self, kind, shape, *constants, options=None, source=None):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        self.model.operatorCodes.append(code)
        number = len(self.graph.operators)
        operator.opcodeIndex = number
        given = [self._tensor(f"constant {number}/{i}", v.shape, v) for i, v in enumerate(constants)]
        operator.inputs = [self.last if source is None else source, *given]
        if options is not None:
            name = type(options).__name__[:-1]
            operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, name), options
        self.shape, self.last = tuple(shape), self._tensor(f"{kind} {number}", shape)
        operator.outputs = [self.last]
        self.graph.operators.append(operator)
        return self

    def transpose(self, axes):
        return self.add("TRANSPOSE", [self.shape[axis] for axis in axes], np.array(axes, np.int32))

    def pad(self, rows, value=None):
        shape = [size + before + after for size, (before, after) in zip(self.shape, rows, strict=True)]
        extra = [] if value is None else [np.array(value, np.float32)]
        return self.add("PAD" if value is None else "PADV2", shape, np.array(rows, np.int32), *extra)

    def reduce(self, axes, *, keep=False, kind="MEAN"):
        options = schema.ReducerOptionsT()
        options.keepDims = keep
        inside = {axis % len(self.shape) for axis in axes}
        kept = [1 if i in inside else size for i, size in enumerate(self.shape) if keep or i not in inside]
        return self.add(kind, kept, np.array(axes, np.int32), options=options)

    def conv(self, channels, kernel, stride=1, dilation=1, *, depthwise=False):
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = dilation
        inner = self.shape[-1]
        outer = inner * channels if depthwise else channels
        if depthwise:
            options.depthMultiplier = channels
        weights = (1, kernel, kernel, outer) if depthwise else (outer, kernel, kernel, inner)
        values = np.random.default_rng(1).standard_normal(weights).astype(np.float32)
        shape = [self.shape[0], *(_valid(size, kernel, stride, dilation) for size in self.shape[1:3]), outer]
        bias = np.arange(outer, dtype=np.float32)
        return self.add("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", shape, values, bias, options=options)

    def max_pool(self, kernel, stride):
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideH = options.strideW = stride
        options.filterHeight = options.filterWidth = kernel
        shape = [self.shape[0], *(_valid(size, kernel, stride, 1) for size in self.shape[1:3]), self.shape[-1]]
        return self.add("MAX_POOL_2D", shape, options=options)

    def bytes(self, *outputs):
        self.graph.outputs = list(outputs) or [self.last]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _valid(size, kernel, stride, dilation):
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def run(data):
    engine = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1)
    engine.allocate_tensors()
    for row in engine.get_input_details():
        engine.set_tensor(row["index"], np.random.default_rng(2).standard_normal(row["shape"]).astype(np.float32))
    engine.invoke()
    return [engine.get_tensor(row["index"]) for row in engine.get_output_details()]


def kinds(data):
    return [operator.op for operator in parse_tflite(data, "file").operators]


def check(before, wanted):
    """The simplified file has these operators and computes the very same numbers."""
    after = simplify(before)
    assert kinds(after) == wanted
    verify_tflite(after, "simplified")
    for old, new in zip(run(before), run(after), strict=True):
        assert old.shape == new.shape
        assert np.array_equal(old, new), "the rewrite changed a number"
    assert simplify(after) == after, "there must be nothing left to simplify"
    return after


def test_nothing_to_do_gives_the_very_same_bytes():
    data = Chain(1, 6, 5, 3).conv(4, 3).max_pool(2, 2).bytes()
    assert simplify(data) is data


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation"), [(8, 3, 2, 1), (7, 3, 2, 1), (6, 4, 1, 1), (9, 3, 1, 2)]
)
def test_a_pad_that_means_same_goes_into_the_convolution(size, kernel, stride, dilation, depthwise):
    rows = [(0, 0), same_padding(size, kernel, stride, dilation), same_padding(size, kernel, stride, dilation), (0, 0)]
    data = Chain(1, size, size, 3).pad(rows).conv(2, kernel, stride, dilation, depthwise=depthwise).bytes()
    check(data, ["DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"])


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 0), (1, 1), (1, 1), (0, 0)],  # symmetric, where SAME has one row below only
        [(0, 0), (1, 0), (1, 0), (0, 0)],
        [(0, 0), (0, 1), (0, 1), (0, 1)],  # a channel is padded, too
    ],
)
def test_another_pad_stays(rows):
    check(Chain(1, 8, 8, 3).pad(rows).conv(2, 3, 2).bytes(), ["PAD", "CONV_2D"])


def test_padding_with_minus_infinity_goes_into_a_max_pool():
    rows = [(0, 0), (1, 1), (1, 1), (0, 0)]
    check(Chain(1, 6, 7, 2).pad(rows, -math.inf).max_pool(3, 1).bytes(), ["MAX_POOL_2D"])


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_padding_with_a_number_stays_before_a_max_pool(value):
    rows = [(0, 0), (1, 1), (1, 1), (0, 0)]
    check(Chain(1, 6, 7, 2).pad(rows, value).max_pool(3, 1).bytes(), ["PADV2", "MAX_POOL_2D"])


def test_the_way_of_resnet_8_from_pad_to_convolution():
    """The converter pads where channels come second: TRANSPOSE, PAD, TRANSPOSE, CONV_2D."""
    chain = Chain(1, 8, 8, 3).transpose(TO_FIRST).pad([(0, 0), (0, 0), (0, 1), (0, 1)]).transpose(TO_LAST)
    check(chain.conv(4, 3, 2).bytes(), ["CONV_2D"])


def test_resnet_8_keeps_nothing_but_its_layers(tmp_path):
    """As converted, it has two PADs and six TRANSPOSEs more, and takes a third longer in int8 (49 instead of 36 µs)."""
    image = {"image": np.ones((1, 3, 32, 32), np.float32)}
    exported = export_tflite(resnet8(), image, tmp_path / "resnet8.tflite")
    found = kinds(exported.path.read_bytes())
    assert {kind: found.count(kind) for kind in found} == {
        "CONV_2D": 9,
        "ADD": 3,
        "AVERAGE_POOL_2D": 1,
        "FULLY_CONNECTED": 1,
    }


def test_a_pad_with_readers_of_other_kinds_stays_where_it_is():
    chain = Chain(1, 8, 8, 3).transpose(TO_FIRST).pad([(0, 0), (0, 0), (0, 1), (0, 1)])
    padded = chain.last
    transposed = chain.transpose(TO_LAST).last
    chain.add("ABS", chain.graph.tensors[padded].shape, source=padded, options=schema.AbsOptionsT())
    check(chain.bytes(transposed, chain.last), ["TRANSPOSE", "PAD", "TRANSPOSE", "ABS"])


def test_outputs_of_the_graph_are_never_taken_away():
    chain = Chain(1, 2, 3, 4).transpose(TO_FIRST).transpose(TO_LAST)
    check(chain.bytes(), ["TRANSPOSE", "TRANSPOSE"])


def test_a_mean_takes_its_axes_where_they_are():
    check(Chain(1, 4, 5, 3).transpose(TO_FIRST).reduce((2, 3)).bytes(), ["MEAN"])
    check(Chain(1, 4, 5, 3).transpose(TO_FIRST).reduce((-1, -2), kind="REDUCE_MAX").bytes(), ["REDUCE_MAX"])


def test_a_mean_stays_behind_a_transpose_whose_order_shows():
    check(Chain(1, 4, 5, 3).transpose(TO_FIRST).reduce((0,)).bytes(), ["TRANSPOSE", "MEAN"])
    check(Chain(1, 4, 5, 3).transpose(TO_FIRST).reduce((2, 3), keep=True).bytes(), ["TRANSPOSE", "MEAN"])


axes = st.permutations(range(4))
steps = st.one_of(
    axes.map(lambda order: lambda chain: chain.transpose(order)),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=4, max_size=4).map(
        lambda rows: lambda chain: chain.pad(rows)
    ),
)
ends = st.one_of(
    st.just(lambda chain: chain),
    st.sets(st.integers(0, 3), min_size=1, max_size=3).map(lambda s: lambda chain: chain.reduce(sorted(s))),
    st.tuples(st.integers(1, 3), st.integers(1, 2)).map(lambda ks: lambda chain: chain.conv(2, *ks)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=5), ends)
def test_any_chain_keeps_its_numbers_and_gets_no_longer(middle, end):
    chain = functools.reduce(lambda made, step: step(made), middle, Chain(2, 3, 4, 5))
    assume(min(chain.shape[1:3]) >= 3)  # room for the convolution's window
    data = end(chain).bytes()
    after = simplify(data)
    assert len(kinds(after)) <= len(kinds(data))
    for old, new in zip(run(data), run(after), strict=True):
        assert old.shape == new.shape
        assert np.allclose(old, new, rtol=1e-5, atol=1e-5), f"{kinds(data)} became {kinds(after)}"


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 4), st.integers(1, 3))
def test_same_padding_is_what_its_definition_says(size, kernel, stride, dilation):
    """ceil(size / stride) windows, the last of which ends at the padded end or before; the odd zero lies behind."""
    before, after = same_padding(size, kernel, stride, dilation)
    reach = (kernel - 1) * dilation + 1
    windows = -(-size // stride)
    needed = [total for total in range(size + reach * 2) if (windows - 1) * stride + reach <= size + total]
    assert before + after == needed[0]
    assert after - before in (0, 1)


def test_constants_lie_on_multiples_of_16_bytes_and_leftovers_are_gone():
    chain = Chain(1, 8, 8, 3).transpose(TO_FIRST).pad([(0, 0), (0, 0), (0, 1), (0, 1)]).transpose(TO_LAST)
    file = parse_tflite(simplify(chain.conv(4, 3, 2).bytes()), "file")
    assert [tensor.data % 16 for tensor in file.tensors if tensor.constant] == [0, 0]
    assert len(file.tensors) == 4, "input, weights, bias and output"


def test_signatures_follow_their_tensors():
    chain = Chain(1, 8, 8, 3)
    chain.transpose(TO_FIRST).pad([(0, 0), (0, 0), (0, 1), (0, 1)]).transpose(TO_LAST).conv(4, 3, 2)
    definition, first, last = schema.SignatureDefT(), schema.TensorMapT(), schema.TensorMapT()
    first.name, first.tensorIndex, last.name, last.tensorIndex = "image", chain.graph.inputs[0], "map", chain.last
    definition.signatureKey, definition.inputs, definition.outputs = "serving_default", [first], [last]
    chain.model.signatureDefs = [definition]
    file = parse_tflite(simplify(chain.bytes()), "file")
    assert [(io.name, io.tensor.shape) for io in (*file.inputs, *file.outputs)] == [
        ("image", (1, 8, 8, 3)),
        ("map", (1, 4, 4, 4)),
    ]
