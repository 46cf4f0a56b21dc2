"""Builds with the real TensorRT-RTX, and what is asked of other versions of TensorRT, for which a recorder stands."""

import runpy
import sys
import types
from pathlib import Path

import pytest

from profiles.errors import MissingToolError, UnsupportedError
from targets.tensorrt.compiler.build_config import listed_capabilities
from targets.tensorrt.compiler.builder import ask_parser, build_engine
from targets.tensorrt.plan import BuildPlan

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
FULL = BuildPlan("tensorrt", "fp16", ("8.7",))


@pytest.fixture(scope="module")
def real():
    return pytest.importorskip("tensorrt_rtx")


@pytest.fixture(scope="module")
def model():
    return nets["cnn"]().SerializeToString()


def test_engines_are_reproducible(real, model):
    plan = BuildPlan("tensorrt_rtx", "fp32", ("8.6", "12.0"))
    build_engine(model, plan, 1)  # the first after one that failed in this process is larger (TensorRT-RTX 1.7)
    first, second = build_engine(model, plan, 1), build_engine(model, plan, 1)
    assert first.engine == second.engine
    assert first.engine.startswith(b"vtrt")
    assert (first.timing_cache, first.notes) == (b"", ()), (
        "TensorRT-RTX has no timing cache, and nothing to complain of"
    )


@pytest.mark.parametrize("capability", ["8.0", "8.6", "8.9", "12.0", "12.1"])
def test_every_listed_gpu_is_compiled_for(real, model, capability):
    assert capability in listed_capabilities(real)
    assert len(build_engine(model, BuildPlan("tensorrt_rtx", "fp32", (capability,)), 1).engine) > 10_000


@pytest.mark.parametrize(
    "switches", [{"sparse_weights": True}, {"tf32": True}, {"optimization_level": 0}, {"workspace": 64 << 20}]
)
def test_every_switch_is_taken(real, model, switches):
    assert build_engine(model, BuildPlan("tensorrt_rtx", "fp32", ("8.6",), **switches), 1).engine


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_what_the_plan_says(real, model, tf32):
    engine = build_engine(model, BuildPlan("tensorrt_rtx", "fp32", ("8.6",), tf32=tf32), 1).engine
    assert (b"tf32=1" if tf32 else b"tf32=0") in engine, "the compiler's own header says whether products are rounded"


def test_a_plan_for_a_newer_library_is_refused(real, model):
    with pytest.raises(MissingToolError, match=r"99\.0 or later"):
        build_engine(model, BuildPlan("tensorrt_rtx", "fp32", ("8.6",), least_version="99.0"), 1)


def test_the_parser_alone_can_be_asked(real, model):
    answer = ask_parser(model, BuildPlan("tensorrt_rtx", "fp32", ("8.6",)))
    assert (answer.version, answer.faults) == (real.__version__, ())


class Config:
    def __init__(self, calls, caches):
        self.calls, self.caches = calls, caches

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        if name not in ("calls", "caches"):
            self.calls.append((name, value))

    def __getattr__(self, name):
        return lambda *given: self.calls.append((name, *given))

    def create_timing_cache(self, content):
        self.calls.append(("create_timing_cache", content))
        return types.SimpleNamespace(serialize=lambda: b"new times") if self.caches else None

    def set_timing_cache(self, cache, ignore_mismatch):
        return self.calls[-1][1] != b"of another GPU"


class Network(types.SimpleNamespace):
    num_inputs, num_outputs = 1, 1

    def get_input(self, index):
        return types.SimpleNamespace(name="x", shape=(1, 3))


class Enum(types.SimpleNamespace):
    @property
    def __members__(self):
        return vars(self)


