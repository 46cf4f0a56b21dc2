"""Small ONNX networks for tests of number formats, batches and sparsity, and ways to run and to compile them."""

import os

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from profiles.device import Cpu, Device
from targets.base import ExportedModel, TensorSpec
from targets.tensorrt.plan import BuildPlan

node = helper.make_node
GPU = Device("gpu", "A GPU", ("tensorrt",), Cpu("x86_64"), formats=("fp32", "bf16", "fp16", "fp8", "int8", "int4"))
OLD = Device("old", "An old GPU", ("tensorrt",), Cpu("x86_64"), formats=("fp32", "fp16", "int8"))


def const(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def weights(name, *shape, seed=0):
    random = np.random.default_rng([seed, *name.encode()])
    return const(name, random.standard_normal(shape) / np.sqrt(np.prod(shape[1:])))


def ends(given, kind=TensorProto.FLOAT):
    return [
        value if not isinstance(value, tuple) else helper.make_tensor_value_info(name, kind, value)
        for name, value in given.items()
    ]


def make(nodes, constants, inputs, outputs, opset=19):
    """A ``ModelProto``; ``inputs`` and ``outputs`` map names to shapes, or to value infos for other types."""
    graph = helper.make_graph(list(nodes), "net", ends(inputs), ends(outputs), list(constants))
    ir = 10 if opset > 20 else 9
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def cnn(inputs=4):
    """Convolutions (dense, depthwise, 7x7), a residual addition, a pool and a linear layer of 64 features."""
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], name="first", pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"], name="relu1"),
        node("Conv", ["r1", "w2"], ["c2"], name="depthwise", group=16, pads=[1, 1, 1, 1]),
        node("Conv", ["c2", "w3"], ["c3"], name="wide", pads=[3, 3, 3, 3]),
        node("Add", ["c3", "r1"], ["a"], name="add"),
        node("Relu", ["a"], ["r2"], name="relu2"),
        node("Conv", ["r2", "w4", "b4"], ["c4"], name="pointwise"),
        node("GlobalAveragePool", ["c4"], ["p"], name="pool"),
        node("Reshape", ["p", "flat"], ["f"], name="view"),
        node("Gemm", ["f", "w5", "b5"], ["y"], name="last", transB=1),
    ]
    constants = [
        weights("w1", 16, inputs, 3, 3), weights("b1", 16), weights("w2", 16, 1, 3, 3), weights("w3", 16, 16, 7, 7),
        weights("w4", 64, 16, 1, 1), weights("b4", 64), const("flat", [1, 64], np.int64),
        weights("w5", 10, 64), weights("b5", 10),
    ]  # fmt: skip
    return make(nodes, constants, {"x": (1, inputs, 8, 8)}, {"y": (1, 10)})


def mlp():
    """Products of all forms: Gemm both ways round, MatMul, and one whose 30 features no block divides."""
    nodes = [
        node("Gemm", ["x", "w1", "b1"], ["g1"], name="wide", transB=1),
        node("Relu", ["g1"], ["r1"], name="relu"),
        node("MatMul", ["r1", "w2"], ["m2"], name="product"),
        node("Gemm", ["m2", "w3"], ["g3"], name="upright"),
        node("Gemm", ["g3", "w4", "b4"], ["y"], name="short", transB=1),
    ]
    constants = [
        weights("w1", 128, 64), weights("b1", 128), weights("w2", 128, 64), weights("w3", 64, 30),
        weights("w4", 6, 30), weights("b4", 6),
    ]  # fmt: skip
    return make(nodes, constants, {"x": (1, 64)}, {"y": (1, 6)})


def exported(model, path):
    """Written to a file, as targets take it."""
    path.write_bytes(model.SerializeToString())
    specs = [
        tuple(TensorSpec(v.name, tuple(d.dim_value for d in v.type.tensor_type.shape.dim)) for v in values)
        for values in (model.graph.input, model.graph.output)
    ]
    return ExportedModel("net", *specs, onnx=path)


def samples(model, count, seed=0):
    """Normal inputs of a model's own shapes."""
    random = np.random.default_rng(seed)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    return [
        {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()} for _ in range(count)
    ]


def run(model, inputs):
    """All outputs by name, in ONNX Runtime, without any optimization."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in model.graph.output]
    return dict(zip(names, session.run(names, inputs), strict=True))


def sqnr(reference, seen):
    """In dB, over all outputs of all samples."""
    signal = sum(float(np.sum(one[name].astype(np.float64) ** 2)) for one in reference for name in one)
    noise = sum(
        float(np.sum((one[name].astype(np.float64) - two[name]) ** 2))
        for one, two in zip(reference, seen, strict=True)
        for name in one
    )
    return np.inf if not noise else 10 * np.log10(signal / noise)


def constants(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def types(model):
    """Element type of every tensor, by name."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def schedule(model, precision, *capabilities):
    """What TensorRT-RTX compiles, strongly typed; without the package the test is skipped, but not in CI."""
    try:
        import tensorrt_rtx  # noqa: F401
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("tensorrt_rtx is not installed; run: pip install 'edgewright[tensorrt]'")
    from targets.tensorrt.compiler.builder import build_engine
    from targets.tensorrt.compiler.schedule import read_schedule

    plan = BuildPlan("tensorrt_rtx", precision, capabilities)
    return read_schedule(build_engine(model.SerializeToString(), plan, 1).engine)


def computed(planned, *names):
    """Number format by node, of the kernels that multiply and add for the nodes named."""
    from targets.tensorrt.compiler.schedule import COMPUTE

    kernels = [kernel for kernel in planned.kernels if kernel.kind in COMPUTE]
    return {node: kernel.precision for kernel in kernels for node in kernel.nodes if node in names}
