"""A stand-in for TensorRT, for tests on machines without a GPU: both modules beside this file are made of it.

Classes and methods have the names and parameters of the Python API. An engine is the ONNX model in a frame of our own;
it runs with ONNX Runtime, on the memory of the fake CUDA driver, as a callback on its stream. Messages of refusals are
worded as the real libraries print them.

It cannot prove what the real compiler makes of a model, which engines real libraries take, how they fail, or how long
anything takes. ``FAKE_TRT`` holds words that make it misbehave: abort, false_enqueue, no_times, not_capturable.
"""

import ctypes
import enum
import hashlib
import json
import os
import struct
import time
import weakref

import numpy as np

HEADER = struct.Struct("<4s16s32sQ4x")
CONTEXT_BYTES = 1 << 20
_FORMATS = {"float32": "FP32", "float16": "FP16", "int8": "Int8"}
_KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def misbehaves(word):
    return word in os.environ.get("FAKE_TRT", "").split()


class Cuda:
    """The fake driver, as a C++ library would use it."""

    def __init__(self):
        self.library = ctypes.CDLL(os.environ.get("FAKE_CUDA_LIBRARY", "libcuda.so.1"))
        self.library.fake_cuda_host.argtypes = [ctypes.c_uint64, ctypes.c_size_t]
        self.library.fake_cuda_host.restype = ctypes.c_void_p
        self.library.cuLaunchHostFunc.argtypes = [ctypes.c_void_p, _KERNEL, ctypes.c_void_p]
        self.library.cuMemAlloc_v2.argtypes = [ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t]
        self.library.cuMemFree_v2.argtypes = [ctypes.c_uint64]
        self.library.cuStreamSynchronize.argtypes = [ctypes.c_void_p]
        self.library.fake_cuda_capturing.argtypes = [ctypes.c_void_p]

    def capability(self):
        values = [ctypes.c_int(), ctypes.c_int()]
        for attribute, value in zip((75, 76), values, strict=True):
            self.library.cuDeviceGetAttribute(ctypes.byref(value), attribute, 0)
        return f"{values[0].value}.{values[1].value}"


class Block:
    """Device memory for as long as it is referred to."""

    def __init__(self, cuda, size):
        self.cuda, self.address = cuda, ctypes.c_uint64()
        self.code = cuda.library.cuMemAlloc_v2(ctypes.byref(self.address), size)

    def __del__(self):
        if not self.code:
            self.cuda.library.cuMemFree_v2(self.address)


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self):
        pass


class IProfiler:
    def __init__(self):
        pass


Enums = {
    "DataType": "FLOAT HALF INT8 INT32 BOOL UINT8 FP8 BF16 INT64 INT4",
    "TensorIOMode": "NONE INPUT OUTPUT",
    "LayerInformationFormat": "ONELINE JSON",
    "ProfilingVerbosity": "LAYER_NAMES_ONLY NONE DETAILED",
    "NetworkDefinitionCreationFlag": "EXPLICIT_BATCH STRONGLY_TYPED",
    "BuilderFlag": "TF32 SPARSE_WEIGHTS GPU_FALLBACK",
    "MemoryPoolType": "WORKSPACE",
    "DeviceType": "GPU DLA",
    "ComputeCapability": "NONE CURRENT SM75 SM80 SM86 SM89 SM120 SM121",
    "EngineValidity": "VALID SUBOPTIMAL INVALID",
    "CudaGraphStrategy": "DISABLED WHOLE_GRAPH_CAPTURE",
}
globals().update({name: enum.IntEnum(name, members, start=0) for name, members in Enums.items()})
_NUMPY = {"FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "INT64": "int64", "BOOL": "bool"}


def nptype(trt_type):
    return np.dtype(_NUMPY[trt_type.name]).type


def data_type(dtype):
    return next(DataType[name] for name, known in _NUMPY.items() if known == str(np.dtype(dtype)))  # noqa: F821


class Network:
    def __init__(self):
        self.model, self.content = None, b""

    num_inputs = property(lambda self: len(self.model.graph.input))
    num_outputs = property(lambda self: len(self.model.graph.output))

    def get_input(self, index):
        given = self.model.graph.input[index]
        shape = tuple(size.dim_value if size.HasField("dim_value") else -1 for size in given.type.tensor_type.shape.dim)
        return type("Tensor", (), {"name": given.name, "shape": shape})


class OnnxParser:
    num_errors = 0

    def __init__(self, network, logger):
        self.network, self.logger = network, logger

    def parse(self, model):
        import onnx

        self.network.content = bytes(model)
        self.network.model = onnx.load_model_from_string(self.network.content)
        return True


class TimingCache:
    def __init__(self, content):
        self.content = content or b"times"

    def serialize(self):
        return self.content


class IBuilderConfig:
    def __init__(self):
        self.flags, self.capabilities, self.num_compute_capabilities = set(), {}, 0

    def set_compute_capability(self, compute_capability, index):
        self.capabilities[index] = compute_capability
        return True

    def set_flag(self, flag):
        self.flags.add(flag)

    def clear_flag(self, flag):
        self.flags.discard(flag)

    def set_memory_pool_limit(self, pool, pool_size):
        pass

    def create_timing_cache(self, serialized_timing_cache):
        return TimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache, ignore_mismatch):
        return True


