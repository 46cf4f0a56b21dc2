"""What an int8 bundle must compute to the step: the same graph run in another way by the same vendor.

- ONNX Runtime: the QDQ graph with all graph optimisations off, where Q/DQ pairs surround float kernels.
- The FPGA's array: the same, of the file that was compiled.
- OpenVINO: the FakeQuantize graph with low-precision transformations off, so that it runs in float.
- LiteRT: the reference kernels, which are the TFLite quantization specification in code.
- TensorRT: the QDQ graph in ONNX's own reference implementation, because the engine itself is emulated by ONNX Runtime.
- Cortex-M: the same reference kernels on the file that was compiled; the firmware must agree bit for bit.

The distance is given in steps of the output: its scale where it is quantized, else its largest
magnitude over 255.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from profiles.runner import Array
from targets.base import Compiled, ExportedModel
from targets.onnx_tools import constant_values, load_onnx

Samples = list[dict[str, Array]]
#: Outputs of the oracle by canonical name for each sample, and the output scales that are known.
Answer = tuple[Samples, dict[str, float]]


def _onnxruntime(quantized: ExportedModel, compiled: Compiled, folder: Path, samples: Samples) -> Answer:
    return _without_optimisations(quantized, folder / compiled.files[0], samples)


def _tvm_fpga(quantized: ExportedModel, compiled: Compiled, folder: Path, samples: Samples) -> Answer:
    assert quantized.onnx is not None
    return _without_optimisations(quantized, quantized.onnx, samples)


def _without_optimisations(quantized: ExportedModel, path: Path, samples: Samples) -> Answer:
    from targets.reference import OnnxReference

    reference = OnnxReference(path)
    model = load_onnx(path)
    constants = {tensor.name: constant_values(tensor) for tensor in model.graph.initializer}
    made = {name: node for node in model.graph.node for name in node.output}
    last = {spec.name: made.get(spec.name) for spec in quantized.outputs}
    scales = {
        name: float(constants[node.input[1]])
        for name, node in last.items()
        if node is not None and node.op_type == "DequantizeLinear"
    }
    return [reference.run(sample) for sample in samples], scales


def _openvino(quantized: ExportedModel, compiled: Compiled, folder: Path, samples: Samples) -> Answer:
    import openvino as ov

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "LP_TRANSFORMS_MODE": False}
    request = ov.Core().compile_model(str(folder / compiled.files[0]), "CPU", settings).create_infer_request()
    answers = []
    for sample in samples:
        request.infer([sample[spec.name] for spec in quantized.inputs])
        places = enumerate(quantized.outputs)
        answers.append({spec.name: request.get_output_tensor(place).data.copy() for place, spec in places})
    return answers, {}


def _litert(quantized: ExportedModel, compiled: Compiled, folder: Path, samples: Samples) -> Answer:
    from targets.reference import TfliteReference

    reference = TfliteReference(folder / compiled.files[0], quantized.tflite_channel_last)
    pairs = zip(quantized.outputs, compiled.outputs, strict=True)
    return [reference.run(sample) for sample in samples], {outer.name: inner.scale or 0.0 for outer, inner in pairs}


def _tflite_micro(quantized: ExportedModel, compiled: Compiled, folder: Path, samples: Samples) -> Answer:
    from targets.reference import TfliteReference

    assert quantized.tflite is not None
    reference = TfliteReference(quantized.tflite, quantized.tflite_channel_last)
    pairs = zip(quantized.outputs, compiled.outputs, strict=True)
    return [reference.run(sample) for sample in samples], {outer.name: inner.scale or 0.0 for outer, inner in pairs}


def _tensorrt(quantized: ExportedModel, compiled: Compiled, folder: Path, samples: Samples) -> Answer:
    from onnx.reference import ReferenceEvaluator

    reference = ReferenceEvaluator(load_onnx(folder / "model.onnx"))
    names = [spec.name for spec in quantized.outputs]
    return [dict(zip(names, reference.run(names, dict(sample)), strict=True)) for sample in samples], {}


_ORACLES: dict[str, Callable[[ExportedModel, Compiled, Path, Samples], Answer]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "tensorrt": _tensorrt,
    "litert": _litert,
    "tflite_micro": _tflite_micro,
    "tvm_fpga": _tvm_fpga,
}


def int8_oracle(target: str, quantized: ExportedModel, compiled: Compiled, folder: Path, samples: Samples) -> Answer:
    """What the target's oracle makes of the compiled bundle in ``folder``."""
    return _ORACLES[target](quantized, compiled, folder, samples)


def steps_off(outputs: list[dict[str, Array]], expected: Samples, scales: Mapping[str, float]) -> float:
    """The largest distance between a bundle's outputs and its oracle's, in steps of the output."""
    return max(_distance(name, outputs, expected, scales.get(name) or _step(name, expected)) for name in expected[0])


def _step(name: str, expected: Samples) -> float:
    return max(float(np.max(np.abs(sample[name]), initial=0.0)) for sample in expected) / 255 or 1.0


def _distance(name: str, seen: Samples, expected: Samples, step: float) -> float:
    differences = [
        np.max(np.abs(a[name].astype(np.float64) - b[name].astype(np.float64)), initial=0.0)
        for a, b in zip(seen, expected, strict=True)
    ]
    return float(max(differences)) / step
