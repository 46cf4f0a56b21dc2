"""Bundles: what is written, that it is the same every time, and what a crash of the compiler looks like."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from profiles.device import load_device
from profiles.errors import ConfigError, MissingToolError, ModelError, ToolCrashError, UnsupportedError
from targets import execute
from targets.base import TensorSpec
from targets.execute import python_argv
from targets.tensorrt.compile import compile_bundle, operators
from targets.tensorrt.compiler import compile_worker
from targets.tensorrt.compiler.library import LIBRARIES
from targets.tensorrt.compiler.schedule import read_schedule
from targets.tensorrt.compiler.schedule_file import load_schedules
from targets.tensorrt.plan import load_plan

pytest.importorskip("tensorrt_rtx")
HERE = Path(__file__).parent
nets = runpy.run_path(str(HERE / "nets.py"))
faulty = runpy.run_path(str(HERE / "faulty.py"))
node, make = nets["node"], nets["make"]


def device(**parameters):
    given = {"compute_capability": "8.6", **parameters}
    return dataclasses.replace(load_device("local-cpu"), name="gpu", parameters=given)


@pytest.fixture
def model(tmp_path):
    return nets["exported"](nets["cnn"](), tmp_path / "source.onnx")


def written(folder, model, **parameters):
    folder.mkdir(exist_ok=True)
    return compile_bundle(model, device(**parameters), folder)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_sparse_weights_without_a_sparse_layer_are_refused(tmp_path, model):
    with pytest.raises(ModelError, match="sparse weights") as error:
        written(tmp_path / "out", model, sparse_weights=True)
    assert "0 % zeros" in error.value.seen.replace("%", " %"), error.value.seen
    assert not list((tmp_path / "out").iterdir()), "refused before anything is written"


def test_sparse_layers_are_named_in_the_manifest(tmp_path):
    weights = np.tile(np.array([1.0, 0, 0, 2.0], np.float32), (8, 2)).reshape(8, 8, 1, 1)
    nodes = [node("Conv", ["x", "w"], ["c"], name="half"), node("Conv", ["c", "v"], ["y"], name="full")]
    constants = [nets["const"]("w", weights), nets["const"]("v", np.ones((8, 8, 1, 1)))]
    model = make(nodes, constants, {"x": (1, 8, 4, 4)}, {"y": (1, 8, 4, 4)})
    compiled = written(tmp_path / "out", nets["exported"](model, tmp_path / "in.onnx"), sparse_weights=True)
    assert compiled.options["sparse weights"] == "1 of 2 layers have the 2:4 pattern; dense: full"
    assert load_plan(tmp_path / "out").sparse_weights


def test_what_a_bundle_for_two_gpus_and_two_batches_holds(tmp_path, model):
    compiled = written(tmp_path / "out", model, batches=[1, 4], engines_for=["8.6", "12.0"])
    names = {"plan.json", "model.onnx", "batch4.onnx", "batch1.engine", "batch4.engine", "schedule.json"}
    assert set(compiled.files) == names == set(contents(tmp_path / "out"))
    assert compiled.inputs == (TensorSpec("x", (1, 4, 8, 8)),)
    assert compiled.options == {"library": "tensorrt_rtx", "threads": 1}
    assert compiled.unreproducible == {}
    plan = load_plan(tmp_path / "out")
    assert (plan.compute_capabilities, plan.batches) == (("8.6", "12.0"), (1, 4))


def test_graphs_are_whole_and_of_their_batch_size(tmp_path, model):
    written(tmp_path / "out", model, batches=[1, 4])
    for name, batch in (("model.onnx", 1), ("batch4.onnx", 4)):
        graph = onnx.load(str(tmp_path / "out" / name))
        onnx.checker.check_model(graph, full_check=True)
        assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value == batch


def test_golden_inputs_prove_other_batch_sizes(tmp_path, model, monkeypatch):
    from targets.tensorrt.formats import batch as batches

    given = []
    original = batches.with_batch
    monkeypatch.setattr(batches, "with_batch", lambda *all: given.append(all[2]) or original(*all))
    golden = np.random.default_rng(3).normal(size=(6, 1, 4, 8, 8)).astype(np.float32)
    written(tmp_path / "out", dataclasses.replace(model, golden_inputs={"x": golden}), batches=[1, 4])
    (samples,) = given
    np.testing.assert_array_equal([sample["x"] for sample in samples], golden[:4])


def test_equal_models_give_equal_bytes(tmp_path, model):
    for name in ("one", "two"):
        written(tmp_path / name, model, engines_for=["8.0", "8.6", "8.9", "12.0", "12.1"])
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two, f"differ: {[name for name in one if one[name] != two.get(name)]}"


def test_the_schedule_is_that_of_the_engine_with_operators(tmp_path, model):
    written(tmp_path / "out", model)
    (planned,) = load_schedules(tmp_path / "out").schedules.values()
    read = read_schedule((tmp_path / "out" / "batch1.engine").read_bytes())
    assert [kernel.name for kernel in planned.kernels] == [kernel.name for kernel in read.kernels]
    known = operators(nets["cnn"]())
    for kernel in planned.kernels:
        assert kernel.ops == tuple(known[name] for name in kernel.nodes)
    assert planned.library.startswith("TensorRT-RTX 1.")


def test_devices_that_compile_for_themselves_get_graphs_and_a_plan(tmp_path, model):
    compiled = written(tmp_path / "out", model, compute_capability="8.7", batches=[1, 2])
    assert set(compiled.files) == {"plan.json", "model.onnx", "batch2.onnx"} == set(contents(tmp_path / "out"))
    assert load_plan(tmp_path / "out").library == "tensorrt"
    assert load_schedules(tmp_path / "out") is None


def test_a_model_of_another_batch_size_keeps_it(tmp_path):
    graph = make([node("Relu", ["x"], ["y"], name="relu")], [], {"x": (3, 8)}, {"y": (3, 8)})
    written(tmp_path / "out", nets["exported"](graph, tmp_path / "in.onnx"))
    assert load_plan(tmp_path / "out").batches == (3,)
    assert (tmp_path / "out" / "batch3.engine").is_file()


def test_integer_inputs_keep_their_type(tmp_path):
    index = helper.make_tensor_value_info("i", TensorProto.INT64, (1, 4))
    table = nets["weights"]("t", 10, 8)
    graph = make([node("Gather", ["t", "i"], ["y"], name="look_up")], [table], {"i": index}, {"y": (1, 4, 8)})
    compiled = written(tmp_path / "out", nets["exported"](graph, tmp_path / "in.onnx"))
    assert [spec.dtype for spec in (*compiled.inputs, *compiled.outputs)] == ["int64", "float32"]


def test_doubles_are_refused_because_the_engine_would_read_floats(tmp_path):
    ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, (8,)) for name in "xy"]
    graph = make([node("Relu", ["x"], ["y"], name="relu")], [], {"x": ends[0]}, {"y": ends[1]})
    with pytest.raises(UnsupportedError, match="'x' is of type float64"):
        written(tmp_path / "out", nets["exported"](graph, tmp_path / "in.onnx"))


def test_a_refused_operator_is_named_with_the_layer_it_came_from(tmp_path):
    graph = faulty["one"]("Frobnicate")
    graph.graph.node[0].metadata_props.add(key="scope", value="blocks.3")
    with pytest.raises(UnsupportedError, match=r"node 'blocks.3/odd' \(Frobnicate\), layer 'blocks.3': an operator"):
        written(tmp_path / "out", nets["exported"](graph, tmp_path / "in.onnx"))


def test_the_innermost_line_of_the_users_program_is_named(tmp_path):
    graph = faulty["gemm"]()
    trace = (
        'File "/x/site-packages/torch/nn.py", line 9, in a\nFile "/home/me/net.py", line 7, in forward\n    self.fc(x)'
    )
    graph.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value=trace)
    with pytest.raises(UnsupportedError, match=r"layer 'head/fc', net.py:7: self.fc\(x\): on Turing"):
        written(tmp_path / "out", nets["exported"](graph, tmp_path / "in.onnx"), compute_capability="7.5")


@pytest.mark.parametrize(
    ("change", "parameters", "kind", "words"),
    [
        ({"onnx": None}, {}, UnsupportedError, "needs an ONNX file"),
        ({}, {"batches": [0]}, ConfigError, "batches"),
        ({}, {"batches": [1, 5], "workspace": "1 KiB"}, UnsupportedError, "workspace"),
        ({}, {"compute_capability": "8.6", "engines_for": ["8.7"]}, UnsupportedError, "8.7"),
        ({"precision": "fp8"}, {}, UnsupportedError, "8.9 and later"),
    ],
)
def test_what_cannot_be_built_is_an_error(tmp_path, model, change, parameters, kind, words):
    with pytest.raises(kind, match=words):
        written(tmp_path / "out", dataclasses.replace(model, **change), **parameters)


def test_a_batch_size_that_the_model_does_not_take_is_an_error(tmp_path):
    mixes = make([node("ReduceMean", ["x"], ["y"], name="over_all", keepdims=1)], [], {"x": (1, 8)}, {"y": (1, 1)})
    with pytest.raises(UnsupportedError):
        written(tmp_path / "out", nets["exported"](mixes, tmp_path / "in.onnx"), batches=[1, 2])


def test_a_file_that_is_no_model_is_an_error(tmp_path, model):
    model.onnx.write_bytes(b"not a model")
    with pytest.raises(ModelError):
        written(tmp_path / "out", model)


def test_a_compiler_that_dies_is_an_error_and_takes_nothing_along(tmp_path, model, monkeypatch):
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(execute, "python_argv", lambda *_: [*python_argv("x")[:1], "-c", crash])
    with pytest.raises(ToolCrashError, match=r"(?s)TensorRT-RTX, while compiling the model, .*SIGSEGV"):
        written(tmp_path / "out", model)


def test_a_missing_compiler_is_an_error(tmp_path, model, monkeypatch):
    argv = python_argv("targets.tensorrt.compiler.compile_worker")
    hidden = "import sys; sys.modules['tensorrt_rtx'] = None; import runpy; runpy.run_module({!r}, run_name='__main__')"
    monkeypatch.setattr(execute, "python_argv", lambda name, *more: [argv[0], "-c", hidden.format(name), *more])
    with pytest.raises(MissingToolError, match="not installed") as caught:
        written(tmp_path / "out", model)
    assert caught.value.next_step == LIBRARIES["tensorrt_rtx"].install


def test_the_worker_is_the_module_that_is_started():
    assert compile_worker.__name__ == "targets.tensorrt.compiler.compile_worker"


def test_a_quantized_file_is_compiled_as_it_is(tmp_path):
    """Scale and zero point of the model's own specs do not matter to an engine that takes floats."""
    scaled = TensorSpec("x", (1, 8), scale=0.1, zero_point=0)
    model = dataclasses.replace(
        nets["exported"](faulty["pair"](), tmp_path / "in.onnx"), inputs=(scaled,), precision="int8"
    )
    compiled = written(tmp_path / "out", model)
    assert compiled.inputs[0].scale is None
    (schedule,) = load_schedules(tmp_path / "out").schedules.values()
    assert schedule.conversions == schedule.kernels
    assert np.isclose(schedule.bytes_moved, 2 * 8 * 4), "a Q/DQ pair alone reads and writes floats"


def test_a_compiler_that_does_not_finish_is_stopped(model, tmp_path, monkeypatch):
    monkeypatch.setattr(compile_worker, "LIMIT", 0.05)
    with pytest.raises(UnsupportedError) as caught:
        compile_bundle(model, device(), tmp_path)
    assert "TensorRT-RTX was compiling" in caught.value.wanted and "0.05 s" in caught.value.seen
