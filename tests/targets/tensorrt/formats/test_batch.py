"""Batches: for every graph that is accepted, N stacked samples give the N single outputs; the others are refused."""

import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from profiles.errors import UnsupportedError
from targets.base import Scheme
from targets.tensorrt.formats import batch_proof
from targets.tensorrt.formats.batch import own_batch, with_batch
from targets.tensorrt.formats.cast import rest_to_fp16
from targets.tensorrt.formats.fp8 import to_fp8
from targets.tensorrt.formats.int4 import to_int4

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, const, make, weights = nets["node"], nets["const"], nets["make"], nets["weights"]


def shape(name, *sizes):
    return const(name, sizes, np.int64)


def attention():
    """Two heads over six tokens and a class token: shapes with the batch, and a constant that must repeat."""
    nodes = [
        node("Concat", ["class", "x"], ["t"], name="with class token", axis=1),
        node("MatMul", ["t", "wq"], ["q"], name="queries"),
        node("Reshape", ["q", "heads"], ["q4"], name="split heads"),
        node("Transpose", ["q4"], ["qh"], perm=[0, 2, 1, 3]),
        node("Transpose", ["q4"], ["kh"], perm=[0, 2, 3, 1]),
        node("MatMul", ["qh", "kh"], ["s"], name="scores"),
        node("Softmax", ["s"], ["p"], axis=-1),
        node("MatMul", ["p", "qh"], ["o"], name="mix"),
        node("Transpose", ["o"], ["ot"], perm=[0, 2, 1, 3]),
        node("Reshape", ["ot", "joined"], ["y"], name="join heads"),
    ]
    constants = [
        weights("class", 1, 1, 8), weights("wq", 8, 8), shape("heads", 1, 7, 2, 4), shape("joined", 1, 7, 8),
    ]  # fmt: skip
    return make(nodes, constants, {"x": (1, 6, 8)}, {"y": (1, 7, 8)})


def recurrent():
    """An LSTM over five steps with initial states and lengths, the batch in the second place of its tensors."""
    nodes = [
        node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        node("LSTM", ["steps", "w", "r", "", "lengths", "h", "c"], ["states", "", ""], name="lstm", hidden_size=3),
        node("Reshape", ["states", "flat"], ["s"], name="drop direction"),
        node("Transpose", ["s"], ["y"], perm=[1, 0, 2]),
    ]
    constants = [
        weights("w", 1, 12, 4), weights("r", 1, 12, 3), const("lengths", [4], np.int32),
        weights("h", 1, 1, 3), weights("c", 1, 1, 3), shape("flat", 5, 1, 3),
    ]  # fmt: skip
    return make(nodes, constants, {"x": (1, 5, 4)}, {"y": (1, 5, 3)})


def upsampling():
    nodes = [
        node("Resize", ["x", "", "", "sizes"], ["r"], name="resize", mode="nearest"),
        node("GlobalAveragePool", ["r"], ["g"], name="squeeze"),
        node("Expand", ["g", "grown"], ["e"], name="excite"),
        node("Mul", ["r", "e"], ["m"]),
        node("Reshape", ["m", "open"], ["f"], name="flatten"),
        node("Reshape", ["f", "kept"], ["y"], name="keep batch"),
    ]
    constants = [
        shape("sizes", 1, 3, 8, 8),
        shape("grown", 1, 3, 8, 8),
        shape("open", -1, 192),
        shape("kept", 0, 3, 64),
    ]
    return make(nodes, constants, {"x": (1, 3, 4, 4)}, {"y": (1, 3, 64)})


def two_ends():
    """Two inputs, two outputs, one of them a class number."""
    nodes = [
        node("Add", ["a", "b"], ["sum"], name="sum"),
        node("Softmax", ["sum"], ["p"], axis=1),
        node("ArgMax", ["p"], ["class"], axis=1, keepdims=0),
    ]
    number = helper.make_tensor_value_info("class", TensorProto.INT64, [1])
    return make(nodes, [], {"a": (1, 6), "b": (1, 6)}, {"p": (1, 6), "class": number})


