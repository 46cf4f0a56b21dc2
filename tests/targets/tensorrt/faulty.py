"""ONNX models that TensorRT refuses, each for one reason; and what else its libraries say, word by word."""

import runpy
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

nets = runpy.run_path(str(Path(__file__).with_name("nets.py")))
node, const, make, weights = nets["node"], nets["const"], nets["make"], nets["weights"]
IMAGE = (1, 8, 8, 8)


def _value(name, shape, kind):
    return helper.make_tensor_value_info(name, kind, shape)


def convolution(*, half_weights=False, **attributes):
    kind = np.float16 if half_weights else np.float32
    constants = [const("w", np.ones((8, 8, 1, 1)), kind)]
    return make(
        [node("Conv", ["x", "w"], ["y"], name="layer1/conv", **attributes)], constants, {"x": IMAGE}, {"y": IMAGE}
    )


def integer_bias():
    nodes = [
        node("DequantizeLinear", ["b", "s"], ["bd"], name="bias_dq"),
        node("Conv", ["x", "w", "bd"], ["y"], name="conv"),
    ]
    constants = [const("w", np.ones((8, 8, 1, 1))), const("b", range(8), np.int32), const("s", 0.1)]
    return make(nodes, constants, {"x": IMAGE}, {"y": IMAGE})


def pair(zero=0, scale=0.1, kind=np.int8):
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize"),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], name="dequantize"),
    ]
    return make(nodes, [const("s", scale), const("z", zero, kind)], {"x": (1, 8)}, {"y": (1, 8)})


def one(op, *, name="blocks.3/odd", kind=TensorProto.FLOAT, inputs=("x",), constants=(), shape=(1, 8), **attributes):
    given = node(op, list(inputs), ["y"], name=name, **attributes)
    return make([given], constants, {"x": _value("x", shape, kind)}, {"y": _value("y", shape, kind)}, opset=20)


def outside():
    model = convolution()
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return model


def two_outputs():
    given = node("MaxPool", ["x"], ["y", "i"], name="pool", kernel_shape=[2, 2])
    index = _value("i", (1, 8, 7, 7), TensorProto.INT64)
    return make([given], [], {"x": IMAGE}, {"y": (1, 8, 7, 7), "i": index})


def suppression():
    constants = [const("m", [5], np.int64), const("i", [0.5]), const("t", [0.1])]
    given = node("NonMaxSuppression", ["b", "s", "m", "i", "t"], ["y"], name="heads/nms")
    return make([given], constants, {"b": (1, 20, 4), "s": (1, 2, 20)}, {"y": _value("y", None, TensorProto.INT64)})


def fp8():
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize"),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], name="dequantize"),
    ]
    zero = helper.make_tensor("z", TensorProto.FLOAT8E4M3FN, [], [0.0])
    return make(nodes, [const("s", 0.1), zero], {"x": (1, 8)}, {"y": (1, 8)})


def gemm():
    return make([node("Gemm", ["x", "w"], ["y"], name="head/fc")], [weights("w", 8, 8)], {"x": (1, 8)}, {"y": (1, 8)})


def unfixed():
    return make([node("Relu", ["x"], ["y"], name="relu")], [], {"x": ("N", 8)}, {"y": ("N", 8)})


#: What is logged where it cannot be provoked: on machines with a GPU, and by full TensorRT. The sources are the issue
#: trackers of NVIDIA/TensorRT (4258, 2643, 4832, 2177), deepinsight/insightface (2882), NVIDIA/retinanet-examples (314)
#: and, for what this machine has printed, TensorRT-RTX 1.7.1.116 without a driver.
PRINTED = {
    "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (Network has dynamic or shape inputs, but no "
    "optimization profile has been defined. In validate at /_src/optimizer/api/network.cpp:4023)": "fixed shape",
    "[virtualMemoryBuffer.cpp::resizePhysical::145] Error Code 2: OutOfMemory (no further information)": "memory is",
    "Requested amount of GPU memory (15485030400 bytes) could not be allocated. There may not be enough free memory "
    "for allocation to succeed.": "memory is full",
    "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)": "memory is full",
    "IBuilder::buildSerializedNetwork: Error Code 10: Internal Error (Could not find any implementation for node "
    "{ForeignNode[/1/Constant_36_output_0.../1/Slice_4]}.)": "no kernel for {ForeignNode[/1/Constant_36",
    "Error Code 9: Skipping tactic [type.cpp:186: infer_type] Could not infer output types for operation:\n291: "
    "dequantize: Dequantized input0-(f32[1,16,512,512]) | No matching rules found for input operand types": "no kernel",
    "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine plan file is generated on an "
    "incompatible device, expecting compute 8.9 got compute 8.6, please rebuild.)": "compute capability 8.6",
    "6: The engine plan file is not compatible with this version of TensorRT, expecting library version 8.0.0 got "
    "8.0.1, please rebuild.": "version 8.0.1",
    "Error Code 1: Serialization (Serialization assertion stdVersionRead == serializationVersion failed.Version tag "
    "does not match. Note: Current Version: 213, Serialized Engine Version: 205)": "another version",
    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion plan.header.size == "
    "blobSize failed. In parsePlan at /_src/runtime/dispatch/runtime.cpp:780)": "damaged",
    "IRuntime::deserializeCudaEngine: Error Code 1: Cuda Runtime (In ScopedCudaStream at "
    "/_src/common/dispatch/cudaResources.cpp:25 (cudaError 35: CUDA driver version is insufficient for CUDA runtime "
    "version))": "no NVIDIA driver",
    "CUDA initialization failure with error: 100. Please check your CUDA installation": "no NVIDIA GPU",
    "Error Code 1: Cuda Runtime (no kernel image is available for execution on the device)": "without code for",
    "[codeGenerator.cpp::compileGraph::894] Error Code 2: Internal Error (Assertion !graph.empty() failed)": "internal",
}