def recorder(
    version, *, flags=("TF32", "SPARSE_WEIGHTS", "GPU_FALLBACK"), typed=True, cores=0, engine=b"e", caches=True
):
    """A module with the names of TensorRT that a build may use, which writes down what it is asked for."""
    calls = []

    class Logger:
        def __init__(self):
            pass

    class Builder:
        num_DLA_cores = cores

        def __init__(self, log):
            self.log = log

        def create_network(self, flags):
            calls.append(("create_network", flags))
            return Network()

        def create_builder_config(self):
            return Config(calls, caches)

        def build_serialized_network(self, network, config):
            if engine is None:
                self.log.log(1, "Error Code 1: Cuda Runtime (out of memory)")
            return engine

    module = types.ModuleType("tensorrt")
    module.__version__, module.calls = version, calls
    module.ILogger, module.Builder, module.ICudaEngine = Logger, Builder, object
    module.OnnxParser = lambda network, log: types.SimpleNamespace(parse=lambda content: True)
    module.NetworkDefinitionCreationFlag = Enum(**({"STRONGLY_TYPED": 1} if typed else {}))
    module.BuilderFlag = Enum(**{name: name for name in flags})
    module.ProfilingVerbosity = Enum(DETAILED="DETAILED")
    module.MemoryPoolType = Enum(WORKSPACE="WORKSPACE")
    module.DeviceType = Enum(DLA="DLA")
    return module


@pytest.fixture
def full(monkeypatch):
    """TensorRT as described, in place of an installed one."""

    def installed(*given, **more):
        module = recorder(*given, **more)
        monkeypatch.setitem(sys.modules, "tensorrt", module)
        return module

    return installed


@pytest.mark.parametrize(
    ("version", "typed", "asked"), [("10.3.0.26", True, 2), ("11.4.1", True, 0), ("11.9", False, 0)]
)
def test_networks_are_strongly_typed_in_every_version(full, version, typed, asked):
    module = full(version, typed=typed)
    build_engine(b"onnx", FULL, 1)
    assert ("create_network", asked) in module.calls
    assert ("profiling_verbosity", "DETAILED") in module.calls
    assert ("builder_optimization_level", 3) in module.calls


def test_no_compute_capability_is_named_where_the_gpu_decides(full):
    module = full("10.3.0.26")
    build_engine(b"onnx", FULL, 1)
    assert not [call for call in module.calls if "compute_capabilit" in call[0]]
    assert ("clear_flag", "TF32") in module.calls


def test_timing_caches_are_read_and_given_back(full):
    module = full("10.3.0.26")
    built = build_engine(b"onnx", FULL, 1, timing_cache=b"old times")
    assert ("create_timing_cache", b"old times") in module.calls
    assert (built.engine, built.timing_cache) == (b"e", b"new times")


def test_a_timing_cache_of_another_gpu_is_left_aside(full):
    module = full("10.3.0.26")
    assert build_engine(b"onnx", FULL, 1, timing_cache=b"of another GPU").timing_cache == b"new times"
    assert [call[1] for call in module.calls if call[0] == "create_timing_cache"] == [b"of another GPU", b""]
    full("10.3.0.26", caches=False)
    assert build_engine(b"onnx", FULL, 1).timing_cache == b""


def test_a_missing_switch_is_noted(full):
    full("12.0", flags=("GPU_FALLBACK",))
    sparse = BuildPlan("tensorrt", "fp16", ("8.7",), sparse_weights=True)
    assert build_engine(b"onnx", sparse, 1).notes == ("this version has no builder flag SPARSE_WEIGHTS",)


def test_the_accelerator_is_used_with_the_gpu_behind_it(full):
    module = full("10.3.0.26", cores=2)
    build_engine(b"onnx", BuildPlan("tensorrt", "fp16", ("8.7",), dla_core=1, workspace=1 << 20), 1)
    for call in (("default_device_type", "DLA"), ("DLA_core", 1), ("set_flag", "GPU_FALLBACK")):
        assert call in module.calls
    assert ("set_memory_pool_limit", "WORKSPACE", 1 << 20) in module.calls


@pytest.mark.parametrize(("cores", "allowed"), [(0, "no DLA"), (1, "cores 0 to 0")])
def test_an_accelerator_that_is_not_there_is_an_error(full, cores, allowed):
    full("11.3", cores=cores)
    with pytest.raises(UnsupportedError, match=allowed):
        build_engine(b"onnx", BuildPlan("tensorrt", "fp16", ("8.7",), dla_core=1), 1)


def test_a_build_that_gives_nothing_is_explained(full):
    full("10.3.0.26", engine=None)
    with pytest.raises(UnsupportedError, match="memory is full"):
        build_engine(b"onnx", FULL, 1)


def test_an_old_version_is_refused(full):
    full("8.6.1")
    with pytest.raises(MissingToolError, match=r"10\.3 or later"):
        build_engine(b"onnx", FULL, 1)