def quantized():
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "ws", "z4"], ["wd"], axis=0),
        node("Conv", ["d", "wd", "b"], ["c"], name="conv"),
        node("QuantizeLinear", ["c", "s", "z"], ["cq"]),
        node("DequantizeLinear", ["cq", "s", "z"], ["cd"]),
        node("Reshape", ["cd", "flat"], ["y"], name="view"),
    ]
    values = np.random.default_rng(2).integers(-127, 128, (4, 3, 3, 3))
    constants = [
        const("s", 0.03), const("z", 0, np.int8), const("w", values, np.int8), const("ws", np.full(4, 2e-3)),
        const("z4", np.zeros(4), np.int8), weights("b", 4), shape("flat", 1, 64),
    ]  # fmt: skip
    return make(nodes, constants, {"x": (1, 3, 6, 6)}, {"y": (1, 64)})


GRAPHS = [nets["cnn"], nets["mlp"], attention, recurrent, upsampling, two_ends, quantized]


def check(model, batch):
    """The oracle: each row of the batch against the model itself, in the test's own way."""
    rewritten = with_batch(model, batch)
    onnx.checker.check_model(rewritten)
    singles = nets["samples"](model, batch, seed=11)
    stacked = {name: np.concatenate([single[name] for single in singles]) for name in singles[0]}
    together = nets["run"](rewritten, stacked)
    for name, values in together.items():
        assert values.shape[0] == batch
        for row, single in enumerate(singles):
            wanted = nets["run"](model, single)[name][0]
            tolerance = 1e-5 * np.max(np.abs(wanted)) + 1e-7
            np.testing.assert_allclose(values[row], wanted, atol=tolerance, err_msg=f"{name}, sample {row} of {batch}")
    return rewritten


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
@pytest.mark.parametrize("batch", [2, 3, 8])
def test_stacked_samples_give_the_single_outputs(graph, batch):
    model = graph()
    before = model.SerializeToString()
    rewritten = check(model, batch)
    assert own_batch(rewritten) == batch
    assert model.SerializeToString() == before, "the model given must stay as it was"


def test_a_batch_of_the_models_own_size_changes_nothing():
    model = attention()
    assert with_batch(model, 1) == model


def test_from_a_batch_of_two_to_six():
    """A model made for two samples takes six, but not three: no sample of its own is half a batch."""
    two = with_batch(attention(), 2)
    six = with_batch(two, 6)
    singles = nets["samples"](attention(), 6, seed=3)
    together = nets["run"](six, {"x": np.concatenate([single["x"] for single in singles])})["y"]
    wanted = np.concatenate([nets["run"](attention(), single)["y"] for single in singles])
    np.testing.assert_allclose(together, wanted, atol=1e-5)
    with pytest.raises(UnsupportedError, match="batches of 2"):
        with_batch(two, 3)


@pytest.mark.parametrize("batch", [2, 4])
def test_narrow_formats_take_batches_too(tmp_path, batch):
    for name, model in (("cnn", nets["cnn"]()), ("mlp", nets["mlp"]())):
        folder = tmp_path / name
        folder.mkdir()
        source = nets["exported"](model, folder / "in.onnx")
        samples = nets["samples"](model, 4)
        made = [rest_to_fp16(model)]
        made.append(onnx.load(to_fp8(source, samples, nets["GPU"], Scheme("fp8"), folder).onnx))
        made.append(onnx.load(to_int4(source, nets["GPU"], Scheme("int4"), folder).onnx))
        for narrow in made:
            assert own_batch(with_batch(narrow, batch, samples)) == batch


def test_a_batch_compiles():
    model = with_batch(nets["cnn"](), 4)
    kernels = nets["schedule"](model, "fp32", "8.6").kernels
    assert any(tensor.dims[:1] == (4,) for kernel in kernels for tensor in kernel.outputs)


def simple(*nodes, constants=(), x=(1, 4, 6, 6), y=None):
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, list(y or x))
    return make(nodes, constants, {"x": x}, {"y": value})


