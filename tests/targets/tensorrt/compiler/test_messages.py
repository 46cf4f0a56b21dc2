"""What TensorRT says, in our words: provoked with the real library where that is possible, else as others saw it."""

import gc
import runpy
import subprocess
import sys
import traceback
import weakref
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from profiles.errors import (
    EdgewrightError,
    MissingToolError,
    ModelError,
    ToolCrashError,
    UnsupportedError,
    VerificationError,
)
from targets.tensorrt.compiler.build_session import Session
from targets.tensorrt.compiler.builder import ask_parser, build_engine
from targets.tensorrt.compiler.message_rows import ROWS
from targets.tensorrt.compiler.messages import Fault, fault_error, fault_reason, message_error, said, tidy
from targets.tensorrt.plan import BuildPlan

trt = pytest.importorskip("tensorrt_rtx")
faulty = runpy.run_path(str(Path(__file__).parents[1] / "faulty.py"))
one, pair, const = faulty["one"], faulty["pair"], faulty["const"]
PRINTED = faulty["PRINTED"]
ROOT = Path(__file__).parents[4]

#: Model, class of the error, words that must be in it.
REFUSED = {
    "integer bias": (faulty["integer_bias"], UnsupportedError, ("node 'bias_dq' (DequantizeLinear)", "biases", "Int8")),
    "mixed weights": (lambda: faulty["convolution"](half_weights=True), ModelError, ("'layer1/conv' (Conv)", "Half")),
    "mixed sum": (
        lambda: one("Add", inputs=("x", "h"), constants=[const("h", [1] * 8, np.float16)]),
        ModelError,
        ("'blocks.3/odd' (Add)", "Float and Half"),
    ),
    "unknown operator": (lambda: one("Frobnicate"), UnsupportedError, ("(Frobnicate)", "does not know", ".cpp:")),
    "known, not there": (
        lambda: one("BitShift", kind=TensorProto.UINT8, inputs=("x", "x"), direction="LEFT"),
        UnsupportedError,
        ("(BitShift)", "does not have"),
    ),
    "zero point": (lambda: pair(zero=3), UnsupportedError, ("node 'quantize'", "zero point", "symmetric")),
    "unsigned": (lambda: pair(kind=np.uint8), UnsupportedError, ("uint8", "silently", "int8 with zero point 0")),
    "negative scale": (lambda: pair(scale=-0.1), ModelError, ("node 'quantize'", "scale")),
    "channels": (lambda: faulty["convolution"](group=2), ModelError, ("'layer1/conv'", "channels")),
    "indices": (faulty["two_outputs"], UnsupportedError, ("second output of MaxPool",)),
    "strings": (lambda: one("StringConcat", kind=TensorProto.STRING, inputs=("x", "x")), UnsupportedError, ("type",)),
    "weights outside": (faulty["outside"], ModelError, ("weights", "one file")),
    "input of nobody": (lambda: one("Relu", inputs=("nobody",)), ModelError, ("'blocks.3/odd'", "no operator gives")),
    "half a file": (lambda: faulty["convolution"]().SerializeToString()[:60], ModelError, ("no ONNX model",)),
    "no file": (lambda: b"hello, this is not an ONNX model", ModelError, ("no ONNX model",)),
    "empty": (lambda: b"", ModelError, ("no ONNX model",)),
    "dynamic": (faulty["unfixed"], UnsupportedError, ("'x' has the shape ?x8", "fixed shapes", "--input")),
    "suppression": (faulty["suppression"], UnsupportedError, ("heads/nms", "no kernel")),
}


def plan(capability="8.6", **more):
    return BuildPlan("tensorrt_rtx", "fp32", (capability,), **more)


def error_of(model, planned=None):
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(EdgewrightError) as caught:
        build_engine(content, planned or plan(), 1)
    return caught.value


def check(error, kind, words):
    assert type(error) is kind, f"{type(error).__name__}: {error}"
    missing = [word for word in words if word not in str(error)]
    assert not missing, f"{missing} not in: {error}"
    for noise in ("/_src/", "Error Code", "catchCudaError"):
        assert noise not in str(error), f"the library's own words reached the user: {error}"


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_model_is_explained(case):
    make, kind, words = REFUSED[case]
    check(error_of(make()), kind, ("wanted a TensorRT-RTX engine (fp32, batch 1)", *words))


