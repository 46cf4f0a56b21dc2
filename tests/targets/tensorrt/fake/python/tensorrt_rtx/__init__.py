"""The fake of TensorRT-RTX, which compiles ahead of time for named compute capabilities; see ``fake_trt.py``."""

import os

import fake_trt
from fake_trt import (  # noqa: F401
    BuilderFlag,
    ComputeCapability,
    CudaGraphStrategy,
    DataType,
    DeviceType,
    EngineValidity,
    IBuilderConfig,
    ILogger,
    IProfiler,
    IRuntimeConfig,
    LayerInformationFormat,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    OnnxParser,
    ProfilingVerbosity,
    TensorIOMode,
    nptype,
)

__version__ = os.environ.get("FAKE_TRT_VERSION", "1.7.1.116")


class Builder(fake_trt.Builder):
    magic, version = b"vtrt", __version__


class EngineInspector(fake_trt.EngineInspector):
    def words(self, number):
        return {"Format": "Row major linear", "Datatype": {"FP32": "Float"}.get(number, number)}


class IExecutionContext(fake_trt.IExecutionContext):
    strategy = CudaGraphStrategy.DISABLED

    def is_stream_capturable(self, stream):
        return not fake_trt.misbehaves("not_capturable")


class ICudaEngine(fake_trt.ICudaEngine):
    context = IExecutionContext

    def create_engine_inspector(self):
        return EngineInspector(self)

    def create_runtime_config(self):
        return IRuntimeConfig()

    def create_execution_context(self, runtime_config=None):
        made = super().create_execution_context()
        if made is not None and runtime_config is not None:
            made.strategy = runtime_config.cuda_graph_strategy
        return made


class Runtime(fake_trt.Runtime):
    magic, version, engine = b"vtrt", __version__, ICudaEngine
    engine_header_size = fake_trt.HEADER.size

    def get_engine_validity(self, buffer):
        magic, version, capabilities, _ = fake_trt.HEADER.unpack_from(buffer)
        bits = 32 * (magic != self.magic) or (
            (version.rstrip(b"\0").decode() != self.version)
            + 2 * (self.cuda.capability() not in capabilities.rstrip(b"\0").decode().split(","))
        )
        return (EngineValidity.INVALID if bits else EngineValidity.VALID), bits
