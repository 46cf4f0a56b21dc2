"""Small ONNX networks for tests of targets, built node by node; no exporter needed."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from targets.base import ExportedModel, TensorSpec

RANDOM = np.random.default_rng(5)


def constant(name, *shape):
    values = RANDOM.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)
    return numpy_helper.from_array(values.astype(np.float32), name)


def save(path, nodes, constants, inputs, outputs, *, domains=()):
    """Write a model; ``inputs`` and ``outputs`` map names to shapes. Returns it as targets take it."""
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in given.items()]
        for given in (inputs, outputs)
    ]
    graph = helper.make_graph(list(nodes), "net", *ends, list(constants))
    sets = [helper.make_opsetid("", 19), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=9)
    path.write_bytes(model.SerializeToString())
    layouts = {4: "NCHW", 2: "NC"}
    specs = [
        tuple(TensorSpec(name, tuple(shape), layout=layouts.get(len(shape), "")) for name, shape in given.items())
        for given in (inputs, outputs)
    ]
    return ExportedModel("net", *specs, onnx=path)


def net(path):
    """A convolution, a depthwise one, a pool and a linear layer: x (1, 4, 8, 8) to y (1, 5)."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="depthwise", group=8),
        helper.make_node("GlobalAveragePool", ["c2"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], name="last", transB=1),
    ]
    constants = [
        constant("w1", 8, 4, 3, 3), constant("b1", 8), constant("w2", 8, 1, 3, 3),
        constant("w3", 5, 8), constant("b3", 5),
    ]  # fmt: skip
    return save(path, nodes, constants, {"x": (1, 4, 8, 8)}, {"y": (1, 5)})


def samples(model, count, seed=0):
    random = np.random.default_rng(seed)
    return [
        {spec.name: random.standard_normal(spec.shape).astype(np.float32) for spec in model.inputs}
        for _ in range(count)
    ]