def test_old_gpus_without_fp32_products_are_named():
    error = error_of(faulty["gemm"](), plan("7.5"))
    check(error, UnsupportedError, ("FP32 GEMM is not supported", "SM75", "8.0 and later", "engines_for"))


def test_fp8_on_gpus_without_it_is_named():
    check(error_of(faulty["fp8"](), plan("8.0")), UnsupportedError, ("fp8_e4m3 on sm80", "8.9", "int8"))


@pytest.mark.parametrize("capability", ["8.7", "9.0", "10.0", "11.0"])
def test_gpus_that_cannot_be_compiled_for_are_named_with_those_that_can(capability):
    error = error_of(faulty["gemm"](), plan(capability))
    check(error, UnsupportedError, (f"compute capability {capability}", "8.6, 8.9, 12.0, 12.1", 'library = "tensorrt"'))


@pytest.mark.parametrize("workspace", [0, 1024])
def test_a_workspace_too_small_for_any_kernel_is_named(workspace):
    check(error_of(faulty["convolution"](), plan(workspace=workspace)), UnsupportedError, ("workspace", "64 MiB"))


def test_where_a_layer_came_from_is_told():
    with pytest.raises(
        UnsupportedError, match=r"node 'blocks.3/odd' \(Frobnicate\), model.py:12: does not know|model.py"
    ):
        build_engine(one("Frobnicate").SerializeToString(), plan(), 1, locate=lambda name: f"model.py:12 made {name}")
    with pytest.raises(UnsupportedError, match="layer 'head/fc', of head/fc"):
        build_engine(faulty["gemm"]().SerializeToString(), plan("7.5"), 1, locate=lambda name: f"of {name}")


def first_row(text):
    return next((row for row in ROWS if row.match(text)), None)


#: Provoked by the tests above, and without a driver.
ALSO = (
    "Cannot compile operation 'fc' for Turing (SM75): FP32 GEMM is not supported. In compileGraph",
    "Cannot compile for target(s) sm80, because the model contains HW-specific datatypes: fp8_e4m3. In compileGraph",
    "Tactic Selection: no tactics to implement the operation within workspace limit.",
    "Assertion !layerImpls.empty() failed. nms_0 has no runners that implement it In getSupportedFormats",
    "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (Network must have at least one output.",
    *PRINTED,
)


def test_every_row_of_the_table_has_been_seen():
    texts = [text for make, kind, _ in REFUSED.values() if kind in (UnsupportedError, ModelError)
             for text in told(make())] + list(ALSO)  # fmt: skip
    seen = {row.pattern for row in map(first_row, texts) if row}
    unseen = [row.pattern for row in ROWS if row.pattern not in seen]
    assert not unseen, f"nobody has ever printed this: {unseen}"


def told(model):
    """What the parser says of a model, as the table sees it."""
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with Session(plan(), "wanted a test") as session:
        session.parser.parse(content)
        errors = [session.parser.get_error(index) for index in range(session.parser.num_errors)]
        parsed = [(error.func(), error.desc()) for error in errors]
        return [f"In function {f}: {d}" if d == "false" else d for f, d in parsed] + said(session.log.messages, 2)


@pytest.mark.parametrize("text", PRINTED, ids=lambda text: PRINTED[text])
def test_what_was_printed_elsewhere_is_explained(text):
    error = message_error(
        "wanted an engine", ["harmless", text, "[checkMacros.cpp::catchCudaError::250] (cudaError 9)"]
    )
    assert PRINTED[text] in error.seen, error
    assert "Error Code" not in error.seen
    kinds = {"driver": MissingToolError, "GPU that this": MissingToolError, "engine": VerificationError}
    expected = next((kind for word, kind in kinds.items() if word in error.seen), None)
    assert expected is None or type(error) is expected or "kernel" in error.seen


def test_the_missing_driver_is_not_blamed_for_a_fault_of_the_model():
    driver = next(text for text in PRINTED if "cudaError 35" in text)
    typed = "API Usage Error (a: input has type Int32 but must have type Int8. In checkType at /_src/x.cpp:1)"
    assert isinstance(message_error("wanted", [typed, driver]), UnsupportedError)
    assert isinstance(message_error("wanted", [driver]), MissingToolError)


