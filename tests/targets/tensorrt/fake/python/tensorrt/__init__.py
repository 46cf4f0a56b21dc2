"""The fake of full TensorRT 10, which compiles for the GPU that it runs on; see ``fake_trt.py``."""

import os

import fake_trt
from fake_trt import (  # noqa: F401
    BuilderFlag,
    DataType,
    DeviceType,
    EngineInspector,
    IBuilderConfig,
    ILogger,
    IProfiler,
    LayerInformationFormat,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    OnnxParser,
    ProfilingVerbosity,
    TensorIOMode,
    nptype,
)

__version__ = os.environ.get("FAKE_TRT_VERSION", "10.3.0.26")


class Builder(fake_trt.Builder):
    magic, version = b"ptrt", __version__


class IExecutionContext(fake_trt.IExecutionContext):
    pass


class ICudaEngine(fake_trt.ICudaEngine):
    context = IExecutionContext


class Runtime(fake_trt.Runtime):
    magic, version, engine = b"ptrt", __version__, ICudaEngine
