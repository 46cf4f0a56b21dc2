"""Reading the compiler's schedule: real engines against what the compiler logged and against byte counts by hand, and
texts and bytes of all kinds."""

import json
import runpy
import struct
import time
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from onnx import TensorProto

from targets.tensorrt.compiler.build_session import Session
from targets.tensorrt.compiler.builder import build_engine
from targets.tensorrt.compiler.schedule import Schedule, read_schedule
from targets.tensorrt.compiler.schedule_text import ScheduleTextError, groups, parse, texts, value, words
from targets.tensorrt.plan import BuildPlan

pytest.importorskip("tensorrt_rtx")
nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, const, make, weights = nets["node"], nets["const"], nets["make"], nets["weights"]


def plan(*capabilities, precision="fp32"):
    return BuildPlan("tensorrt_rtx", precision, capabilities or ("8.6",))


def planned(model, *capabilities):
    return read_schedule(build_engine(model.SerializeToString(), plan(*capabilities), 1).engine)


def two_convolutions(kind=np.float32):
    """x (1, 8, 16, 16) by a 1x1 convolution to 16 channels, ReLU, and one to 8: no padding, no layout to change."""
    element = TensorProto.FLOAT if kind == np.float32 else TensorProto.FLOAT16
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="up"),
        node("Relu", ["a"], ["b"], name="relu"),
        node("Conv", ["b", "w2"], ["y"], name="down"),
    ]
    random = np.random.default_rng(1)
    constants = [
        const("w1", random.normal(size=(16, 8, 1, 1)), kind),
        const("w2", random.normal(size=(8, 16, 1, 1)), kind),
    ]
    ends = [nets["ends"]({name: (1, 8, 16, 16)}, element)[0] for name in ("x", "y")]
    return make(nodes, constants, {"x": ends[0]}, {"y": ends[1]})


@pytest.mark.parametrize(("kind", "name", "size"), [(np.float32, "fp32", 4), (np.float16, "fp16", 2)])
def test_bytes_of_two_convolutions_by_hand(kind, name, size):
    schedule = planned(two_convolutions(kind))
    convolutions = [kernel for kernel in schedule.kernels if kernel.kind == "convolution"]
    assert [kernel.nodes for kernel in convolutions] == [("up", "relu"), ("down",)]
    assert {kernel.precision for kernel in convolutions} == {name}
    pixels, parameters = 16 * 16, 8 * 16
    for kernel, (read, written) in zip(convolutions, [(8, 16), (16, 8)], strict=True):
        sizes = [tensor.bytes for tensor in kernel.inputs if tensor.constant and len(tensor.dims) == 4]
        assert sizes == [parameters * size], f"{kernel.name} should read its weights once"
        moved = sum(tensor.bytes for tensor in (*kernel.inputs, *kernel.outputs) if not tensor.constant)
        assert moved == (read + written) * pixels * size, f"{kernel.name} should read and write its activations once"
    assert schedule.executed() == {name: 2}


def test_device_memory_and_weights_are_those_that_the_compiler_logs():
    model = nets["cnn"]()
    with Session(plan(), "wanted a test") as session:
        session.read(model.SerializeToString())
        schedule = read_schedule(session.build(b"").engine)
    logged = {
        what: int(text.split(":")[1].split()[0])
        for message in session.log.messages
        for what in ("Total Activation Memory", "Total Weights Memory")
        if (text := message.text).startswith(what)
    }
    assert schedule.device_memory == logged["Total Activation Memory"]
    padded = logged["Total Weights Memory"]
    assert 0.95 * padded <= schedule.weights <= padded, "blocks of weights are padded to 256 bytes when loaded"


def test_every_layer_of_the_model_is_found_and_nothing_else():
    model = nets["cnn"]()
    schedule = planned(model)
    names = {one.name for one in model.graph.node}
    found = {name for kernel in schedule.kernels for name in kernel.nodes}
    assert found <= names, f"no nodes of the model: {found - names}"
    layers = {one.name for one in model.graph.node if one.op_type in ("Conv", "Gemm", "GlobalAveragePool")}
    assert layers <= found, f"not in any kernel: {layers - found}"


def test_all_weights_of_the_model_are_read():
    model = nets["cnn"]()
    read = {
        tensor.name: tensor.bytes for kernel in planned(model).kernels for tensor in kernel.inputs if tensor.constant
    }
    stored = sum(4 * int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.data_type == 1)
    assert stored <= sum(read.values()) <= stored + 64, "all weights once, and a few numbers for the arithmetic"