class Builder:
    num_DLA_cores = 0
    magic, version = b"", ""

    def __init__(self, logger):
        self.logger = logger

    def create_network(self, flags=0):
        return Network()

    def create_builder_config(self):
        return IBuilderConfig()

    def build_serialized_network(self, network, config):
        names = [config.capabilities[index].name[2:] for index in sorted(config.capabilities)]
        capabilities = [f"{name[:-1]}.{name[-1]}" for name in names] or [Cuda().capability()]
        return frame(network, capabilities, self.magic, self.version)


def frame(network, capabilities, magic, version):
    """An engine: header, a JSON line that says what its layers are, the model, and a digest of the two."""
    import onnx

    graph = network.model.graph
    weights = sum(onnx.numpy_helper.to_array(constant).nbytes for constant in graph.initializer)
    layers = [{"name": node.name or node.output[0], "op": node.op_type} for node in graph.node]
    body = json.dumps({"weights": weights, "layers": layers}).encode() + b"\n" + network.content
    header = HEADER.pack(magic, version.encode(), ",".join(capabilities).encode(), len(body))
    return header + body + hashlib.sha256(body).digest()


class Runtime:
    DLA_core = -1
    magic, version = b"", ""

    def __init__(self, logger):
        self.logger, self.cuda = logger, Cuda()

    def refuse(self, text):
        self.logger.log(ILogger.Severity.ERROR, text)

    def deserialize_cuda_engine(self, serialized_engine):
        content = bytes(serialized_engine)
        magic, version, capabilities, size = HEADER.unpack_from(content)
        version, capabilities = version.rstrip(b"\0").decode(), capabilities.rstrip(b"\0").decode().split(",")
        own = self.cuda.capability()
        if magic != self.magic:
            return self.refuse("Serialization assertion header.magicTag == kEXPECTED_MAGIC_TAG failed.")
        if HEADER.size + size + 32 != len(content):
            return self.refuse("Serialization assertion plan.header.size == blobSize failed. In parsePlan at /_src:1")
        body = content[HEADER.size : -32]
        if hashlib.sha256(body).digest() != content[-32:] or misbehaves("abort"):
            os.abort()  # a real library may well read on, and crash
        if version != self.version:
            return self.refuse(
                "IRuntime::deserializeCudaEngine: Error Code 1: Internal Error (The engine plan file is not"
                " compatible with this version of TensorRT, expecting library version"
                f" {self.version} got {version}, please rebuild.)"
            )
        if own not in capabilities:
            return self.refuse(
                "The engine plan file is generated on an incompatible device, expecting compute"
                f" {own} got compute {capabilities[0]}, please rebuild."
            )
        return self.loaded(body)

    def loaded(self, body):
        description, _, model = body.partition(b"\n")
        description = json.loads(description)
        memory = Block(self.cuda, max(description["weights"], 1))
        if memory.code:
            return self.refuse("[defaultAllocator.cpp::allocate::19] Error Code 1: Cuda Runtime (out of memory)")
        return self.engine(self, memory, description["layers"], model)


