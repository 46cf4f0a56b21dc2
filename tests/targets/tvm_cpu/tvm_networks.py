"""Small ONNX models, and devices to build them for."""

import dataclasses

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from profiles.device import Cpu, Identity, load_device
from targets.base import ExportedModel, TensorSpec


def random_values(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def write(path, nodes, inputs, outputs, constants=None):
    """A checked model file; inputs and outputs are name to shape, all float32."""
    tensors = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in each.items()]
        for each in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, path.stem, *ends, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    specs = [tuple(TensorSpec(name, tuple(shape)) for name, shape in each.items()) for each in (inputs, outputs)]
    return ExportedModel(path.stem, *specs, onnx=path)


def classifier(path):
    """Convolution, ReLU, a residual convolution, mean, product, softmax; and the features as a second output."""
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "w2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "r"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["p"]),
        helper.make_node("Flatten", ["p"], ["features"]),
        helper.make_node("Gemm", ["features", "w3", "b3"], ["g"], transB=1),
        helper.make_node("Softmax", ["g"], ["scores"]),
    ]
    weights = {"w": (8, 3, 3, 3), "b": (8,), "w2": (8, 8, 3, 3), "w3": (10, 8), "b3": (10,)}
    constants = {name: random_values(shape, seed) / 3 for seed, (name, shape) in enumerate(weights.items())}
    return write(path, nodes, {"image": (1, 3, 12, 12)}, {"scores": (1, 10), "features": (1, 8)}, constants)


def expected(model, inputs):
    """What ONNX's own reference implementation computes."""
    names = [spec.name for spec in model.outputs]
    return dict(zip(names, ReferenceEvaluator(str(model.onnx)).run(names, dict(inputs)), strict=True))


def device_of(arch):
    """A device of that architecture that tests can build for."""
    name = {"aarch64": "raspberry-pi-4", "armv7l": "fpga-zynq-7020", "x86_64": "local-cpu"}.get(arch)
    if name:
        device = load_device(name)
        return dataclasses.replace(device, parameters={**device.parameters, "tuning_seconds": 0})
    pi = load_device("raspberry-pi-4")
    return dataclasses.replace(pi, name="a-board", cpu=Cpu(arch), identity=Identity(arch), parameters={})


def close(seen, wanted, share=1e-5):
    """Whether every output is within a share of its largest value."""
    for name, values in wanted.items():
        error = float(np.max(np.abs(seen[name] - values)))
        limit = share * float(np.max(np.abs(values)))
        assert error <= limit, f"output '{name}' is off by {error:.3g}, allowed {limit:.3g}"