def centred(*rest):
    """Each sample less the mean of the batch: right for one sample, and wrong for any other number."""
    return [
        node("Relu", ["x"], ["r"], name="before"),
        node("ReduceMean", ["r", "zero"], ["m"], name="mean over batch", keepdims=1),
        node("Add", ["r", "m"], ["c"], name="centre"),
        *rest,
    ]


MIXING = {
    "Softmax 'over batch'": simple(node("Softmax", ["x"], ["y"], name="over batch", axis=0)),
    "ReduceMean 'mean over batch'": simple(*centred(node("Relu", ["c"], ["y"])), constants=[shape("zero", 0)]),
    "CumSum 'running'": simple(
        node("CumSum", ["x", "zero"], ["y"], name="running"), constants=[const("zero", 0, np.int64)]
    ),
    "Gather 'always the first'": simple(
        node("Gather", ["x", "first"], ["g"], name="always the first", axis=0),
        node("Add", ["x", "g"], ["y"], name="add"),
        constants=[shape("first", 0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", MIXING)
@pytest.mark.parametrize("batch", [2, 4])
def test_graphs_that_mix_samples_are_refused_with_the_node(where, batch):
    with pytest.raises(UnsupportedError) as error:
        with_batch(MIXING[where], batch)
    assert f"part at {where}" in error.value.seen, error.value.seen


def test_mixing_that_the_outputs_do_not_show_is_refused():
    """All samples have the output 0, but the tensors before it are mixed: with other inputs it would show."""
    dead = [node("Mul", ["c", "nil"], ["y"], name="dead")]
    model = simple(*centred(*dead), constants=[shape("zero", 0), const("nil", 0.0)])
    with pytest.raises(UnsupportedError, match="mean over batch"):
        with_batch(model, 3)


def test_equal_outputs_alone_are_no_reason_to_refuse():
    model = simple(node("Mul", ["x", "nil"], ["y"], name="dead"), constants=[const("nil", 0.0)])
    assert own_batch(with_batch(model, 3)) == 3


def test_a_batch_folded_into_channels_is_refused_with_the_node():
    """Channels in front of the batch and then joined with it: shapes fit for one sample alone."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2, 3]),
        node("Reshape", ["t", "folded"], ["f"], name="fold"),
        node("Conv", ["f", "w"], ["y"], name="conv"),
    ]
    model = simple(*nodes, constants=[shape("folded", 1, 4, 6, 6), weights("w", 4, 4, 1, 1)])
    with pytest.raises(UnsupportedError, match="Reshape 'fold'"):
        with_batch(model, 2)


def test_shapes_that_do_not_fit_are_refused_with_the_node():
    model = simple(node("Reshape", ["x", "flat"], ["y"], name="no batch"), constants=[shape("flat", 144)], y=(144,))
    with pytest.raises(UnsupportedError, match="leading axes"):
        with_batch(model, 2)
    fixed = [node("Reshape", ["x", "flat"], ["f"], name="all in one"), node("Reshape", ["f", "back"], ["y"])]
    model = simple(*fixed, constants=[shape("flat", 144), shape("back", 1, 4, 6, 6)])
    with pytest.raises(UnsupportedError, match="all in one"):
        with_batch(model, 2)


def test_inputs_without_a_batch_are_refused():
    nodes = [node("Mul", ["x", "t"], ["y"], name="temperature")]
    model = make(nodes, [], {"x": (1, 4), "t": (4,)}, {"y": (1, 4)})
    with pytest.raises(UnsupportedError, match="4 of 't'"):
        with_batch(model, 2)


def test_the_proof_uses_the_samples_given(monkeypatch):
    seen = []
    run = batch_proof._run
    monkeypatch.setattr(
        batch_proof, "_run", lambda model, inputs, names: seen.append(inputs) or run(model, inputs, names)
    )
    given = [{"x": np.full((1, 64), value, np.float32)} for value in (1, 2)]
    with_batch(nets["mlp"](), 3, given)
    singles = [inputs["x"] for inputs in seen if len(inputs["x"]) == 1]
    assert singles[0].max() == 1 and singles[1].min() == 2 and len(singles) == 3