class ICudaEngine:
    device_memory_size_v2 = CONTEXT_BYTES

    def __init__(self, runtime, memory, layers, model):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.runtime, self.memory, self.layers = runtime, memory, layers
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.outputs = {value.name: value for value in self.session.get_outputs()}
        self.values = {**self.inputs, **self.outputs}

    num_io_tensors = property(lambda self: len(self.values))
    num_layers = property(lambda self: len(self.layers))

    def get_tensor_name(self, index):
        return list(self.values)[index]

    def get_tensor_shape(self, name):
        return tuple(self.values[name].shape)

    def get_tensor_dtype(self, name):
        names = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int8)": "INT8", "tensor(int64)": "INT64"}
        return DataType[names[self.values[name].type]]  # noqa: F821

    def create_engine_inspector(self):
        return EngineInspector(self)

    def create_execution_context(self, strategy=None):
        memory = Block(self.runtime.cuda, CONTEXT_BYTES)
        if memory.code:
            return self.runtime.refuse("GPU memory (1048576 bytes) could not be allocated: out of memory")
        return self.context(self, memory)


class IExecutionContext:
    enqueue_emits_profile = True

    def __init__(self, engine, memory):
        self.engine, self.memory, self.addresses, self.profiler = engine, memory, {}, None
        own = weakref.ref(self)  # no circle, so that the memory is freed with the last reference, as in C++
        self._kernel = _KERNEL(lambda _: own().compute())

    def set_tensor_address(self, name, memory):
        if name not in self.engine.values:
            return False
        self.addresses[name] = memory
        return True

    def _array(self, name):
        """The tensor where the GPU has it."""
        dtype = np.dtype(nptype(self.engine.get_tensor_dtype(name)))
        shape = self.engine.get_tensor_shape(name)
        size = int(np.prod(shape)) * dtype.itemsize
        place = self.engine.runtime.cuda.library.fake_cuda_host(self.addresses[name], size)
        return np.frombuffer((ctypes.c_ubyte * size).from_address(place), dtype).reshape(shape)

    def compute(self):
        time.sleep(float(os.environ.get("FAKE_TRT_KERNEL_US", "0")) * 1e-6)
        given = {name: self._array(name) for name in self.engine.inputs}
        results = self.engine.session.run(list(self.engine.outputs), given)
        for name, values in zip(self.engine.outputs, results, strict=True):
            np.copyto(self._array(name), values)

    def execute_async_v3(self, stream_handle):
        cuda = self.engine.runtime.cuda.library
        if misbehaves("false_enqueue") or set(self.addresses) != set(self.engine.values):
            self.engine.runtime.refuse("IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (a failed enqueue)")
            return False
        if misbehaves("not_capturable") and cuda.fake_cuda_capturing(stream_handle):
            cuda.cuStreamSynchronize(stream_handle)  # not allowed while capturing: the capture is void
        cuda.cuLaunchHostFunc(stream_handle, self._kernel, None)
        if self.profiler is not None and not misbehaves("no_times"):
            cuda.cuStreamSynchronize(stream_handle)
            for index, layer in enumerate(self.engine.layers):
                self.profiler.report_layer_time(layer["name"], 0.5 * (index + 1))
        return True


class EngineInspector:
    execution_context = None

    def __init__(self, engine):
        self.engine = engine

    def get_engine_information(self, format):
        rows = []
        for layer in self.engine.layers:
            ends = [{"Name": "in", "Dimensions": [1], **self.words("FP32")}]
            kind = {"Conv": "CaskConvolution", "Gemm": "gemm"}.get(layer["op"], "kgen")
            rows.append({
                "Name": layer["name"], "LayerType": kind, "Inputs": ends, "Outputs": ends,
                "Metadata": f"[ONNX Layer: {layer['name']}]",
            })  # fmt: skip
        return json.dumps({"Layers": rows})

    def words(self, number):
        return {"Format/Datatype": f"Row major linear {number}"}


class IRuntimeConfig:
    def __init__(self):
        self.cuda_graph_strategy = CudaGraphStrategy.DISABLED  # noqa: F821