def test_an_unknown_message_is_passed_on_without_the_librarys_own_lines():
    text = "IBuilder::x: Error Code 4: API Usage Error (The moon is in the wrong phase. In y at /_src/moon.cpp:7)"
    error = message_error("wanted an engine", [text])
    assert (type(error), error.seen) == (ToolCrashError, "The moon is in the wrong phase")
    assert message_error("wanted", []).seen == "no engine, and no reason given"


def test_the_kind_of_an_unknown_fault_follows_the_parsers_code():
    codes = {"UNSUPPORTED_NODE_ATTR": UnsupportedError, "INVALID_GRAPH": ModelError, "INTERNAL_ERROR": ToolCrashError}
    for code, kind in codes.items():
        error = fault_error("wanted", [Fault("n", "Op", 0, code, "odd", "a.cpp:1", stack=("inner", "outer"))])
        assert type(error) is kind
        assert "node 'n' (Op) in function inner in outer: odd (a.cpp:1)" in error.seen
    assert isinstance(fault_error("wanted", []), ToolCrashError)


def test_the_fault_that_is_understood_comes_first_and_the_others_are_counted():
    faults = ask_parser(
        faulty["make"](
            [
                faulty["node"]("Frobnicate", ["x"], ["a"], name="first"),
                faulty["node"]("BitShift", ["z", "z"], ["y"], name="second", direction="LEFT"),
            ],
            [const("z", [1], np.uint8)],
            {"x": (1,)},
            {"y": (1,)},
        ).SerializeToString(),
        plan(),
    ).faults
    assert [fault.node for fault in faults] == ["first", "second"]
    odd = Fault("odd", "Op", 0, "INTERNAL_ERROR", "something else", "a.cpp:1")
    error = fault_error("wanted", [odd, *faults])
    assert "node 'first'" in error.seen
    assert "2 more" in error.seen
    assert fault_reason(odd) == "something else"


TIDY = {
    "Invalid Node - conv\n[checkMacros.cpp::catchCudaError::250] x\nAssertion failed: (a == b): Sizes differ.":
        "(a == b): Sizes differ",
    "ITensor::getDimensions: Error Code 4: API Usage Error (c: not of same type. In validate at /_src/a.cpp:88)":
        "c: not of same type",
    "[runtime.cpp::readHeader::765] Error Code 2: Internal Error (Too short. In readHeader at /_src/r.cpp:7)":
        "Too short",
    "something else": "something else",
    "Invalid Node - conv": "Invalid Node - conv",
    "": "",
}  # fmt: skip


@pytest.mark.parametrize("text", TIDY)
def test_tidy_keeps_what_a_person_can_read(text):
    assert tidy(text).removeprefix("(") == TIDY[text].removeprefix("(")


#: A logger that frees another builder while the library, inside of making one, calls it; and one that lets us do so.
_FREED = """
import gc, sys
import tensorrt_rtx as trt
from targets.tensorrt.compiler.messages import uncollected

class Node:
    pass

class Log(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
    def log(self, severity, text):
        if gc.isenabled():
            gc.collect()

def leave_a_builder_in_a_cycle(log):
    node = Node()
    node.builder, node.self = trt.Builder(log), node

gc.disable()
first, second = Log(), Log()
leave_a_builder_in_a_cycle(first)
gc.enable()
with uncollected():
    trt.Builder(second)
print("done", gc.isenabled())
"""


def test_a_builder_is_not_collected_while_another_is_made():
    """Without this, both wait for one lock forever."""
    done = subprocess.run(
        [sys.executable, "-c", _FREED], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.stdout.strip() == "done True", done.stderr


def test_errors_keep_nothing_of_the_library_alive():
    log = weakref.ref(caught_log())
    gc.collect()
    error = error_of(faulty["integer_bias"]())
    kept = [value for frame, _ in traceback.walk_tb(error.__traceback__) for value in frame.f_locals.values()]
    libraries = [value for value in kept if type(value).__module__.startswith("tensorrt")]
    assert not libraries, f"the traceback keeps {libraries}"
    assert log() is None


def caught_log():
    with Session(plan(), "wanted a test") as session:
        return session.log