def test_one_schedule_holds_for_several_gpus():
    several = planned(two_convolutions(), "8.0", "8.6", "8.9", "12.0", "12.1")
    assert several.capabilities == ("8.0", "8.6", "8.9", "12.0", "12.1")
    assert len(several.kernels) == len(planned(two_convolutions()).kernels)


def quantized(per_tensor):
    scale = 0.02 if per_tensor else np.linspace(0.01, 0.02, 16)
    axis = {} if per_tensor else {"axis": 0}
    nodes = [
        node("QuantizeLinear", ["x", "s"], ["q"], name="in_q"),
        node("DequantizeLinear", ["q", "s"], ["d"], name="in_dq"),
        node("DequantizeLinear", ["w", "ws"], ["wd"], name="w_dq", **axis),
        node("Conv", ["d", "wd"], ["c"], name="conv"),
        node("QuantizeLinear", ["c", "s"], ["q2"], name="out_q"),
        node("DequantizeLinear", ["q2", "s"], ["y"], name="out_dq"),
    ]
    values = np.random.default_rng(2).integers(-127, 127, (16, 16, 1, 1))
    constants = [const("s", 0.05), const("w", values, np.int8), const("ws", scale)]
    return make(nodes, constants, {"x": (1, 16, 8, 8)}, {"y": (1, 16, 8, 8)})


@pytest.mark.parametrize("per_tensor", [True, False])
def test_an_int8_convolution_reads_int8_and_kernels_that_only_convert_are_told(per_tensor):
    model = quantized(per_tensor)
    schedule = planned(model).with_ops({one.name: one.op_type for one in model.graph.node})
    (convolution,) = [kernel for kernel in schedule.kernels if kernel.kind == "convolution"]
    assert convolution.precision == "int8"
    assert convolution.inputs[0].bytes == 16 * 8 * 8, "one byte for each number that it reads"
    assert convolution.outputs[0].dtype == "fp32", "TensorRT-RTX's int8 convolution writes float"
    others = [kernel for kernel in schedule.kernels if kernel is not convolution]
    assert schedule.conversions == tuple(others), "around the convolution there is nothing but Q/DQ"
    assert schedule.executed() == {"int8": 1}


def test_branches_events_and_copies_are_no_compute_kernels():
    from onnx import helper

    def branch(op, output):
        value = helper.make_tensor_value_info(output, TensorProto.FLOAT, (4,))
        return helper.make_graph([node(op, ["x"], [output], name=f"inner_{op}")], output, [], [value])

    choice = node("If", ["c"], ["y"], name="choose", then_branch=branch("Relu", "a"), else_branch=branch("Neg", "b"))
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, (1,))
    schedule = planned(make([choice], [], {"x": (4,), "c": condition}, {"y": (4,)}))
    kinds = {kernel.kind for kernel in schedule.kernels}
    assert kinds <= {"generated", "memory"}, f"of jumps and branches nothing is launched: {kinds}"
    named = {name for kernel in schedule.kernels for name in kernel.nodes}
    assert {"inner_Relu", "inner_Neg"} <= named, f"inner nodes without the path to them: {named}"


@pytest.mark.parametrize("name", ['quote " inside', "brace } {", "back\\slash", "line\nbreak", "ümlaut", "= sign ={ x"])
def test_names_of_any_kind_survive(name):
    model = make([node("Softmax", ["x"], ["y"], name=name, axis=1)], [], {"x": (1, 10)}, {"y": (1, 10)})
    assert [kernel.nodes for kernel in planned(model).kernels] == [(name,)]


def test_a_schedule_survives_json():
    schedule = planned(nets["cnn"](), "8.6", "8.9").with_ops({"first": "Conv"}, "TensorRT-RTX 1.7")
    assert Schedule.from_dict(json.loads(json.dumps(schedule.as_dict()))) == schedule


def test_an_engine_without_a_schedule_is_an_empty_schedule_with_a_reason():
    for content in (b"", b"vtrt" + bytes(200), b"header {" * 5, b"NLYM" + bytes(12) + b"header {"):
        schedule = read_schedule(content)
        assert schedule.kernels == ()
        assert schedule.reason, f"no reason given for {content[:20]!r}"


def block(text):
    content = text.encode()
    return b"NLYM" + struct.pack("<IQ", 0x1EDAA1, len(content)) + content


