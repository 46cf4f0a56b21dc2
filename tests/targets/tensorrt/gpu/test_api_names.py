"""The names and parameters of TensorRT's Python API that we call exist in the real module, and the fake has no others.

The real module is TensorRT-RTX, the one that is on the package index without a GPU. Full TensorRT documents the same
API; that its module has them can only be seen on a machine that has it.
"""

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

from targets import tensorrt
from targets.tensorrt.compiler.messages import make_log

FAKE = Path(__file__).parents[1] / "fake" / "python"
real = pytest.importorskip("tensorrt_rtx")

#: What the modules that run an engine call (session, loading, timing, layers, inspector).
USED = {
    "Runtime": ["deserialize_cuda_engine", "get_engine_validity", "engine_header_size", "DLA_core"],
    "ICudaEngine": [
        "create_execution_context", "create_engine_inspector", "create_runtime_config", "device_memory_size_v2",
        "num_io_tensors", "get_tensor_name", "get_tensor_shape", "get_tensor_dtype",
    ],
    "IExecutionContext": ["set_tensor_address", "execute_async_v3", "profiler", "is_stream_capturable"],
    "EngineInspector": ["execution_context", "get_engine_information"],
    "IRuntimeConfig": ["cuda_graph_strategy"],
    "IProfiler": ["report_layer_time"],
    "ILogger": ["log"],
    "LayerInformationFormat": ["JSON"],
    "CudaGraphStrategy": ["WHOLE_GRAPH_CAPTURE", "DISABLED"],
    "EngineValidity": ["INVALID"],
}  # fmt: skip
_SOURCES = ("session", "loading", "timing", "layers", "inspector", "gpu_figures")


def fake_module():
    """The fake of TensorRT-RTX, without a place among the imported modules."""
    sys.path.insert(0, str(FAKE))
    try:
        spec = importlib.util.spec_from_file_location("fake_tensorrt_rtx", FAKE / "tensorrt_rtx" / "__init__.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FAKE))
    return module


@pytest.mark.parametrize(("owner", "name"), [(owner, name) for owner, names in USED.items() for name in names])
def test_the_real_module_has_it(owner, name):
    assert hasattr(getattr(real, owner), name), f"{owner}.{name} is not in {real.__name__} {real.__version__}"


def test_the_list_above_is_complete():
    """Every attribute of TensorRT's objects in our sources is on the list."""
    listed = {name for names in USED.values() for name in names} | set(USED) | {"nptype"}
    for source in _SOURCES:
        text = next(Path(tensorrt.__file__).parent.rglob(f"{source}.py")).read_text()
        called = re.findall(r"\b(?:engine|context|runtime|inspector|config|library|module)\.(\w+)", text)
        used = {name for name in called if not name.startswith("__")} - {"memory", "tensorrt"}
        assert used <= listed, f"{source}.py calls {sorted(used - listed)}, of which nobody knows that they exist"


def parameters(function):
    """Names of the parameters of every overload, from the signature that pybind11 writes in the docstring."""
    signatures = re.findall(r"\w+\((self: [^\n]*)\) ->", function.__doc__ or "")
    return [re.findall(r"(?:^|, )(\w+): ", signature)[1:] for signature in signatures]


def methods():
    fake = fake_module()
    for owner in ("Builder", "Runtime", "ICudaEngine", "IExecutionContext", "EngineInspector", "IBuilderConfig"):
        for name, function in inspect.getmembers(getattr(fake, owner), inspect.isfunction):
            if not name.startswith("_") and hasattr(getattr(real, owner), name):
                yield owner, name, function


@pytest.mark.parametrize(("owner", "name", "function"), [pytest.param(*row, id=".".join(row[:2])) for row in methods()])
def test_the_fake_takes_the_parameters_of_the_real_one(owner, name, function):
    own = list(inspect.signature(function).parameters)[1:]
    known = parameters(getattr(getattr(real, owner), name))
    assert own in known, f"{owner}.{name} takes {known}"


def test_the_fake_has_methods_that_can_be_compared():
    assert len(list(methods())) >= 15


def test_a_profiler_and_a_logger_can_be_derived():
    class Profiler(real.IProfiler):
        def __init__(self):
            real.IProfiler.__init__(self)

        def report_layer_time(self, layer_name, ms):
            pass

    Profiler().report_layer_time("layer", 1.0)
    assert make_log(real).messages == []
    assert real.nptype(real.DataType.HALF).__name__ == "float16"
