"""The kit for TFLM: the arrays are the file, the headers compile, and the arena is the smallest that runs."""

import ctypes
import re
import shutil
import subprocess
import sys

import harness
import numpy as np
import pytest
from harness import tensor
from many import Many, image
from test_lstm import lstm
from test_transpose_conv import CASES, add
from test_variables import streaming

from profiles.errors import MissingToolError, UnsupportedError
from targets.tflite_micro import tflm_arena
from targets.tflite_micro.graph.read import parse_graph
from targets.tflite_micro.tflm_arena import do_arena, estimate_target, find_arena
from targets.tflite_micro.tflm_kit import add_method, count_resources, write_kit

#: What TFLM's header declares, as far as the kit uses it.
STUB = """
#pragma once
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
template <unsigned int n> struct MicroMutableOpResolver {
  unsigned int added = 0;
  TfLiteStatus Add() { return added++ < n ? kTfLiteOk : kTfLiteError; }
METHODS
};
}
"""
MAIN = """
#include "NAME_model.h"
#include "NAME_ops.h"
extern "C" unsigned long size() { return NAME_model_size; }
extern "C" const unsigned char *data() { return NAME_model; }
extern "C" int ops() {
  NAME_resolver resolver;
  return NAME_add_ops(resolver) == kTfLiteOk ? static_cast<int>(resolver.added) : -1;
}
"""


def write(folder, model, name):
    path = folder / "model.tflite"
    path.write_bytes(model)
    return write_kit(path, folder / "kit", name)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit")
    many = add(Many(), CASES[0], seed=1).add("TANH", [image((1, 8), 0.05)], [image((1, 8), 1 / 128, 0)])
    return folder / "kit", many.model(), write(folder, many.model(), "wake-word 2")


def test_the_array_is_the_file_and_the_resolver_has_room_for_exactly_its_operators(kit):
    folder, model, report = kit
    methods = [add_method(kind) for kind in report["operators"]]
    stub = folder / "tensorflow" / "lite" / "micro"
    stub.mkdir(parents=True)
    lines = "\n".join(f"  TfLiteStatus {method}() {{ return Add(); }}" for method in methods)
    (stub / "micro_mutable_op_resolver.h").write_text(STUB.replace("METHODS", lines))
    (folder / "main.cc").write_text(MAIN.replace("NAME", "wake_word_2"))
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{folder}", "-fno-exceptions"]
    built = folder / "kit.so"
    subprocess.run(["g++", *flags, "-o", built, folder / "main.cc", folder / "wake_word_2_model.cc"], check=True)
    library = ctypes.CDLL(str(built))
    library.size.restype, library.data.restype = ctypes.c_ulong, ctypes.c_void_p
    assert ctypes.string_at(library.data(), library.size()) == model
    assert library.data() % 16 == 0, "the array is not aligned"
    assert library.ops() == len(report["operators"]) == 2
    assert "wake_word_2_resource_variables = 0;" in (folder / "wake_word_2_ops.h").read_text()


def test_resource_variables_are_counted_by_name():
    assert count_resources(parse_graph(streaming(), "test")) == 1


def test_it_compiles_for_a_microcontroller_without_a_cxx_library(kit):
    compiler = shutil.which("arm-none-eabi-g++")
    assert compiler, "install gcc-arm-none-eabi"
    flags = ["-mcpu=cortex-m4", "-mthumb", "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, kit[0] / "wake_word_2_model.cc"], check=True)


def test_the_arena_is_the_smallest_that_runs(kit, tmp_path):
    host = kit[2]["arena"]["host"]
    path = tmp_path / "model.tflite"
    path.write_bytes(kit[1])
    assert tflm_arena._fits(path, host, 60.0)
    assert not tflm_arena._fits(path, host - 1, 60.0)
    header = (kit[0] / "wake_word_2_model.h").read_text()
    assert f"arena_host = {host};" in header and f"arena_estimate = {kit[2]['arena']['target']};" in header
    assert re.search(r"SHA-256 [0-9a-f]{64}", header)


def test_the_estimate_for_a_32_bit_core_shrinks_only_what_has_pointers():
    record = {"NodeAndRegistration struct": 64 * 3, "TfLiteEvalTensor data": 24 * 5, "Persistent buffer data": 999}
    assert estimate_target(10_000, record) == 10_000 - 32 * 3 - 12 * 5


def test_tflm_computes_what_the_kit_was_made_for(tmp_path):
    from tflite_micro import runtime

    model = add(Many(), CASES[0], seed=1).model()
    (sample,) = harness.random_samples(model, 5)[4]
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=find_arena(path).host)
    interpreter.set_input(sample, 0)
    interpreter.invoke()
    assert np.array_equal(interpreter.get_output(0), harness.reference(model, [[sample]])[0][0])


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("CONV_2D", "AddConv2D"), ("DEPTHWISE_CONV_2D", "AddDepthwiseConv2D"), ("L2_POOL_2D", "AddL2Pool2D"),
        ("PADV2", "AddPadV2"), ("ADD_N", "AddAddN"), ("BATCH_TO_SPACE_ND", "AddBatchToSpaceNd"), ("SVDF", "AddSvdf"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "AddUnidirectionalSequenceLSTM"), ("SignalPCAN", "AddPCAN"),
    ],
)  # fmt: skip
def test_methods_have_the_names_of_tflm(kind, method):
    assert add_method(kind) == method


def test_an_operator_that_tflm_lacks_is_refused(tmp_path):
    tensors = [tensor((1, 4), "float32"), tensor((1, 4), "float32")]
    model = harness.tiny([("GELU", [0], [1], {})], tensors, [0], [1])
    with pytest.raises(UnsupportedError) as caught:
        write(tmp_path, model, "gelu")
    assert caught.value.seen == "GELU"


def test_what_tflm_says_against_a_model_is_told(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(lstm(inside=()))
    with pytest.raises(UnsupportedError) as caught:
        find_arena(path)
    assert "intermediate tensor with non-zero size" in caught.value.seen


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(MissingToolError) as caught:
        do_arena({"path": "", "size": 1}, print)
    assert "pip install tflite-micro" in caught.value.next_step