TEXT = """header { version = 5
  region = { name=devmem size=1000 place=accelerator }
  region = { name=host size=7 place=host }
  region = { name=c size=9 place=accelerator constant=true }
  accelerators={sm86 sm120 }
}
descriptors {
  tensor={ dims={ 2 3 } name="a" region="devmem" type=half }
  tensor={ const_payload_size=6 dims={ 5 } name="w" offset=0 region=c type=int4 }
  tensor={ const_payload_size=6 dims={ 5 } name="w2" offset=0 region=c type=int4 }
  tensor={ dims={ 99 } is_scratchspace=1 name="s" region="devmem" type=int8 }
}
main { label bb1:
  newkind={ name="odd" input={"a" "w" "s" "a" "?"} output={"b"} layers="[ONNX Layer: one]\x1f[ONNX Layer: two]" }
  signal={ name="e" }
}
"""


def test_an_unknown_entry_is_kept_as_other():
    schedule = read_schedule(b"junk" + block(TEXT) + b"junk")
    assert schedule.capabilities == ("8.6", "12.0")
    assert (schedule.device_memory, schedule.weights) == (1000, 6), "constants with one place are one constant"
    (kernel,) = schedule.kernels
    assert (kernel.kind, kernel.nodes) == ("other", ("one", "two"))
    assert [(tensor.name, tensor.bytes) for tensor in kernel.inputs] == [("a", 12), ("w", 3), ("?", 0)]
    assert kernel.precision == "fp16"


@hypothesis.given(st.binary(max_size=200), st.integers(0, len(TEXT)), st.text(max_size=30))
@hypothesis.settings(max_examples=30, deadline=None)
def test_damaged_texts_raise_nothing(junk, cut, inserted):
    damaged = TEXT[:cut] + inserted + TEXT[cut:]
    for content in (junk, block(damaged), block(damaged)[:cut], damaged.encode(), junk + block(damaged)[5:]):
        schedule = read_schedule(content)
        assert bool(schedule.kernels) != bool(schedule.reason), "kernels, or why there are none"


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        ('"' * 500_000, ""),
        ('"\\' * 250_000, ""),
        ("{" * 500_000, "nested"),
        ("a={ " * 9 + "}" * 500_000, ""),
        ("x " * 250_000, ""),
        ("9" * 500_000, ""),
        ("=" * 500_000, ""),
    ],
)
def test_hostile_texts_take_time_in_proportion(hostile, reason):
    start = time.process_time()
    schedule = read_schedule(block("header { accelerators={sm86 } }\nmain { " + hostile))
    assert reason in schedule.reason
    assert time.process_time() - start < 5, "half a megabyte takes a fraction of a second"


def test_more_text_than_any_engine_has_is_not_read():
    content = block("header { " + " " * (1 << 22)) * 3
    assert "more than" in read_schedule(content).reason


def test_huge_numbers_are_not_computed_with():
    text = TEXT.replace("size=1000", f"size={'9' * 50}").replace("2 3", " ".join(["9" * 18] * 40))
    schedule = read_schedule(block(text))
    assert schedule.device_memory == 0
    assert len(schedule.kernels[0].inputs[0].dims) <= 16


def test_items_by_hand():
    items = parse('a=1 b={ x "y z" c="q\\"\\\\" } d { e=f } binary = 0 tail')
    assert items == [
        ("a", "1"),
        ("b", [("", "x"), ("", "y z"), ("c", 'q"\\')]),
        ("d", [("e", "f")]),
        ("binary", "0"),
        ("", "tail"),
    ]
    assert value(items, "a") == "1"
    assert words(items, "b") == ["x", "y z"]
    assert [key for key, _ in groups(items)] == ["b", "d"]


_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)


def _render(items):
    quote = {ord('"'): '\\"', ord("\\"): "\\\\"}
    parts = []
    for key, found in items:
        if isinstance(found, list):
            parts.append(f"{key}={{ {_render(found)} }}")
        else:
            parts.append(f'{key}="{found.translate(quote)}"')
    return " ".join(parts)


_KEYS = st.from_regex(r"[a-z_]{1,6}", fullmatch=True)
_ITEMS = st.recursive(
    st.lists(st.tuples(_KEYS, _WORDS), max_size=4),
    lambda inner: st.lists(st.tuples(_KEYS, st.one_of(_WORDS, inner)), max_size=4),
    max_leaves=10,
)


@hypothesis.given(_ITEMS)
@hypothesis.settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(items):
    assert parse(_render(items)) == items


def test_a_block_ends_where_it_says():
    first, second = block("header { a=1 }"), block("header { b=2 }")
    assert list(texts(first + b"more text" + second)) == ["header { a=1 }", "header { b=2 }"]
    lying = b"NLYM" + struct.pack("<IQ", 1, 1 << 40) + b"header { c=3 }\0rest"
    assert list(texts(lying)) == ["header { c=3 }"], "a length beyond the file is not believed"


def test_groups_too_deep_are_an_error():
    with pytest.raises(ScheduleTextError, match="deep"):
        parse("a={ " * 20)
