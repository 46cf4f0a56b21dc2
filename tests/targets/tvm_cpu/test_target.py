"""The four verbs: refusals, the process of the compiler, what travels to a device."""

import pytest
from tvm_networks import classifier

from profiles.device import load_device
from profiles.errors import MissingToolError, ToolCrashError, UnsupportedError
from targets.base import Scheme
from targets.registry import load_target
from targets.runtime import runtime_modules
from targets.tvm_cpu import compile_worker

TARGET = load_target("tvm_cpu")


def test_a_compiler_that_is_missing_is_named_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    model = classifier(tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError):
        TARGET.compile(model, load_device("cortex-m4-an386"), tmp_path)
    try:
        TARGET.compile(model, load_device("raspberry-pi-5"), tmp_path)
    except MissingToolError as error:
        assert "g++-aarch64-linux-gnu" in error.next_step
    else:
        pytest.fail("compiled without a compiler")


def test_only_fp32_is_made(tmp_path):
    model = classifier(tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError):
        TARGET.quantize(model, [], load_device("local-cpu"), Scheme("int8"), tmp_path)
    assert TARGET.quantize(model, [], load_device("local-cpu"), Scheme("fp32"), tmp_path) is model


def test_tvm_works_in_a_process_of_its_own_and_its_death_is_an_error(tmp_path, monkeypatch):
    model = classifier(tmp_path / "m.onnx")
    known, problem = compile_worker.ask_apart(model.onnx)
    assert {"Conv", "Gemm"} <= known
    assert problem == ""
    monkeypatch.setattr(compile_worker.execute, "python_argv", lambda *words: ["/bin/sh", "-c", "kill -SEGV $$"])
    other = classifier(tmp_path / "another name.onnx")
    with pytest.raises(ToolCrashError, match=r"TVM, while compiling the model, ended without a result"):
        compile_worker.ask_apart(other.onnx)


def test_the_runner_travels_without_the_compiler():
    modules = set(runtime_modules("tvm_cpu"))
    assert {"targets.tvm_cpu.runner", "targets.tvm_cpu.emulated"} <= modules
    assert not {"targets.tvm_cpu.relaxed", "targets.tvm_cpu.bundle", "targets.tvm_cpu.compile_worker"} & modules
